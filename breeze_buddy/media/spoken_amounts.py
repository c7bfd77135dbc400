"""Amounts as people say them: "a hundred and twenty", "twelve point five", "minus three", "two and a half"."""

import re

from breeze_buddy.media.spoken_numbers import number_words_as_digits

_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_SHORT = {"dozen": "12", "couple": "2"}


def spoken_amounts(text: str) -> tuple[float, ...]:
    """All amounts in what was said, in order."""
    plain = re.sub(r"(?<=[0-9]),(?=[0-9]{3}\b)", "", text.lower())
    words = re.findall(r"[a-z']+|[0-9]+(?:\.[0-9]+)?|-(?=[0-9])", plain.replace("-", " ") if "- " in plain else plain)
    words = [_SHORT.get(word, word) for word in words]
    read = list(number_words_as_digits(tuple(words)))
    found: list[float] = []
    at = 0
    while at < len(read):
        amount, after = _amount(read, at)
        if amount is None:
            at += 1
            continue
        found.append(-amount if at > 0 and read[at - 1] in {"minus", "negative", "-"} else amount)
        at = after
    return tuple(found)


def _amount(words: list[str], at: int) -> tuple[float | None, int]:
    """The amount that begins at `at`, and where it ends."""
    whole = group = 0.0
    begun = False
    start = at
    while at < len(words):
        word = words[at]
        if _is_number(word) and (not begun or words[at - 1] in _SCALES or words[at - 1] == "and"):
            group += float(word)
        elif word in _SCALES and (begun or (at > 0 and words[at - 1] == "a") or at == start):
            scale = _SCALES[word]
            group = max(group, 1.0) * scale
            if scale > 100:
                whole, group = whole + group, 0.0
        elif word == "and" and begun and _goes_on(words, at):
            pass
        else:
            break
        begun = True
        at += 1
    if not begun:
        return None, at
    amount, at = _fraction(words, at, whole + group)
    return amount, at


def _goes_on(words: list[str], at: int) -> bool:
    """Whether the "and" at `at` stands inside an amount: "a hundred and twenty"."""
    return words[at - 1] in _SCALES and at + 1 < len(words) and _is_number(words[at + 1])


def _fraction(words: list[str], at: int, amount: float) -> tuple[float, int]:
    if at + 1 < len(words) and words[at] == "point" and words[at + 1].isdigit():
        digits = ""
        at += 1
        while at < len(words) and words[at].isdigit():
            digits += words[at]
            at += 1
        return amount + float(f"0.{digits}"), at
    if words[at : at + 3] == ["and", "a", "half"]:
        return amount + 0.5, at + 3
    return amount, at


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", word) is not None
