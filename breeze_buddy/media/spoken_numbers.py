"""Numbers as people say them: "nine eight double five", "twenty-one", "98 76", all as digits."""

import re

_UNITS = {
    "zero": 0, "oh": 0, "nought": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SOUNDS_LIKE = {"to": "2", "too": "2", "for": "4", "fore": "4", "ate": "8", "won": "1", "o": "0"}
_TIMES = {"double": 2, "triple": 3, "treble": 3}


def number_words_as_digits(words: tuple[str, ...]) -> tuple[str, ...]:
    """`words` with number words as digits: ("yes", "twenty", "one") → ("yes", "21").

    Only values up to 99 are put together, which is how digits are dictated; "hundred" and the like stay words.
    """
    found: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        if word in _TIMES and (digit := _digit(following)) is not None:
            found.append(digit * _TIMES[word])
            at += 2
        elif word in _TENS and 1 <= _UNITS.get(following, 0) <= 9:
            found.append(str(_TENS[word] + _UNITS[following]))
            at += 2
        else:
            value = _UNITS.get(word, _TENS.get(word))
            found.append(word if value is None else str(value))
            at += 1
    return tuple(found)


def spoken_digits(text: str) -> str:
    """All digits in what was said, in order: "my pin is one two, 34" → "1234". Empty when there are none.

    Recognisers write digits as words that sound the same: "7 to 9 5" is 7295.
    """
    words = number_words_as_digits(tuple(re.findall(r"[a-z']+|[0-9]+", text.lower())))
    return "".join(_among_digits(words, at) for at in range(len(words)))


def _among_digits(words: tuple[str, ...], at: int) -> str:
    """The digits of a word; also of one that sounds like a digit, between two, or where nothing else was said."""
    word = words[at]
    if word.isdigit() or word not in _SOUNDS_LIKE:
        return word if word.isdigit() else ""
    between = 0 < at < len(words) - 1 and words[at - 1].isdigit() and words[at + 1].isdigit()
    alone = all(one.isdigit() or one in _SOUNDS_LIKE for one in words) and any(one.isdigit() for one in words)
    return _SOUNDS_LIKE[word] if between or alone else ""


def only_digits(text: str) -> str | None:
    """The digits, when nothing else was said; None otherwise."""
    words = number_words_as_digits(tuple(re.findall(r"[a-z']+|[0-9]+", text.lower())))
    return "".join(words) if words and all(word.isdigit() for word in words) else None


def _digit(word: str) -> str | None:
    if len(word) == 1 and word.isdigit():
        return word
    value = _UNITS.get(word)
    return str(value) if value is not None and value <= 9 else None
