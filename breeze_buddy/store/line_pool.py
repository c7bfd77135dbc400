"""The free lines of one decision, and which of them a call goes out on.

Near numbers first (same country and area code as the person called, then same country), then the number that
made the fewest calls today, then the one with the most free lines.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Integer, Row, bindparam, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from breeze_buddy.domain.inbound import InboundPolicy
from breeze_buddy.domain.presence import nearness
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import campaign_numbers, lines, number_days, numbers

# Made once: what every decision asks is not put together anew each time.
_FREE = select(lines.c.number_id, func.count().label("n")).where(lines.c.call_id.is_(None)).group_by(lines.c.number_id)
_FREE_LINES = _FREE.subquery()
_ENABLED = (
    select(numbers, number_days.c.calls.label("used"), _FREE_LINES.c.n.label("free"))
    .outerjoin(_FREE_LINES, _FREE_LINES.c.number_id == numbers.c.id)
    .outerjoin(number_days, (number_days.c.number_id == numbers.c.id) & (number_days.c.day == bindparam("on_day")))
    .where(numbers.c.enabled.is_(True))
)
_FREE_OF_NUMBER = (
    select(lines.c.id)
    .where(lines.c.number_id == bindparam("of_number"), lines.c.call_id.is_(None))
    .order_by(lines.c.channel)
    .limit(bindparam("count", type_=Integer))
)
_LEASED = (
    update(lines)
    .where(lines.c.id == bindparam("of_line"))
    .values(call_id=bindparam("of_call"), campaign_id=bindparam("of_campaign"), leased_at=bindparam("at"))
)
_COUNTED = {
    name: dialect.insert(number_days).on_conflict_do_update(
        index_elements=["number_id", "day"], set_={"calls": number_days.c.calls + bindparam("by", type_=Integer)}
    )
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}

_CAPPED = select(
    exists().where(
        campaign_numbers.c.campaign_id == bindparam("of_campaign"),
        campaign_numbers.c.number_id == numbers.c.id,
        numbers.c.enabled.is_(True),
        numbers.c.daily_cap.is_not(None),
    )
)


def day_of(moment: datetime) -> date:
    """The day that a daily cap counts in: days are UTC's."""
    return moment.astimezone(UTC).date()


def day_after(moment: datetime) -> datetime:
    """When the next day begins that daily caps count in."""
    return datetime.combine(day_of(moment) + timedelta(days=1), time(), UTC)


@dataclass(slots=True)
class NumberLines:
    """One number with at least one free line."""

    id: str
    phone: str
    free: int
    called_today: int
    daily_cap: int | None

    @property
    def usable(self) -> bool:
        return self.free > 0 and (self.daily_cap is None or self.called_today < self.daily_cap)


class LinePool:
    """What is free at the beginning of a decision, and what the decision has taken of it."""

    def __init__(self, found: list[NumberLines], channels: dict[str, int], day: date) -> None:
        self._numbers = {number.id: number for number in found}
        self.channels = channels
        """Channels of every enabled number, free or not."""
        self._day = day

    @property
    def empty(self) -> bool:
        return not any(number.usable for number in self._numbers.values())

    @property
    def free(self) -> int:
        """Calls that can go out, if there were leads for every number."""
        return sum(number.free for number in self._numbers.values() if number.usable)

    def usable(self, number_ids: Collection[str]) -> list[NumberLines]:
        """Those of these numbers that can carry one more call."""
        found = (self._numbers.get(number_id) for number_id in number_ids)
        return [number for number in found if number is not None and number.usable]

    def choose(self, number_ids: Collection[str], phone: str) -> NumberLines | None:
        """The number to call `phone` from."""
        usable = self.usable(number_ids)
        if len(usable) == 1:
            return usable[0]  # however far: where people are is not worked out for nothing
        return min(usable, key=lambda n: (-nearness(n.phone, phone), n.called_today, -n.free, n.id), default=None)

    def take(self, number: NumberLines) -> None:
        """One more call goes out on it."""
        number.free -= 1
        number.called_today += 1

    async def lease(self, tx: Transaction, granted: Sequence[dict[str, Any]], now: datetime) -> None:
        """Give each of these rows of `calls` a line of its number, and count them for the day."""
        by_number: dict[str, list[dict[str, Any]]] = {}
        for call in granted:
            by_number.setdefault(call["number_id"], []).append(call)
        leased: list[dict[str, Any]] = []
        for number_id, its_calls in by_number.items():
            free = await tx.scalars(_FREE_OF_NUMBER, {"of_number": number_id, "count": len(its_calls)})
            pairs = zip(free, its_calls, strict=True)
            leased += [
                {"of_line": line, "of_call": c["id"], "of_campaign": c["campaign_id"], "at": now} for line, c in pairs
            ]
            await _count(tx, number_id, self._day, len(its_calls))
        await tx.execute(_LEASED, leased)


async def line_pool(tx: Transaction, *, now: datetime) -> LinePool:
    """Read what is free now; lines that numbers keep for callers are not."""
    day = day_of(now)
    rows = await tx.execute(_ENABLED, {"on_day": day})
    found, channels = [], {}
    for row in rows:
        channels[row.id] = row.channels
        left = (row.free or 0) - _reserve(row)
        if left > 0:
            found.append(NumberLines(row.id, row.phone, left, row.used or 0, row.daily_cap))
    return LinePool(found, channels, day)


def _reserve(row: Row[Any]) -> int:
    """How many channels outbound calls leave free, for those who call us."""
    return InboundPolicy.model_validate(row.inbound).reserve if row.inbound is not None else 0


async def uncount(tx: Transaction, call: Row[Any]) -> None:
    """A call that was granted a line and was never made does not count for the day of its number."""
    await _count(tx, call.number_id, day_of(call.granted_at), -1)


async def _count(tx: Transaction, number_id: str, day: date, by: int) -> None:
    counted = {"number_id": number_id, "day": day, "calls": max(by, 0), "by": by}
    await tx.execute(_COUNTED[tx.dialect.name], counted)


async def has_daily_cap(tx: Transaction, campaign_id: str) -> bool:
    """Whether a number that a campaign calls from has a daily cap: then the end of the day may bring it lines."""
    return bool(await tx.scalar(_CAPPED, {"of_campaign": campaign_id}))
