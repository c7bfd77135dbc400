"""What a model writes, cut into sentences as it comes, so that the first is spoken while the next is written."""

import re

LONGEST_WAIT = 160
"""Letters without an end of a sentence: from here on a comma will do."""
SHORTEST = 8
"""Fewer letters are spoken with what follows: "Dr.", "1.", "Yes."."""

_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n+")
_COMMA = re.compile(r"[,;:–—](?=\s)")
_UNSPOKEN = re.compile(r"[*_`#>|]+|^\s*[-•]\s+", re.MULTILINE)
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|No|vs|etc|e\.g|i\.e|approx)|\b[A-Z])\.$")


class Sentences:
    """`add` gives the sentences that are whole; `rest` what is left at the end."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, text: str) -> list[str]:
        self._text += text
        found = []
        while (end := self._next_end()) is not None:
            sentence, self._text = self._text[:end], self._text[end:]
            if spoken := speakable(sentence):
                found.append(spoken)
        return found

    def rest(self) -> str:
        """What was begun, if it holds a word."""
        text, self._text = speakable(self._text), ""
        return text

    def _next_end(self) -> int | None:
        for match in _END.finditer(self._text):
            sentence = self._text[: match.end()]
            if len(sentence.strip()) >= SHORTEST and not _ABBREVIATION.search(sentence):
                return match.end()
        if len(self._text) > LONGEST_WAIT:
            commas = [match.end() for match in _COMMA.finditer(self._text) if match.end() >= SHORTEST]
            return commas[-1] if commas else None
        return None


def speakable(text: str) -> str:
    """`text` as it can be said: on one line, without marks of layout; nothing, if there is no letter in it."""
    text = " ".join(_UNSPOKEN.sub("", text).split())
    return text if re.search(r"\w", text) else ""
