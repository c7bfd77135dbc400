"""The calling window: at which hours of which days a lead may be called, in the lead's own time zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _known_zone(name: str) -> str:
    zone(name)
    return name


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises ValueError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone; write one like 'Asia/Kolkata'") from error


TimeZoneName = Annotated[str, AfterValidator(_known_zone)]
"""A pydantic field type: an IANA time zone name."""


class CallingWindow(BaseModel):
    """Hours of the day, from `start` up to but not including `end`, on `days`, in the zone of the lead.

    `end` before `start` means a window that runs over midnight and belongs to the day it starts on;
    equal ends mean the whole day. Where clocks are put forward or back, it is what they show that counts:
    an hour that is skipped is not made up for, one that comes twice is open twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: time = time(9, 0)
    end: time = time(21, 0)
    days: tuple[str, ...] = WEEKDAYS
    time_zone: TimeZoneName = Field("UTC", description="used for leads that have no time zone of their own")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        unknown = [day for day in self.days if day not in WEEKDAYS]
        if unknown:
            raise ValueError(f"unknown days {unknown}: write them as {', '.join(WEEKDAYS)}")
        if not self.days:
            raise ValueError("a calling window needs at least one day")
        return self

    def is_open(self, at: datetime, lead_zone: tzinfo | None = None) -> bool:
        """Whether a lead in `lead_zone` may be called at the aware time `at`: what the lead's own clock says."""
        local = at.astimezone(lead_zone or zone(self.time_zone))
        clock = local.time()
        today = self._starts_on(local.date())
        if self.start < self.end:
            return today and self.start <= clock < self.end
        yesterday = self._starts_on(local.date() - timedelta(days=1))
        return (today and clock >= self.start) or (yesterday and clock < self.end)

    def next_open(self, at: datetime, lead_zone: tzinfo | None = None) -> datetime:
        """`at` itself while the window is open, otherwise the next moment at which it opens (aware, UTC)."""
        if self.is_open(at, lead_zone):
            return at
        tz = lead_zone or zone(self.time_zone)
        return min(
            moment
            for moment in (*self._starts(at, tz), *_clock_changes(at, tz))
            if moment > at and self.is_open(moment, tz)
        )

    def _starts_on(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.days

    def _starts(self, at: datetime, tz: tzinfo) -> Iterator[datetime]:
        """Every time in the next days at which a clock in `tz` shows the start; twice when it shows it twice."""
        today = at.astimezone(tz).date()
        for ahead in range(_LOOK_AHEAD_DAYS):
            starts = datetime.combine(today + timedelta(days=ahead), self.start, tz)
            yield starts.astimezone(UTC)
            yield starts.replace(fold=1).astimezone(UTC)


# A weekly window can fall into the hour that a clock skips; then it is the one a week later.
_LOOK_AHEAD_DAYS = 16


def _clock_changes(at: datetime, tz: tzinfo) -> Iterator[datetime]:
    """The moments in the next days, to the second, at which clocks in `tz` are put forward or back."""

    def offset(moment: datetime) -> timedelta | None:
        return moment.astimezone(tz).utcoffset()

    first = at.astimezone(UTC).replace(microsecond=0)
    for ahead in range(_LOOK_AHEAD_DAYS):
        before, after = first + timedelta(days=ahead), first + timedelta(days=ahead + 1)
        if offset(before) == offset(after):
            continue
        while after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
            if offset(middle) == offset(before):
                before = middle
            else:
                after = middle
        yield after
