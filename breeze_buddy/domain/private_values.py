"""Values that no language model is told: in texts for one, their names stand in their places.

The flow may say them; whoever listens to the caller hears what callers say themselves.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from breeze_buddy.domain.conversation import Utterance


class PrivateValues:
    """Of the variables called `names`, as far as they have `values`."""

    def __init__(self, names: Iterable[str], values: Mapping[str, str]) -> None:
        found = [(name, words) for name in names if (words := values.get(name, "").split())]
        # The longest first: a name may be a part of an address.
        self._found = sorted(found, key=lambda one: -sum(map(len, one[1])))
        self._patterns = [(_pattern(words), f"[{name}]") for name, words in self._found]

    def are_in(self, text: str) -> bool:
        """Whether a model that is told `text` is told one of them."""
        return any(pattern.search(text) for pattern, _ in self._patterns)

    def hide(self, text: str, *, cut: bool = False) -> str:
        """`text` as a model may have it. `cut`: it broke off, perhaps in the middle of a value."""
        for pattern, shown in self._patterns:
            text = pattern.sub(shown, text)
        return self._without_beginnings(text) if cut else text

    def hide_all(self, utterances: Iterable[Utterance]) -> tuple[Utterance, ...]:
        """A transcript as a model may have it."""
        if not self._patterns:
            return tuple(utterances)
        return tuple(one.model_copy(update={"text": self.hide(one.text, cut=one.interrupted)}) for one in utterances)

    def _without_beginnings(self, text: str) -> str:
        for name, words in self._found:
            for count in range(len(words) - 1, 0, -1):
                text, found = _pattern(words[:count], end=r"\W*$").subn(f"[{name}]", text)
                if found:
                    return text
        return text


def _pattern(words: Iterable[str], *, end: str = r"(?!\w)") -> re.Pattern[str]:
    return re.compile(r"(?<!\w)" + r"\s+".join(map(_spelled, words)) + end, re.IGNORECASE)


def _spelled(word: str) -> str:
    """A letter with an accent is one character or two, in a value and in a text about it."""
    forms = dict.fromkeys((word, unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)))
    return "(?:" + "|".join(map(re.escape, forms)) + ")"
