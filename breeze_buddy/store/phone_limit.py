"""At most so many calls to one phone number in so many hours, by all campaigns together: what dispatch knows of it.

Leads whose number has had its calls are not granted a line. They become due at the moment from which their number may
be called again, so that no decision looks at them before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, String, bindparam, func, select, update

from breeze_buddy.domain.call import Direction
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.store.backlog_indexes import STILL_READY, WAITING
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import UtcDateTime, calls, leads

MOST_AT_ONCE = 1000
"""So many leads are put off in one decision; whoever comes next looks further."""

_LOCKED = (
    select(leads.c.id)
    .where(leads.c.id.in_(bindparam("of_leads", expanding=True)), STILL_READY)
    .with_for_update(key_share=True, skip_locked=True)
)
_NEXT_WAKE = select(func.min(leads.c.due_at)).where(
    leads.c.campaign_id == bindparam("of_campaign"), WAITING, leads.c.due_at > bindparam("now"), leads.c.grants == 0
)
_PUT_OFF = update(leads).where(leads.c.id == bindparam("of_lead")).values(due_at=bindparam("again_at"), ready=False)


def had_enough_since(phone: ColumnElement[str]) -> ColumnElement[datetime | None]:
    """When the oldest of the calls to `phone` was granted that use up its limit; NULL while one more is allowed.
    To be asked with `binds`."""
    return (
        select(calls.c.granted_at)
        .where(
            calls.c.to_phone == phone,
            calls.c.granted_at > bindparam("period_began", type_=UtcDateTime()),
            calls.c.direction == Direction.OUTBOUND,
            calls.c.sid.is_not(None),
        )
        .order_by(calls.c.granted_at.desc())
        .offset(bindparam("newer_calls", type_=Integer))
        .limit(1)
        .scalar_subquery()
    )


_HAD_ENOUGH = select(had_enough_since(bindparam("phone", type_=String)))


def binds(limits: AccountLimits, now: datetime) -> dict[str, Any]:
    """What `had_enough_since` is asked with; nothing without a limit."""
    if limits.calls_per_phone is None:
        return {}
    return {"period_began": now - _period(limits), "newer_calls": limits.calls_per_phone - 1}


async def free_again_at(tx: Transaction, phone: str, limits: AccountLimits, *, now: datetime) -> datetime | None:
    """When a number may be called again that has had its calls; None when it may be called now."""
    if limits.calls_per_phone is None:
        return None
    since: datetime | None = await tx.scalar(_HAD_ENOUGH, {"phone": phone, **binds(limits, now)})
    return since + _period(limits) if since is not None else None


@dataclass(frozen=True, slots=True)
class PutOff:
    """How many leads were put off, and whether one of them is due before the campaign's workflow would wake for
    another one. The others are in somebody else's hands."""

    count: int
    wakes_earlier: bool


async def put_off(
    tx: Transaction, campaign_id: str, found: Sequence[Row[Any]], limits: AccountLimits, *, now: datetime
) -> PutOff:
    """Let ready leads of a campaign, found with `had_enough_since`, become due when their numbers may be called."""
    free = {row.id for row in found}
    if tx.dialect.name == "postgresql":  # a write is alone on SQLite
        free = set(await tx.scalars(_LOCKED, {"of_leads": list(free)}))
    again = [{"of_lead": row.id, "again_at": row.had_enough_since + _period(limits)} for row in found if row.id in free]
    if not again:
        return PutOff(0, wakes_earlier=False)
    # Only one that has no workflow is known to be waited for by the campaign's.
    next_wake = await tx.scalar(_NEXT_WAKE, {"of_campaign": campaign_id, "now": now})
    await tx.execute(_PUT_OFF, again)
    earliest = min(lead["again_at"] for lead in again)
    return PutOff(len(again), wakes_earlier=next_wake is None or earliest < next_wake)


def _period(limits: AccountLimits) -> timedelta:
    return timedelta(hours=limits.calls_per_phone_hours)
