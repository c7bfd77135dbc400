"""Sound that comes in pieces, with the words that are in each, so that the transcript can say what was heard.

A provider may tell which letters a piece holds; otherwise they are guessed from its length, and the last piece has
the rest.
"""

from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import SpokenChunk

FIRST_S = 0.1
PIECE_S = 0.3
LETTERS_A_SECOND = 15.0
"""Of speech at the usual pace."""


class SpokenWords:
    """For one text. `add` gives chunks that are whole frames; `finish` gives what is left."""

    def __init__(self, text: str, *, speed: float = 1.0) -> None:
        self._text = text
        self._ends = _ends_of_words(text)
        self._words = text.split()
        self._told = 0
        self._letters = 0
        self._counted = False
        self._speed = speed
        self._waiting = bytearray()
        self._heard_bytes = 0

    def add(self, audio: bytes, letters: int | None = None) -> SpokenChunk | None:
        """More sound, and how many letters of the text are in it, if that is known."""
        self._waiting += audio
        self._heard_bytes += len(audio)
        if letters is not None:
            self._counted = True
            self._letters += letters
        wanted_s = FIRST_S if self._told == 0 and self._heard_bytes == len(self._waiting) else PIECE_S
        if len(self._waiting) < wanted_s * mulaw.SAMPLE_RATE_HZ:
            return None
        # Some sound is kept for the last words.
        whole = (len(self._waiting) - 1) // mulaw.FRAME_BYTES * mulaw.FRAME_BYTES
        sound = bytes(self._waiting[:whole])
        del self._waiting[:whole]
        if not self._counted:
            said_s = (self._heard_bytes - len(self._waiting)) / mulaw.SAMPLE_RATE_HZ
            self._letters = int(said_s * LETTERS_A_SECOND * self._speed)
        return SpokenChunk(self._words_up_to(self._letters), sound)

    def finish(self) -> SpokenChunk | None:
        """The last of it; None when nothing is left to hear or to say."""
        rest = " ".join(self._words[self._told :])
        if not rest and not self._waiting:
            return None
        return SpokenChunk(rest, bytes(self._waiting))

    @property
    def silent(self) -> bool:
        """Whether no sound has come at all."""
        return self._heard_bytes == 0

    def _words_up_to(self, letters: int) -> str:
        """Words that are complete by then. The last one is kept for the last piece."""
        before = self._told
        while self._told < len(self._ends) - 1 and self._ends[self._told] <= letters:
            self._told += 1
        return " ".join(self._words[before : self._told])


def _ends_of_words(text: str) -> list[int]:
    """Where each word of `text` ends, in letters from its beginning."""
    ends, at = [], 0
    for word in text.split():
        at = text.index(word, at) + len(word)
        ends.append(at)
    return ends
