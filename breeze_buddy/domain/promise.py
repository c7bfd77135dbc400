"""When a caller is called back as promised: after a while, or at a time that their own clock shows."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import TypeAlias

LONGEST_PROMISE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time on somebody's clock: "tomorrow at five" is `days_ahead` 1, `at` 17:00.

    `weekday` counts from Monday, 0. With neither day, the next time that the clock shows `at`; without `at`,
    the time of day that it is now.
    """

    at: time | None = None
    days_ahead: int | None = None
    weekday: int | None = None

    def moment(self, now: datetime, clock: tzinfo) -> datetime:
        """That time, aware (UTC), for somebody whose clock is `clock`."""
        local = now.astimezone(clock)
        days = self.days_ahead or 0
        if self.weekday is not None:
            days = (self.weekday - local.weekday()) % 7
        wall = datetime.combine(local.date() + timedelta(days=days), self.at or local.time(), clock)
        if self.days_ahead is None and wall.astimezone(UTC) <= now:
            wall += timedelta(days=1 if self.weekday is None else 7)
        return wall.astimezone(UTC)


Callback: TypeAlias = timedelta | ClockTime


def promised_at(callback: Callback, *, now: datetime, clock: tzinfo) -> datetime:
    """The moment that was promised, aware, to somebody whose clock is `clock`."""
    return now + callback if isinstance(callback, timedelta) else callback.moment(now, clock)
