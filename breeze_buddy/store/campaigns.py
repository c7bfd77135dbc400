"""Campaigns: rows, their numbers, their state, their progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import BaseModel
from sqlalchemy import Row, Select, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from breeze_buddy.domain.campaign import (
    Campaign,
    CampaignProgress,
    CampaignStatus,
    Pacing,
    check_campaign_transition,
    check_recurring_transition,
)
from breeze_buddy.domain.circuit_breaker import CircuitBreaker
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import campaign_workflow_id
from breeze_buddy.domain.recurrence import Recurrence
from breeze_buddy.domain.template import Template
from breeze_buddy.store import templates as template_rows
from breeze_buddy.store.database import Transaction, insert_into
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.schema import campaign_numbers, campaigns, leads, lines, numbers, templates

_CLOSED = CircuitBreaker()


def _rows() -> Select[Any]:
    return select(
        campaigns,
        templates.c.name.label("template_name"),
        templates.c.version.label("template_version"),
        templates.c.updated_at.label("template_updated_at"),
    ).join(templates)


# Made once: what every lead asks several times is not put together anew each time.
_OF_ID = _rows().where(campaigns.c.id == bindparam("campaign_id"))
# Its id does not change, so rows that refer to it (a call that is granted a line) can be written meanwhile.
_LOCKED_OF_ID = _OF_ID.with_for_update(of=campaigns, key_share=True)
_PHONES = (
    select(campaign_numbers.c.campaign_id, numbers.c.phone)
    .join(numbers)
    .where(campaign_numbers.c.campaign_id.in_(bindparam("campaign_ids", expanding=True)))
    .order_by(numbers.c.phone)
)
_TALLY = select(campaigns.c.workflow_id, campaigns.c.status, campaigns.c.open_leads, campaigns.c.total_leads).where(
    campaigns.c.id == bindparam("campaign_id")
)


async def _campaign(tx: Transaction, row: Row[Any]) -> Campaign:
    (campaign,) = await _campaigns(tx, [row])
    return campaign


async def _campaigns(tx: Transaction, rows: Sequence[Row[Any]]) -> list[Campaign]:
    """Campaigns with their numbers, in two queries however many they are."""
    if not rows:
        return []
    phones: dict[str, list[str]] = {row.id: [] for row in rows}
    used = await tx.execute(_PHONES, {"campaign_ids": list(phones)})
    for campaign_id, phone in used:
        phones[campaign_id].append(phone)
    return [Campaign.model_validate({**row._asdict(), "numbers": tuple(phones[row.id])}) for row in rows]


async def create(
    tx: Transaction,
    *,
    name: str,
    template_id: str,
    number_ids: Sequence[str],
    pacing: Pacing,
    now: datetime,
    request_id: str | None = None,
    workflow_id: str | None = None,
    standing: bool = False,
    pool: str | None = None,
    start_at: datetime | None = None,
    recurrence: Recurrence | None = None,
    circuit_breaker: CircuitBreaker | None = _CLOSED,
    cloned_from: str | None = None,
) -> Campaign:
    """A campaign that has not been started, or a standing one, which always runs.

    Raises Conflict when there is one with this request_id or workflow_id, or a standing one of this template.
    """
    campaign_id = str(uuid4())
    row = {
        "id": campaign_id,
        "name": name,
        "template_id": template_id,
        "status": CampaignStatus.RUNNING if standing else CampaignStatus.CREATED,
        "standing": standing,
        "workflow_id": workflow_id or campaign_workflow_id(campaign_id),
        "request_id": request_id,
        "pool": pool,
        "status_reason": _when(start_at, recurrence),
        "start_at": start_at,
        "recurrence": _json(recurrence),
        "circuit_breaker": _json(circuit_breaker),
        "cloned_from": cloned_from,
        "open_leads": 0,
        "total_leads": 0,
        "created_at": now,
        "started_at": now if standing else None,
        "resumed_at": now if standing else None,
        **_pacing(pacing),
    }
    try:
        async with tx.begin_nested():
            await tx.execute(insert(campaigns).values(row))
    except IntegrityError as error:
        raise Conflict("there is a campaign with this request_id, or of this workflow") from error
    if number_ids:
        await tx.execute(
            insert(campaign_numbers),
            [{"campaign_id": campaign_id, "number_id": number_id} for number_id in dict.fromkeys(number_ids)],
        )
    return await get(tx, campaign_id)


def _json(value: BaseModel | None) -> Any:
    return value.model_dump(mode="json") if value is not None else None


def _when(start_at: datetime | None, recurrence: Recurrence | None) -> str | None:
    """Why a campaign that was not started waits."""
    if recurrence is not None:
        return f"recurs: {recurrence}"
    return f"starts at {start_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if start_at is not None else None


def _pacing(pacing: Pacing) -> dict[str, Any]:
    return {name: getattr(pacing, name) for name in Pacing.model_fields}


async def get(tx: Transaction, campaign_id: str, *, lock: bool = False) -> Campaign:
    """Raises NotFound. `lock`: nobody else changes it until this transaction ends."""
    row = (await tx.execute(_LOCKED_OF_ID if lock else _OF_ID, {"campaign_id": campaign_id})).first()
    if row is None:
        raise NotFound("campaign", campaign_id)
    return await _campaign(tx, row)


async def without_numbers(tx: Transaction, campaign_id: str) -> Campaign:
    """A campaign for who does not care which numbers it calls from: half the work. Raises NotFound."""
    row = (await tx.execute(_OF_ID, {"campaign_id": campaign_id})).first()
    if row is None:
        raise NotFound("campaign", campaign_id)
    return Campaign.model_validate(row._asdict())


async def with_template(tx: Transaction, campaign_id: str) -> tuple[Campaign, Template]:
    """A campaign without its numbers, and its template, mostly in one query. Raises NotFound."""
    row = (await tx.execute(_OF_ID, {"campaign_id": campaign_id})).first()
    if row is None:
        raise NotFound("campaign", campaign_id)
    known = template_rows.known(row.template_id, row.template_version, row.template_updated_at)
    stored = known or await template_rows.get(tx, row.template_id)
    return Campaign.model_validate(row._asdict()), stored.template


async def by_request(tx: Transaction, request_id: str) -> Campaign | None:
    row = (await tx.execute(_rows().where(campaigns.c.request_id == request_id))).first()
    return await _campaign(tx, row) if row is not None else None


async def standing_of(tx: Transaction, template_id: str) -> Campaign | None:
    """The campaign of the leads that were pushed alone with this template."""
    query = _rows().where(campaigns.c.template_id == template_id, campaigns.c.standing.is_(True))
    row = (await tx.execute(query)).first()
    return await _campaign(tx, row) if row is not None else None


async def listed(
    tx: Transaction,
    *,
    status: CampaignStatus | None = None,
    recurring: bool | None = None,
    cloned_from: str | None = None,
    limit: int = 100,
) -> list[Campaign]:
    """The newest first."""
    query = _rows().order_by(campaigns.c.created_at.desc(), campaigns.c.id).limit(limit)
    if status is not None:
        query = query.where(campaigns.c.status == status)
    if recurring is not None:
        query = query.where(campaigns.c.recurrence.is_not(None) if recurring else campaigns.c.recurrence.is_(None))
    if cloned_from is not None:
        query = query.where(campaigns.c.cloned_from == cloned_from)
    return await _campaigns(tx, (await tx.execute(query)).all())


async def use_all_numbers(tx: Transaction, campaign: Campaign) -> Campaign:
    """Let a campaign call from every enabled number, also those registered after it was made."""
    used = select(campaign_numbers.c.number_id).where(campaign_numbers.c.campaign_id == campaign.id)
    missing = select(numbers.c.id).where(numbers.c.enabled.is_(True), numbers.c.id.not_in(used))
    new = [{"campaign_id": campaign.id, "number_id": number_id} for number_id in await tx.scalars(missing)]
    if not new:
        return campaign
    await tx.execute(insert_into(tx, campaign_numbers).values(new).on_conflict_do_nothing())
    return await get(tx, campaign.id)


async def set_pacing(tx: Transaction, campaign_id: str, changes: dict[str, Any]) -> Campaign:
    """Change the named fields of Pacing. Raises NotFound."""
    await get(tx, campaign_id, lock=True)
    allowed = {name: value for name, value in changes.items() if name in Pacing.model_fields}
    if "calls_per_second" in allowed:
        allowed["next_dial_at"] = None  # a reservation made at the old rate must not hold up the new one
    if allowed:
        await tx.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(**allowed))
    return await get(tx, campaign_id)


async def set_status(
    tx: Transaction, campaign_id: str, wanted: CampaignStatus, *, now: datetime, reason: str | None = None
) -> Campaign:
    """Move a campaign to `wanted`; being there already is no error. Raises NotFound or IllegalTransition."""
    campaign = await get(tx, campaign_id, lock=True)
    if campaign.status is wanted:
        return campaign
    if campaign.recurrence is not None:
        check_recurring_transition(campaign.status, wanted)
        reason = reason or _when(campaign.start_at, campaign.recurrence)
    else:
        check_campaign_transition(campaign.status, wanted)
    values: dict[str, Any] = {"status": wanted, "status_reason": reason}
    if wanted is CampaignStatus.RUNNING:
        values |= {"started_at": campaign.started_at or now, "resumed_at": now, "ended_at": None}
    if wanted in (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED):
        values["ended_at"] = now
    await tx.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(**values))
    return await get(tx, campaign_id)


async def set_times(
    tx: Transaction, campaign_id: str, *, start_at: datetime | None, recurrence: Recurrence | None
) -> Campaign:
    """When a campaign starts by itself. Raises NotFound, and Conflict once it has started."""
    campaign = await get(tx, campaign_id, lock=True)
    waits = campaign.status is CampaignStatus.CREATED
    if not waits and not (campaign.recurrence is not None and campaign.status is CampaignStatus.PAUSED):
        raise Conflict(f"the campaign is {campaign.status}: only one that has not started can start by itself")
    if (recurrence is None) != (campaign.recurrence is None):
        raise Conflict("whether a campaign recurs is settled when it is created: clone it, or create another one")
    values: dict[str, Any] = {"start_at": start_at, "recurrence": _json(recurrence)}
    if waits:
        values["status_reason"] = _when(start_at, recurrence)
    await tx.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(**values))
    return await get(tx, campaign_id)


async def set_circuit_breaker(tx: Transaction, campaign_id: str, breaker: CircuitBreaker | None) -> Campaign:
    """Raises NotFound."""
    await get(tx, campaign_id, lock=True)
    await tx.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(circuit_breaker=_json(breaker)))
    return await get(tx, campaign_id)


async def note(tx: Transaction, campaign_id: str, reason: str) -> None:
    """A sentence about its state, for people."""
    await tx.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(status_reason=reason))


async def progress(tx: Transaction, campaign_id: str, *, now: datetime) -> CampaignProgress:
    """Raises NotFound."""
    campaign = await get(tx, campaign_id)
    counted = await tx.execute(
        select(leads.c.status, leads.c.outcome, func.count().label("n"))
        .where(leads.c.campaign_id == campaign_id)
        .group_by(leads.c.status, leads.c.outcome)
    )
    by_status = dict.fromkeys(LeadStatus, 0)
    outcomes: dict[str, int] = {}
    for status, outcome, n in counted:
        by_status[LeadStatus(status)] += n
        if outcome is not None:
            outcomes[outcome] = outcomes.get(outcome, 0) + n
    live = await tx.scalar(select(func.count()).select_from(lines).where(lines.c.campaign_id == campaign_id))
    return CampaignProgress(
        campaign_id=campaign_id,
        status=campaign.status,
        status_reason=campaign.status_reason,
        leads=by_status,
        outcomes=outcomes,
        live_calls=live or 0,
        as_of=now,
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Who runs a campaign, and how many of its leads are not FINISHED, of all that were ever added."""

    workflow_id: str | None
    status: CampaignStatus
    open_leads: int
    total_leads: int


async def tally(tx: Transaction, campaign_id: str) -> Tally:
    """Raises NotFound."""
    row = (await tx.execute(_TALLY, {"campaign_id": campaign_id})).first()
    if row is None:
        raise NotFound("campaign", campaign_id)
    return Tally(row.workflow_id, CampaignStatus(row.status), row.open_leads, row.total_leads)


async def unattended(tx: Transaction, *, overdue_since: datetime, limit: int = 50) -> list[Campaign]:
    """Campaigns whose state asks for their workflow: running without an open lead, cancelled with some, or not
    started although their time had come at `overdue_since`."""
    over = (campaigns.c.status == CampaignStatus.RUNNING) & (campaigns.c.open_leads == 0)
    over &= campaigns.c.standing.is_(False) & (campaigns.c.total_leads > 0)
    cancelled = (campaigns.c.status == CampaignStatus.CANCELLED) & (campaigns.c.open_leads > 0)
    late = (campaigns.c.status == CampaignStatus.CREATED) & (campaigns.c.start_at < overdue_since)
    late &= campaigns.c.recurrence.is_(None)
    rows = await tx.execute(_rows().where(over | cancelled | late).limit(limit))
    return await _campaigns(tx, rows.all())


async def calling_from(tx: Transaction, number_id: str) -> list[Campaign]:
    """Running campaigns with open leads that call from a number."""
    query = _rows().join(campaign_numbers, campaign_numbers.c.campaign_id == campaigns.c.id)
    mine = (campaign_numbers.c.number_id == number_id, campaigns.c.status == CampaignStatus.RUNNING)
    return await _campaigns(tx, (await tx.execute(query.where(*mine, campaigns.c.open_leads > 0))).all())


async def recurring(tx: Transaction) -> list[Campaign]:
    """All campaigns that recur, or did before they were cancelled."""
    rows = await tx.execute(_rows().where(campaigns.c.recurrence.is_not(None)).order_by(campaigns.c.id))
    return await _campaigns(tx, rows.all())


async def take_over(tx: Transaction, campaign_id: str, workflow_id: str) -> None:
    """Another workflow runs the campaign from now on."""
    await tx.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(workflow_id=workflow_id))
