"""Dates as people say them: "the twenty-fourth of November", "next Friday", "tomorrow", "in two weeks"."""

import re
from datetime import date, timedelta

from breeze_buddy.media.spoken_numbers import number_words_as_digits

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = {
    "first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight", "ninth": "nine",
    "twelfth": "twelve", "twentieth": "twenty", "thirtieth": "thirty",
}  # fmt: skip
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS)


def spoken_date(text: str, *, today: date) -> date | None:
    """The day that was said; without a year the next one that comes. None when no day was understood."""
    written = re.search(r"\b(\d{4})-(\d{2})-(\d{2})\b", text)
    if written is not None:
        return _day(*(int(part) for part in written.groups()))
    words = _plain(text)
    return _relative(words, today) or _in_a_month(words, today) or _weekday(words, today)


def _plain(text: str) -> str:
    words = re.findall(r"[a-z']+|[0-9]+", re.sub(r"([0-9])(st|nd|rd|th)\b", r"\1", text.lower()))
    return " ".join(number_words_as_digits(tuple(_cardinal(word) for word in words)))


def _cardinal(word: str) -> str:
    if word in _ORDINALS:
        return _ORDINALS[word]
    stem = word.removesuffix("th")
    known = {"four", "six", "seven", "ten", "eleven", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"}
    return stem if stem in known | {"eighteen", "nineteen"} else word


def _relative(words: str, today: date) -> date | None:
    if "day after tomorrow" in words:
        return today + timedelta(days=2)
    for word, days in (("tomorrow", 1), ("today", 0), ("tonight", 0), ("yesterday", -1)):
        if re.search(rf"\b{word}\b", words):
            return today + timedelta(days=days)
    ahead = re.search(r"\bin (an?|[0-9]{1,3}) (day|week)s?\b", words)
    if ahead is None:
        return None
    many = 1 if ahead[1].startswith("a") else int(ahead[1])
    return today + timedelta(days=many * (7 if ahead[2] == "week" else 1))


def _in_a_month(words: str, today: date) -> date | None:
    found = re.search(
        rf"\b(?P<day>[0-9]{{1,2}}) (?:of )?(?P<month>{_MONTH})\b(?: (?P<year>2 thousand|20 ?[0-9]{{2}}))?", words
    )
    found = found or re.search(
        rf"\b(?P<month>{_MONTH}) (?:the )?(?P<day>[0-9]{{1,2}})\b(?: (?P<year>20 ?[0-9]{{2}}))?", words
    )
    if found is None:
        return None
    month = next(place for place, name in enumerate(_MONTHS, 1) if name.startswith(found["month"][:3]))
    year = found["year"]
    if year is not None and re.fullmatch(r"20 ?[0-9]{2}", year):
        return _day(int(year.replace(" ", "")), month, int(found["day"]))
    coming = _day(today.year, month, int(found["day"]))
    if coming is not None and coming >= today:
        return coming
    return _day(today.year + 1, month, int(found["day"]))


def _weekday(words: str, today: date) -> date | None:
    named = re.search(rf"\b({'|'.join(_WEEKDAYS)})\b", words)
    if named is None:
        return None
    return today + timedelta(days=(_WEEKDAYS.index(named[1]) - today.weekday() - 1) % 7 + 1)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def said_as_date(day: date) -> str:
    """How a day is read out: "Tuesday, November 24"."""
    return f"{_WEEKDAYS[day.weekday()].capitalize()}, {_MONTHS[day.month - 1].capitalize()} {day.day}"
