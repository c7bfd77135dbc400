"""The calling window: at which hours of which days a lead may be called, in the lead's own time zone."""

from datetime import date, datetime, time, timedelta, tzinfo
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
    equal ends mean the whole day.
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
        """Whether a lead in `lead_zone` may be called at the aware time `at`."""
        local = at.astimezone(lead_zone or zone(self.time_zone))
        return any(
            start <= at < end for start, end in (self._on(local.date(), local.tzinfo, back) for back in (0, 1)) if start
        )

    def next_open(self, at: datetime, lead_zone: tzinfo | None = None) -> datetime:
        """`at` itself while the window is open, otherwise the next moment at which it opens (aware, UTC)."""
        if self.is_open(at, lead_zone):
            return at
        local = at.astimezone(lead_zone or zone(self.time_zone))
        starts = (self._on(local.date(), local.tzinfo, -ahead)[0] for ahead in range(9))
        return next(start for start in starts if start is not None and start > at)

    def _on(self, today: date, tz: tzinfo | None, days_back: int) -> tuple[datetime | None, datetime]:
        """Start and end of the window that begins `days_back` days before `today`; (None, …) if none does."""
        utc = ZoneInfo("UTC")
        day = today - timedelta(days=days_back)
        opens = datetime.combine(day, self.start, tz)
        closes = datetime.combine(day + timedelta(days=self.end <= self.start), self.end, tz)
        start = opens.astimezone(utc) if WEEKDAYS[day.weekday()] in self.days else None
        return start, closes.astimezone(utc)
