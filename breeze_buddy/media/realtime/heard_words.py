"""How much of what the model said was heard, in its own sound's time: the model is to know no more of itself.

The transcript tells words; each piece of sound that was handed to be played had a number of them.
"""

from collections import deque
from dataclasses import dataclass, field

from breeze_buddy.media.realtime.link import Response


@dataclass(slots=True)
class Spoken:
    """One response, as it was handed over: how many words were in it by which millisecond."""

    response: Response
    marks: list[tuple[int, int]] = field(default_factory=list)
    heard: int = 0

    def add(self, words: int, length_ms: int) -> None:
        before_words, before_ms = self.marks[-1] if self.marks else (0, 0)
        self.marks.append((before_words + words, before_ms + length_ms))

    @property
    def heard_ms(self) -> int:
        """Where its sound was cut, about."""
        before_words = before_ms = 0
        for words, at_ms in self.marks:
            if words >= self.heard > before_words:
                return before_ms + (at_ms - before_ms) * (self.heard - before_words) // (words - before_words)
            if self.heard <= before_words:
                return before_ms
            before_words, before_ms = words, at_ms
        return before_ms


class HeardWords:
    """Of one call. Pieces are handed over in the order in which they are played."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[Spoken | None, int]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether something was handed over and not heard yet."""
        return bool(self._pieces)

    def handed_over(self, spoken: Spoken | None, words: int) -> None:
        """`words` are to be heard next; of nothing the model knows, when `spoken` is None."""
        if words:
            self._pieces.append((spoken, words))

    def heard(self, text: str) -> str:
        """This was heard. Those words of it that the model does not know yet."""
        unknown = []
        words = text.split()
        while words and self._pieces:
            spoken, count = self._pieces.popleft()
            here, words = words[:count], words[count:]
            if spoken is None:
                unknown += here
            else:
                spoken.heard += len(here)
            if len(here) < count:
                self._pieces.appendleft((spoken, count - len(here)))
        return " ".join(unknown)

    def take_cut(self) -> list[Spoken]:
        """The responses of which no more will be heard, now that the caller has spoken."""
        cut: dict[int, Spoken] = {id(spoken): spoken for spoken, _ in self._pieces if spoken is not None}
        self._pieces.clear()
        return list(cut.values())
