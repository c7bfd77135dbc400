"""When a campaign is to be run again and again: a cron expression on the clock of a time zone."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from breeze_buddy.domain.window import TimeZoneName

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: place for place, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 7, {name: place for place, name in enumerate(_DAYS)}),
)
_LEAP_YEAR = 2028


def _checked(cron: str) -> str:
    """The expression with single spaces. Raises ValueError, naming the field that is wrong."""
    parts = cron.lower().split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f"{cron!r} has {len(parts)} fields instead of 5: minute, hour, day of month, month, day of week;"
            " '0 9 * * mon-fri' is nine o'clock from Monday to Friday"
        )
    values = [_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    days, months = values[2], values[3]
    if "*" not in (parts[2], parts[4]):
        raise ValueError("give a day of month or a day of week, and * for the other one")
    if not any(_is_a_day(month, day) for month in months for day in days):
        raise ValueError(f"{cron!r} names a day that no month has")
    return " ".join(parts)


def _values(part: str, name: str, lowest: int, highest: int, words: dict[str, int]) -> set[int]:
    """What one field stands for: `*`, a value, a range, each with a step, and lists of these."""

    def number(text: str) -> int:
        value = words.get(text, int(text) if text.isascii() and text.isdigit() else -1)
        if not lowest <= value <= highest:
            raise ValueError(f"{text!r} is no {name}: it is {lowest} to {highest}")
        return value

    found: set[int] = set()
    for item in part.split(","):
        span, has_step, step = item.partition("/")
        if has_step and not (step.isascii() and step.isdigit() and int(step) > 0):
            raise ValueError(f"{item!r}: a step of the {name} is a number above 0")
        first, is_range, last = span.partition("-")
        begin, end = (lowest, highest) if span == "*" else (number(first), number(last if is_range else first))
        if begin > end:
            raise ValueError(f"{item!r}: a range of the {name} begins with the smaller one")
        if has_step and span != "*" and not is_range:
            end = highest
        found.update(range(begin, end + 1, int(step) if has_step else 1))
    return found


def _is_a_day(month: int, day: int) -> bool:
    try:
        date(_LEAP_YEAR, month, day)
    except ValueError:
        return False
    return True


class Recurrence(BaseModel):
    """At each of these times a fresh campaign begins; one is left out while the last one still runs.

    They are what the clock shows: in the night in which it is put forward there is none in the hour that is skipped,
    and in the night in which it is put back one in the hour that comes twice is there once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: Annotated[str, Field(max_length=200), AfterValidator(_checked)] = Field(
        description="minute, hour, day of month, month, day of week", examples=["0 9 * * mon-fri"]
    )
    time_zone: TimeZoneName = Field("UTC", description="whose clock shows these times")

    def __str__(self) -> str:
        return f"{self.cron} ({self.time_zone})"
