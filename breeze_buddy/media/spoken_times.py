"""Times as people say them: "tomorrow at five", "in half an hour", "Monday morning", "the day after tomorrow"."""

import re
from datetime import time, timedelta

from breeze_buddy.domain.promise import LONGEST_PROMISE, Callback, ClockTime
from breeze_buddy.media.spoken_numbers import number_words_as_digits

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PARTS = {"morning": time(10), "noon": time(12), "midday": time(12), "afternoon": time(15), "evening": time(19)}
_LATE = r"\b(pm|afternoon|evening|tonight|night)\b"

# Without "am" or "pm", an hour before this one is one of the afternoon.
_FIRST_HOUR = 8


def spoken_time(text: str) -> Callback | None:
    """When to call back, as it was said; None when no time was understood, or one more than 30 days ahead."""
    words = " ".join(number_words_as_digits(tuple(re.findall(r"[a-z']+|[0-9]+", _plain(text)))))
    wait = _wait(words)
    if wait is not None:
        return wait if timedelta(0) < wait <= LONGEST_PROMISE else None
    days_ahead, weekday = _day(words)
    at = _clock(words)
    if at is None and days_ahead is None and weekday is None:
        return None
    return ClockTime(at=at, days_ahead=days_ahead, weekday=weekday)


def spoken_clock(text: str) -> time | None:
    """The time of day that was said, also when it is all that was: "five thirty", "17:45"; None when there was none."""
    words = " ".join(number_words_as_digits(tuple(re.findall(r"[a-z']+|[0-9]+", _plain(text)))))
    alone = re.fullmatch(r"(?:(?:um|uh|well|maybe|around|about) )*([0-9]{1,2}(?: [0-5][0-9])?)(?: please)?", words)
    return _clock(f"at {alone[1]}") if alone is not None else _clock(words)


def _plain(text: str) -> str:
    return re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text.lower())


def _wait(words: str) -> timedelta | None:
    if re.search(r"\bin (?:about )?half an hour\b", words):
        return timedelta(minutes=30)
    found = re.search(r"\bin (?:about )?(an?|[0-9]{1,4}) (minute|hour|day|week)s?\b(?! at\b)( and a half)?", words)
    if found is None:
        return None
    count, unit, half = found.groups()
    many = 1 if count.startswith("a") else int(count)
    return _UNITS[unit] * many + (_UNITS[unit] / 2 if half else timedelta(0))


def _day(words: str) -> tuple[int | None, int | None]:
    ahead = re.search(r"\bin (an?|[0-9]{1,2}) (day|week)s? at\b", words)
    if ahead is not None:
        days = (1 if ahead[1].startswith("a") else int(ahead[1])) * (7 if ahead[2] == "week" else 1)
        return (days, None) if days <= LONGEST_PROMISE.days else (None, None)
    if "day after tomorrow" in words:
        return 2, None
    if re.search(r"\btomorrow\b", words):
        return 1, None
    if re.search(r"\b(today|tonight|this (morning|afternoon|evening))\b", words):
        return 0, None
    named = re.search(rf"\b({'|'.join(_WEEKDAYS)})s?\b", words)
    return None, _WEEKDAYS.index(named[1]) if named else None


def _clock(words: str) -> time | None:
    between = re.search(r"\b(half|quarter|[0-9]{1,2}) (?:minutes )?(past|to) ([0-9]{1,2})\b", words)
    if between is not None:
        minutes = {"half": 30, "quarter": 15}.get(between[1]) or int(between[1]) % 60
        hour = _hour(int(between[3]), words)
        if hour is None:
            return None
        total = hour * 60 + (minutes if between[2] == "past" else -minutes)
        return time(total // 60 % 24, total % 60)
    found = (
        re.search(r"\bat ([0-9]{1,2})(?: ([0-5][0-9]))?\b", words)
        or re.search(r"\b([0-9]{1,2})(?: ([0-5][0-9]))? (?:am|pm|o'clock|in the|tomorrow|today|tonight)\b", words)
        or re.search(r"\b([0-9]{1,2}) ([0-5][0-9])\b", words)
        or re.search(rf"\b(?:tomorrow|today|tonight|{'|'.join(_WEEKDAYS)}) ([0-9]{{1,2}})(?: ([0-5][0-9]))?\b", words)
    )
    if found is None:
        part = re.search(rf"\b({'|'.join(_PARTS)})\b", words)
        return _PARTS[part[1]] if part else time(19) if "tonight" in words else None
    hour = _hour(int(found[1]), words)
    return time(hour, int(found[2] or 0)) if hour is not None else None


def _hour(said: int, words: str) -> int | None:
    """The hour of the day, 0 to 23; None when no clock shows it."""
    if said > 24:
        return None
    if said > 12 or said == 0:
        return said % 24
    if re.search(_LATE, words):
        return said % 12 + 12
    if re.search(r"\b(am|morning)\b", words):
        return said % 12
    return said if said >= _FIRST_HOUR else said + 12
