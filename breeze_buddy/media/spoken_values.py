"""Typed values as callers give them: in words, or on the keypad; and as they are read back.

Keys of a date are day and month (2411), of a time hours and minutes (1730), of a number digits with * for the point;
1 is yes and 2 is no; the values of an enum are counted from 1.
"""

import re
from datetime import date, time, timedelta

from breeze_buddy.domain.flow import Function, NotAValue, Typed, read_value
from breeze_buddy.media.phrases import choose_function
from breeze_buddy.media.spoken_amounts import spoken_amounts
from breeze_buddy.media.spoken_dates import said_as_date, spoken_date
from breeze_buddy.media.spoken_numbers import number_words_as_digits, spoken_digits
from breeze_buddy.media.spoken_times import spoken_clock

_YES_OR_NO = (
    Function(
        name="yes", phrases=("yes", "correct", "that is right", "right", "sure", "please do", "ok", "true"), go="x"
    ),
    Function(name="no", phrases=("no", "not correct", "not right", "wrong", "false", "do not"), go="x"),
)


def spoken_value(typed: Typed, text: str, *, today: date) -> str | None:
    """The value in what was said, in the form in which it is kept; None when there is none, or one outside the limits.

    `today` is the date on the caller's own calendar.
    """
    for given in _readings(typed, text, today):
        try:
            return read_value(typed, given, today=today)
        except NotAValue:
            continue
    return None


def keyed_value(typed: Typed, keys: str, *, today: date) -> str | None:
    """The value of these keys, without the one that ended them."""
    try:
        match typed.value_type:
            case "string":
                return None
            case "boolean":
                return {"1": "yes", "2": "no"}.get(keys)
            case "enum":
                values = tuple(typed.values or ())
                return values[int(keys) - 1] if keys.isdigit() and 0 < int(keys) <= len(values) else None
            case "date":
                day = _keyed_date(keys, today)
                return read_value(typed, day.isoformat(), today=today) if day is not None else None
            case "time":
                given = f"{keys.zfill(4)[:2]}:{keys.zfill(4)[2:]}"
                return read_value(typed, given, today=today) if keys.isdigit() and 3 <= len(keys) <= 4 else None
            case "number":
                return read_value(typed, keys.replace("*", "."), today=today)
            case _:
                return read_value(typed, keys, today=today)
    except NotAValue:
        return None


def keys_in_all(typed: Typed) -> int | None:
    """How many keys such a value has at most; None when only a pause or the last key tells."""
    match typed.value_type:
        case "boolean":
            return 1
        case "enum":
            return len(str(len(typed.values or ())))
        case "date" | "time":
            return 4
        case "digits":
            return typed.length or typed.max_length
        case "integer" if typed.maximum is not None and (typed.minimum or 0) >= 0:
            return len(str(int(typed.maximum)))
        case _:
            return None


def read_back(typed: Typed, value: str) -> str:
    """A kept value as the agent says it: numbers that were dictated digit by digit, dates and times in words."""
    match typed.value_type:
        case "digits":
            return " ".join(value)
        case "phone":
            return " ".join(value.removeprefix("+"))
        case "date" if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            return said_as_date(date.fromisoformat(value))
        case "time" if re.fullmatch(r"\d{2}:\d{2}", value):
            at = time.fromisoformat(value)
            minutes = f" {at:%M}" if at.minute > 9 else f" oh {at.minute}" if at.minute else ""
            return f"{at.hour % 12 or 12}{minutes} {'a m' if at.hour < 12 else 'p m'}"
        case _:
            return value


def _readings(typed: Typed, text: str, today: date) -> list[str]:
    """What the words could be, the likeliest first."""
    text = text.strip().rstrip(".,;!?")
    match typed.value_type:
        case "string":
            return _texts(typed, text)
        case "digits":
            return [spoken_digits(text)]
        case "integer" | "number":
            amounts = set(spoken_amounts(text))  # "three, yes, three" is three; "three or four" is neither
            return [f"{amount:.15g}" for amount in amounts] if len(amounts) == 1 else []
        case "boolean":
            chosen = choose_function(text, _YES_OR_NO)
            return [chosen.name] if chosen is not None else []
        case "date":
            day = spoken_date(text, today=today)
            return [day.isoformat()] if day is not None else []
        case "time":
            at = spoken_clock(text)
            return [f"{at:%H:%M}"] if at is not None else []
        case "phone":
            digits = spoken_digits(text)
            return [f"+{digits}", digits] if re.search(r"\bplus\b|\+", text.lower()) else [digits, f"+{digits}"]
        case "enum":
            return _choice(typed, text)


def _texts(typed: Typed, text: str) -> list[str]:
    if typed.pattern is None:
        return [text]
    spelled = "".join(number_words_as_digits(tuple(re.findall(r"[a-z]+|[0-9]+", text.lower())))).upper()
    return [text, spelled]  # "A B, one two" is AB12


def _choice(typed: Typed, text: str) -> list[str]:
    values = tuple((typed.values or {}).items())
    offered = tuple(
        Function(name=f"v{place}", phrases=(value.replace("_", " "), *phrases), go="x")
        for place, (value, phrases) in enumerate(values)
    )
    chosen = choose_function(text, offered)
    return [values[int(chosen.name[1:])][0]] if chosen is not None else []


def _keyed_date(keys: str, today: date) -> date | None:
    if not re.fullmatch(r"[0-9]{4}", keys):
        return None
    for year in (today.year, today.year + 1):
        try:
            day = date(year, int(keys[2:]), int(keys[:2]))
        except ValueError:
            continue
        if day >= today - timedelta(days=30):
            return day
    return None
