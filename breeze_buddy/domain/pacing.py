"""How fast calls are placed: the time between two of them, and how far ahead lines are given out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# Requests travel for different times: with this much more between two, N a second are never N + 1 in any second.
_SLACK = 1.03

HORIZON = timedelta(seconds=2)
"""A line is granted at most so long before its call may be placed (but one line always is)."""

LONGEST_HOLD = timedelta(seconds=1)
"""A dial whose turn is nearer than this waits for it in place; for a later one it comes again."""

UNDER_WAY = timedelta(milliseconds=10)
"""A turn is at least so far ahead, for the transaction that takes it: a call that waits for nobody would otherwise be
late by that transaction, and those that follow it too near."""

TOO_LATE = timedelta(milliseconds=10)
"""A call that is placed later than this after its turn is too near to the next one: five a second have 30 ms to spare
in each second, and what is left of them is the request's, whose time to Twilio nobody knows before."""


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What holds for all campaigns of the account together."""

    calls_per_second: float
    # At most so many calls to one phone number in so many hours; None: no such limit.
    calls_per_phone: int | None = None
    calls_per_phone_hours: float = 24.0


def spacing(calls_per_second: float) -> timedelta:
    """The time between two calls of that rate."""
    return timedelta(seconds=_SLACK / calls_per_second)


def slot(now: datetime, *clocks: datetime | None) -> datetime:
    """The first moment, from `now` on, that all clocks allow."""
    return max(now, *(clock for clock in clocks if clock is not None), now)
