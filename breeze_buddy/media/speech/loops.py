"""What to believe of Whisper's words: it repeats itself when it has listened past the end of an utterance."""

import re

MOST_WORDS_A_SECOND = 4.5
"""Faster than people speak on the telephone; what is beyond it was not said."""


def believable(text: str, spoken_s: float) -> str:
    """`text` without sound descriptions ("[BLANK_AUDIO]", "(coughs)") and without its loops.

    Several words that only repeat themselves up to the end are said once. A single word ("no no") and a row of
    digits may be meant: they are cut only when nobody could have said so much in `spoken_s` seconds.
    """
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)|[♪*]", " ", text)
    words = text.split()
    plain = [re.sub(r"\W", "", word).lower() for word in words]
    most = max(2, round(spoken_s * MOST_WORDS_A_SECOND) + 1)
    for start in range(len(words)):
        for unit in range(1, 2 * (len(words) - start) // 3 + 1):  # at least half of it a second time
            if not _repeats(plain, start, unit):
                continue
            twice = len(words) - start >= 2 * unit
            meant = unit == 1 or not twice or all(word.isdigit() for word in plain[start : start + unit])
            if not meant or len(words) > most:
                dictated = unit == 1 and plain[start].isdigit()
                return " ".join(words[: max(start + unit, most) if dictated else start + unit])
    return " ".join(words)


def _repeats(words: list[str], start: int, unit: int) -> bool:
    """Whether everything from `start` on is the same `unit` words over and over, the last time perhaps cut."""
    return all(words[at] == words[at - unit] for at in range(start + unit, len(words)))
