"""The calling window: at which hours of which days a lead may be called, by the lead's own clock.

The clock is that of the time zone a lead came with, otherwise that of its phone number. Some numbers can be
in several zones (mobile numbers of wide countries, toll-free numbers): then all their clocks have to agree.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property, lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone as numbering
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_HOLIDAYS = 366


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


def lead_zones(time_zone: str | None, phone: str) -> tuple[str, ...]:
    """IANA names of the zones that a lead's clock may show, sorted; () when nothing is known.

    The zone that was given, otherwise those of the E.164 number `phone`. Of zones whose clocks show the same
    time nowadays, one stands for all.
    """
    if time_zone is not None:
        return (time_zone,)
    try:
        known = numbering.time_zones_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return ()
    return distinct_zones(tuple(name for name in known if name != numbering.UNKNOWN_TIMEZONE))


@lru_cache(maxsize=1024)
def zones_of_text(text: str) -> tuple[tzinfo, ...]:
    """The zones of names joined by `|`, as a lead's row has them; () for the empty text."""
    return tuple(zone(name) for name in text.split("|") if name)


def zones_of(time_zone: str | None, phone: str) -> tuple[tzinfo, ...]:
    """The zones that `lead_zones` names."""
    return tuple(zone(name) for name in lead_zones(time_zone, phone))


@lru_cache(maxsize=1024)
def distinct_zones(names: tuple[str, ...]) -> tuple[str, ...]:
    """The shortest name of each clock among these zones, judged by the days of the coming three years."""
    if len(names) < 2:
        return names
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    days = [noon + timedelta(days=ahead) for ahead in range(3 * 366)]
    shortest: dict[tuple[timedelta | None, ...], str] = {}
    for name in sorted(names, key=lambda name: (len(name), name)):
        clock = zone(name)
        shortest.setdefault(tuple(day.astimezone(clock).utcoffset() for day in days), name)
    return tuple(sorted(shortest.values()))


class CallingWindow(BaseModel):
    """Hours of the day, from `start` up to but not including `end`, on `days`, by the clocks of the lead.

    `end` before `start` means a window that runs over midnight and belongs to the day it starts on;
    equal ends mean the whole day. On `holidays` it does not start. Where clocks are put forward or back, it is
    what they show that counts: an hour that is skipped is not made up for, one that comes twice is open twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: time = Field(time(9, 0), description="the first moment of the day at which it is open")
    end: time = Field(time(21, 0), description="it is closed from this moment on; before `start`: on the next day")
    days: tuple[str, ...] = Field(WEEKDAYS, description="weekdays on which it opens: mon, tue, wed, thu, fri, sat, sun")
    holidays: tuple[date, ...] = Field(
        (), max_length=MAX_HOLIDAYS, description="dates on which it does not open, such as 2026-12-25"
    )
    time_zone: TimeZoneName = Field(
        "UTC", description="for leads whose zone is neither given nor known from their phone number"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        unknown = [day for day in self.days if day not in WEEKDAYS]
        if unknown:
            raise ValueError(f"unknown days {unknown}: write them as {', '.join(WEEKDAYS)}")
        if not self.days:
            raise ValueError("a calling window needs at least one day")
        return self

    def is_open(self, at: datetime, zones: Sequence[tzinfo] = ()) -> bool:
        """Whether a lead may be called at the aware time `at`: whether the clocks of all `zones` say so.

        Without zones it is the clock of the window's own `time_zone` that counts; so it is with zones so far
        apart that their clocks would never agree, in a week without holidays.
        """
        if all(self._open_by(at.astimezone(clock)) for clock in zones):
            return bool(zones) or self._open_by(at.astimezone(self._own_zone))
        return not self._agree(at, zones) and self._open_by(at.astimezone(self._own_zone))

    def next_open(self, at: datetime, zones: Sequence[tzinfo] = ()) -> datetime:
        """`at` itself while the window is open, otherwise the next moment at which it opens (aware, UTC).

        Raises ValueError when there is none: not while clocks are as they are on earth.
        """
        if self.is_open(at, zones):
            return at
        clocks = (*zones, self._own_zone) if zones else (self._own_zone,)
        last_day = max((at.date(), *self.holidays)) + timedelta(days=_LOOK_AHEAD_DAYS)
        since = at.astimezone(UTC)
        while since.date() <= last_day:
            until = since + timedelta(days=1)
            moments = {moment for clock in clocks for moment in (*self._starts(since, clock), *_change(since, clock))}
            for moment in sorted(moments):
                if since < moment <= until and self.is_open(moment, zones):
                    return moment
            since = until
        raise ValueError(f"this calling window never opens: {self.model_dump_json()}")

    @cached_property
    def _own_zone(self) -> tzinfo:
        return zone(self.time_zone)

    @cached_property
    def _closed_on(self) -> frozenset[date]:
        return frozenset(self.holidays)

    def _starts_on(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.days and day not in self._closed_on

    def _open_by(self, local: datetime) -> bool:
        clock = local.time()
        if self.start < self.end:
            return self.start <= clock < self.end and self._starts_on(local.date())
        if clock >= self.start:
            return self._starts_on(local.date()) or (clock < self.end and self._started_before(local))
        return clock < self.end and self._started_before(local)

    def _started_before(self, local: datetime) -> bool:
        return self._starts_on(local.date() - timedelta(days=1))

    def _agree(self, at: datetime, zones: Sequence[tzinfo]) -> bool:
        """Whether the clocks of `zones`, as far apart as they are at `at`, agree at some time of the week."""
        if len(zones) < 2:
            return True
        offsets = {at.astimezone(clock).utcoffset() or timedelta(0) for clock in zones}
        return _ever_agree(self.start, self.end, self.days, tuple(sorted(offsets)))

    def _starts(self, since: datetime, clock: tzinfo) -> Iterator[datetime]:
        """The times around the day from `since` at which a clock shows the start; twice when it shows it twice."""
        first = since.astimezone(clock).date()
        for day in (first, first + timedelta(days=1), first + timedelta(days=2)):
            if self._starts_on(day):
                starts = datetime.combine(day, self.start, clock)
                yield starts.astimezone(UTC)
                yield starts.replace(fold=1).astimezone(UTC)


# A weekly window can fall into the hour that a clock skips; then it is the one a week later.
_LOOK_AHEAD_DAYS = 16


@lru_cache(maxsize=4096)
def _ever_agree(start: time, end: time, days: tuple[str, ...], offsets: tuple[timedelta, ...]) -> bool:
    """Whether in an ordinary week clocks this far ahead of UTC are all within such a window at once."""
    week, day = timedelta(days=7), timedelta(days=1)
    opens = timedelta(hours=start.hour, minutes=start.minute, seconds=start.second, microseconds=start.microsecond)
    closes = timedelta(hours=end.hour, minutes=end.minute, seconds=end.second, microseconds=end.microsecond)
    length = closes - opens if start < end else closes - opens + day
    starts = [WEEKDAYS.index(name) * day + opens for name in days]

    def is_open(moment: timedelta, offset: timedelta) -> bool:
        return any((moment + offset - began) % week < length for began in starts)

    # They agree first, if ever, when one of them opens.
    return any(all(is_open(began - one, offset) for offset in offsets) for one in offsets for began in starts)


def _change(since: datetime, clock: tzinfo) -> Iterator[datetime]:
    """The moment, to the second, in the day from `since` at which a clock is put forward or back."""

    def offset(moment: datetime) -> timedelta | None:
        return moment.astimezone(clock).utcoffset()

    before = since.replace(microsecond=0)
    after = before + timedelta(days=1, seconds=1)
    if offset(before) == offset(after):
        return
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if offset(middle) == offset(before):
            before = middle
        else:
            after = middle
    yield after


def zone_among(zones: Sequence[tzinfo], window: CallingWindow | None) -> tzinfo:
    """The one zone to promise a time in: the lead's; the window's own, or UTC, when that is not known for sure."""
    if len(zones) == 1:
        return zones[0]
    return zone(window.time_zone) if window is not None else UTC
