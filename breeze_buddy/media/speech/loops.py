"""What to believe of Whisper's words: it repeats itself when it has listened past the end of an utterance."""

import re

MOST_WORDS_A_SECOND = 4.5
"""Faster than people speak on the telephone; what is beyond it was not said."""
DIGITS_A_SECOND = 4.0
"""Of sound, silences between them not counted: what a row of digits that breaks off in its repetition is judged by."""
MOST_DIGITS_A_SECOND = 4.5
"""What a row that is repeated as a whole is judged by: "nine nine nine nine" may be meant."""


def believable(text: str, spoken_s: float, voiced_s: float | None = None) -> str:
    """`text` without sound descriptions ("[BLANK_AUDIO]", "(coughs)") and without its loops.

    Several words that only repeat themselves up to the end are said once. A single word ("no no") and a row of
    digits may be meant: they are cut only when nobody could have said so much in the utterance, which is `spoken_s`
    long with `voiced_s` of sound in it.
    """
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)|[♪*]", " ", text)
    words = text.split()
    plain = [re.sub(r"\W", "", word).lower() for word in words]
    sound_s = spoken_s if voiced_s is None else voiced_s
    for start in range(len(words)):
        for unit in range(1, 2 * (len(words) - start) // 3 + 1):  # at least half of it a second time
            if not _repeats(plain, start, unit):
                continue
            if all(word.isdigit() for word in plain[start : start + unit]):
                whole = (len(words) - start) % unit == 0 and plain[-1] == plain[-1 - unit]
                most = max(2, round(sound_s * (MOST_DIGITS_A_SECOND if whole else DIGITS_A_SECOND)) + 1)
                if _spoken_words(plain) > most:
                    return " ".join(words[: max(start + unit, _fitting(plain, most) if unit == 1 else 0)])
            else:
                most = max(2, round(spoken_s * MOST_WORDS_A_SECOND) + 1)
                meant = unit == 1 or len(words) - start < 2 * unit
                if not meant or len(words) > most:
                    return " ".join(words[: start + unit])
    return " ".join(words)


def _repeats(words: list[str], start: int, unit: int) -> bool:
    """Whether everything from `start` on is the same `unit` words over and over, the last time perhaps cut.

    After two rounds a number may be cut within: "719352846. 719352846. 71935".
    """
    *again, last = range(start + unit, len(words))
    if any(words[at] != words[at - unit] for at in again):
        return False
    once, cut = words[last - unit], words[last]
    within = last >= start + 2 * unit and cut.isdigit() and once.isdigit() and once.startswith(cut)
    return cut == once or within


def _spoken_words(words: list[str]) -> int:
    """Each digit of a number that was dictated is a word."""
    return sum(len(word) if word.isdigit() else 1 for word in words)


def _fitting(words: list[str], most: int) -> int:
    """How many of the words, from the first on, are no more than `most` spoken ones."""
    return next((count for count in range(len(words), 0, -1) if _spoken_words(words[:count]) <= most), 0)
