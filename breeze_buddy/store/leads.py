"""Leads: written in bulk, read with their history, moved through their states."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, bindparam, case, func, insert, select, update

from breeze_buddy.domain.campaign import CampaignStatus, check_campaign_transition
from breeze_buddy.domain.lead import Lead, LeadInput, LeadStatus, check_transition, own_priority
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.window import lead_zones
from breeze_buddy.store.database import Transaction, insert_into, serialise_adding
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.lookup import present, unforeseen
from breeze_buddy.store.pages import behind
from breeze_buddy.store.schema import campaign_zones, campaigns, lead_history, leads


@dataclass(frozen=True, slots=True)
class NewLead:
    """A checked lead and the time from which it may be called. `zones` is what `lead_zones` says, joined by `|`."""

    lead: LeadInput
    due_at: datetime
    zones: str = field(init=False)

    def __post_init__(self) -> None:
        # Here and not in `add`: it takes its time, and somebody else may wait for the transaction.
        object.__setattr__(self, "zones", "|".join(lead_zones(self.lead.time_zone, self.lead.phone)))


@dataclass(frozen=True, slots=True)
class StatusChange:
    status: LeadStatus
    at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Added:
    """Ids of the leads that were written, in order, and how many had a request_id that was there before."""

    ids: list[str]
    duplicates: int


# Made once: what every lead asks several times is not put together anew each time.
_OF_ID = select(leads).where(leads.c.id == bindparam("lead_id"))
_LOCKED_OF_ID = _OF_ID.with_for_update()
_CHANGED = update(leads).where(leads.c.id == bindparam("of_lead"))
_NOTED = insert(lead_history)
_CLOSED = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of_campaign"))
    .values(open_leads=campaigns.c.open_leads - bindparam("count"))
)

_STATUS = select(campaigns.c.status).where(campaigns.c.id == bindparam("campaign_id"))
# Leads for a completed campaign set it going again.
check_campaign_transition(CampaignStatus.COMPLETED, CampaignStatus.RUNNING)
_COMPLETED = campaigns.c.status == CampaignStatus.COMPLETED
_OPENED = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of_campaign"), campaigns.c.status != CampaignStatus.CANCELLED)
    .values(
        open_leads=campaigns.c.open_leads + bindparam("count"),
        total_leads=campaigns.c.total_leads + bindparam("count"),
        status=case((_COMPLETED, CampaignStatus.RUNNING), else_=campaigns.c.status),
        resumed_at=case((_COMPLETED, bindparam("at", type_=campaigns.c.resumed_at.type)), else_=campaigns.c.resumed_at),
        ended_at=case((_COMPLETED, None), else_=campaigns.c.ended_at),
    )
)
_CANCELLED = "the campaign was cancelled: start another one for these leads"


def _lead(row: Row[Any]) -> Lead:
    return Lead.model_validate(row._asdict())


async def add(tx: Transaction, campaign_id: str, new: Sequence[NewLead], *, now: datetime) -> Added:
    """Write leads to the backlog. One whose request_id the campaign has already is left as it is.

    Raises NotFound for the campaign, Conflict when it was cancelled.
    """
    await serialise_adding(tx, campaign_id)
    status = await tx.scalar(_STATUS, {"campaign_id": campaign_id})
    if status is None:
        raise NotFound("campaign", campaign_id)
    if status == CampaignStatus.CANCELLED:
        raise Conflict(_CANCELLED)
    seen = await _known_requests(tx, campaign_id, [n.lead.request_id for n in new if n.lead.request_id])
    rows: list[dict[str, Any]] = []
    for item in new:
        request_id = item.lead.request_id
        if request_id is not None:
            if request_id in seen:
                continue
            seen.add(request_id)
        rows.append(
            {
                "id": str(uuid4()),
                "campaign_id": campaign_id,
                **item.lead.model_dump(),
                "zones": item.zones,
                "status": LeadStatus.BACKLOG,
                "attempts": 0,
                "grants": 0,
                "due_at": item.due_at,
                "ready": item.due_at <= now,
                "cancel_hang_up": False,
                "created_at": now,
            }
        )
    if rows:
        await tx.execute(insert(leads), rows)
        await _add_zones(tx, campaign_id, {row["zones"] for row in rows})
        # Last, and not locked before: grants and calls that end change the campaign's row too, and would wait.
        counted = await tx.execute(_OPENED, {"of_campaign": campaign_id, "count": len(rows), "at": now})
        if counted.rowcount == 0:
            raise Conflict(_CANCELLED)
    return Added(ids=[row["id"] for row in rows], duplicates=len(new) - len(rows))


async def _add_zones(tx: Transaction, campaign_id: str, zones: set[str]) -> None:
    """Dispatch looks at a campaign's leads zone by zone."""
    await tx.execute(
        insert_into(tx, campaign_zones).on_conflict_do_nothing(),
        [{"campaign_id": campaign_id, "zones": each} for each in sorted(zones)],
    )


async def _known_requests(tx: Transaction, campaign_id: str, request_ids: list[str]) -> set[str]:
    return await present(tx, leads.c.request_id, request_ids, leads.c.campaign_id == unforeseen(campaign_id))


async def by_request(tx: Transaction, campaign_id: str, request_id: str) -> Lead | None:
    query = select(leads).where(leads.c.campaign_id == campaign_id, leads.c.request_id == request_id)
    row = (await tx.execute(query)).first()
    return _lead(row) if row is not None else None


async def get(tx: Transaction, lead_id: str) -> Lead:
    """Raises NotFound."""
    return _lead(await row_of(tx, lead_id))


async def row_of(tx: Transaction, lead_id: str, *, lock: bool = False) -> Row[Any]:
    """The whole row of a lead. Raises NotFound. `lock`: nobody else changes it until this transaction ends."""
    row = (await tx.execute(_LOCKED_OF_ID if lock else _OF_ID, {"lead_id": lead_id})).first()
    if row is None:
        raise NotFound("lead", lead_id)
    return row


async def history(tx: Transaction, lead_id: str) -> list[StatusChange]:
    """Every status the lead has had, from its creation on."""
    lead = await get(tx, lead_id)
    rows = await tx.execute(select(lead_history).where(lead_history.c.lead_id == lead_id).order_by(lead_history.c.id))
    first = StatusChange(LeadStatus.BACKLOG, lead.created_at, "pushed")
    return [first, *(StatusChange(LeadStatus(row.status), row.at, row.reason) for row in rows)]


async def listed(
    tx: Transaction,
    *,
    campaign_id: str | None = None,
    status: LeadStatus | None = None,
    phone: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Lead]:
    """Leads in the order of their creation, those after the lead with id `after`. Raises NotFound for `after`."""
    query = select(leads).order_by(leads.c.created_at, leads.c.id).limit(limit)
    for column, value in ((leads.c.campaign_id, campaign_id), (leads.c.status, status), (leads.c.phone, phone)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        last = await get(tx, after)
        query = query.where(behind((leads.c.created_at, leads.c.id), (last.created_at, last.id)))
    return [_lead(row) for row in await tx.execute(query)]


async def move(
    tx: Transaction,
    lead: Row[Any],
    wanted: LeadStatus,
    *,
    now: datetime,
    reason: str,
    outcome: Outcome | None = None,
    **values: Any,
) -> None:
    """Take a locked lead to another status and write it down. To the backlog it goes with a `due_at`; its attempt
    over, it has its own priority again.

    Raises IllegalTransition.
    """
    check_transition(LeadStatus(lead.status), wanted)
    if wanted is LeadStatus.BACKLOG:
        values["ready"] = values["due_at"] <= now
    elif lead.priority != (own := own_priority(lead.priority)):
        values["priority"] = own
    if wanted is LeadStatus.FINISHED:
        values |= {"finished_at": now, "outcome": outcome, "call_id": None}
    await tx.execute(_CHANGED, {"of_lead": lead.id, "status": wanted, **values})
    await tx.execute(_NOTED, {"lead_id": lead.id, "status": wanted, "reason": reason, "at": now})
    if wanted is LeadStatus.FINISHED:
        await close(tx, lead.campaign_id, 1)


async def close(tx: Transaction, campaign_id: str, count: int) -> None:
    """Count `count` leads of a campaign as finished."""
    await tx.execute(_CLOSED, {"of_campaign": campaign_id, "count": count})


async def count_open(tx: Transaction, campaign_id: str) -> int:
    """Leads of a campaign that are not FINISHED, counted one by one (the campaign keeps the same number)."""
    query = select(func.count()).select_from(leads)
    return int(await tx.scalar(query.where(leads.c.campaign_id == campaign_id, leads.c.status != "FINISHED")) or 0)
