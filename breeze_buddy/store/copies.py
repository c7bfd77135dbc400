"""Copies of leads: into a clone of their campaign, or into the same one, to be called again.

A copy's `request_id` says what it is a copy of, so what is copied twice is added once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal, select

from breeze_buddy.domain.lead import LeadInput, LeadStatus, own_priority
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.pages import behind
from breeze_buddy.store.schema import campaign_numbers, leads

_COPIED = (
    leads.c.id,
    leads.c.created_at,
    leads.c.phone,
    leads.c.variables,
    leads.c.time_zone,
    leads.c.priority,
    leads.c.not_before,
    leads.c.expires_at,
)


@dataclass(frozen=True, slots=True)
class Page:
    """Leads to be written, in the order of their creation, and where the next page begins: None after the last one."""

    leads: list[LeadInput]
    after: tuple[datetime, str] | None


async def numbers_of(tx: Transaction, campaign_id: str) -> list[str]:
    """Ids of the numbers that a campaign calls from."""
    used = select(campaign_numbers.c.number_id).where(campaign_numbers.c.campaign_id == campaign_id)
    return [str(number_id) for number_id in await tx.scalars(used)]


async def to_clone(
    tx: Transaction,
    source_id: str,
    outcomes: Sequence[Outcome] | None,
    *,
    now: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Page:
    """Leads of a campaign as its clone has them: all but DO_NOT_CALL, or those with these outcomes."""
    chosen = leads.c.campaign_id == source_id
    if outcomes is None:
        chosen &= leads.c.outcome.is_(None) | (leads.c.outcome != Outcome.DO_NOT_CALL)
    else:
        chosen &= (leads.c.status == LeadStatus.FINISHED) & leads.c.outcome.in_(outcomes)
    mark = func.coalesce(leads.c.request_id, literal("clone of ") + leads.c.id)
    return await _page(tx, chosen, mark, now=now, after=after, limit=limit)


async def to_redial(
    tx: Transaction,
    campaign_id: str,
    outcomes: Sequence[Outcome],
    *,
    finished_by: datetime,
    now: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Page:
    """Leads of a campaign that had finished with these outcomes at `finished_by`, as they are called again."""
    chosen = and_(
        leads.c.campaign_id == campaign_id,
        leads.c.status == LeadStatus.FINISHED,
        leads.c.outcome.in_(outcomes),
        leads.c.finished_at <= finished_by,
    )
    return await _page(tx, chosen, literal("redial of ") + leads.c.id, now=now, after=after, limit=limit)


async def _page(
    tx: Transaction,
    chosen: ColumnElement[bool],
    mark: ColumnElement[str],
    *,
    now: datetime,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Page:
    query: Select[Any] = select(*_COPIED, mark.label("mark")).where(chosen)
    if after is not None:
        query = query.where(behind((leads.c.created_at, leads.c.id), after))
    rows = (await tx.execute(query.order_by(leads.c.created_at, leads.c.id).limit(limit))).all()
    last = (rows[-1].created_at, rows[-1].id) if len(rows) == limit else None
    return Page([_copy(row, now) for row in rows], last)


def _copy(row: Row[Any], now: datetime) -> LeadInput:
    """What was given for a lead, which was checked then; a time that is over binds its copy no more."""
    ahead = {name: at for name in ("not_before", "expires_at") if (at := getattr(row, name)) is not None and at > now}
    return LeadInput.model_construct(
        phone=row.phone,
        variables=row.variables,
        time_zone=row.time_zone,
        priority=own_priority(row.priority),
        request_id=row.mark,
        **ahead,
    )
