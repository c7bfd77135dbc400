"""Who gets the next free line: due leads of running campaigns meet free lines, in one transaction.

Campaigns share lines by weighted fair share (fewest live calls over weight first); inside a campaign the
order is priority, then retries before fresh leads, then due time. No number is called while a call to it
or from it is live, whichever campaign asks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, exists, func, insert, select, update

from breeze_buddy.domain.call import CallStatus, Direction, Progress
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.inbound import InboundPolicy
from breeze_buddy.domain.lead import LeadStatus, check_transition
from breeze_buddy.domain.messages import Grant, LeadStart
from breeze_buddy.domain.phone import mask
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.database import Transaction, serialise_dispatch
from breeze_buddy.store.schema import (
    calls,
    campaign_numbers,
    campaigns,
    lead_history,
    leads,
    lines,
    numbers,
    templates,
)

_LONGEST_CALL = timedelta(hours=5)
LIVE = (Progress.GRANTED, Progress.INTENDED, Progress.DIALLED)


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant, and what its lead's workflow starts with."""

    grant: Grant
    start: LeadStart


@dataclass(frozen=True, slots=True)
class _FreeLine:
    id: str
    number_id: str
    phone: str


@dataclass(slots=True)
class _Candidate:
    """A running campaign in one decision."""

    row: Row[Any]
    live: int
    number_ids: set[str] = field(default_factory=set)

    @property
    def share(self) -> tuple[float, float, datetime]:
        return (-self.row.priority, self.live / self.row.weight, self.row.created_at)

    @property
    def may_call(self) -> bool:
        limit = self.row.max_concurrent_calls
        return limit is None or self.live < limit


async def grant_lines(
    tx: Transaction, *, now: datetime, campaign_id: str | None = None, limit: int = 100
) -> list[Granted]:
    """Lease up to `limit` free lines to due leads, of one campaign or of all, and say which to whom."""
    await serialise_dispatch(tx)
    free = await _free_lines(tx)
    if not free:
        return []
    candidates = await _candidates(tx, campaign_id)
    granted: list[Granted] = []
    while candidates and len(granted) < limit:
        candidate = min(candidates, key=lambda c: c.share)
        usable = [number_id for number_id in candidate.number_ids if free.get(number_id)]
        lead = await _next_lead(tx, candidate.row.id, now) if usable and candidate.may_call else None
        if lead is None:
            candidates.remove(candidate)
            continue
        # The number with the most free lines, so that calls spread over all numbers.
        number_id = max(usable, key=lambda n: (len(free[n]), n))
        granted.append(await _lease(tx, candidate, lead, free[number_id].pop(), now))
        candidate.live += 1
    return granted


async def _free_lines(tx: Transaction) -> dict[str, list[_FreeLine]]:
    rows = await tx.execute(
        select(lines.c.id, lines.c.number_id, numbers.c.phone)
        .join(numbers)
        .where(lines.c.call_id.is_(None), numbers.c.enabled.is_(True))
        .order_by(lines.c.channel.desc())
    )
    free: dict[str, list[_FreeLine]] = {}
    for row in rows:
        free.setdefault(row.number_id, []).append(_FreeLine(row.id, row.number_id, row.phone))
    for number_id, reserve in (await _reserves(tx)).items():
        if number_id in free:
            free[number_id] = free[number_id][reserve:]
    return free


async def _reserves(tx: Transaction) -> dict[str, int]:
    """How many channels of each number outbound calls leave free, for those who call us."""
    rows = await tx.execute(select(numbers.c.id, numbers.c.inbound).where(numbers.c.inbound.is_not(None)))
    return {row.id: InboundPolicy.model_validate(row.inbound).reserve for row in rows}


async def _candidates(tx: Transaction, campaign_id: str | None) -> list[_Candidate]:
    query = (
        select(campaigns, templates.c.name.label("template_name"))
        .join(templates)
        .where(campaigns.c.status == CampaignStatus.RUNNING, campaigns.c.open_leads > 0)
    )
    if campaign_id is not None:
        query = query.where(campaigns.c.id == campaign_id)
    rows = (await tx.execute(query)).all()
    live = await _live_calls(tx)
    found = {row.id: _Candidate(row, live.get(row.id, 0)) for row in rows}
    pairs = await tx.execute(select(campaign_numbers).where(campaign_numbers.c.campaign_id.in_(list(found) or [""])))
    for pair in pairs:
        found[pair.campaign_id].number_ids.add(pair.number_id)
    return list(found.values())


async def _live_calls(tx: Transaction) -> dict[str, int]:
    rows: Iterable[Row[Any]] = await tx.execute(
        select(lines.c.campaign_id, func.count().label("n"))
        .where(lines.c.call_id.is_not(None))
        .group_by(lines.c.campaign_id)
    )
    return {row.campaign_id: row.n for row in rows}


async def _next_lead(tx: Transaction, campaign_id: str, now: datetime) -> Row[Any] | None:
    called = exists().where(
        calls.c.to_phone == leads.c.phone,
        calls.c.direction == Direction.OUTBOUND,
        calls.c.progress.in_(LIVE),
    )
    calling = exists().where(
        calls.c.from_phone == leads.c.phone,
        calls.c.direction == Direction.INBOUND,
        calls.c.progress.in_(LIVE),
    )
    query = (
        select(leads)
        .where(
            leads.c.campaign_id == campaign_id,
            leads.c.status == LeadStatus.BACKLOG,
            leads.c.due_at <= now,
            leads.c.cancel_requested_at.is_(None),
            ~called,
            ~calling,
            ~_given_up_too_early(now),
        )
        .order_by(leads.c.priority.desc(), leads.c.attempts.desc(), leads.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await tx.execute(query)).first()


def _given_up_too_early(now: datetime) -> ColumnElement[bool]:
    """The lead has an attempt that was settled as never made, and of which Twilio spoke afterwards: it rings."""
    return exists().where(
        calls.c.lead_id == leads.c.id,
        calls.c.progress == Progress.NOT_CREATED,
        calls.c.sid.is_not(None),
        calls.c.status.not_in([status for status in CallStatus if status.is_terminal]),
        calls.c.granted_at > now - _LONGEST_CALL,
    )


async def _lease(tx: Transaction, candidate: _Candidate, lead: Row[Any], line: _FreeLine, now: datetime) -> Granted:
    check_transition(LeadStatus(lead.status), LeadStatus.PROCESSING)
    campaign = candidate.row
    call_id, attempt = str(uuid4()), lead.attempts + 1
    dial_at = await _reserve_dial(tx, campaign.id, campaign.calls_per_second, now)
    await tx.execute(
        insert(calls).values(
            id=call_id,
            direction=Direction.OUTBOUND,
            lead_id=lead.id,
            campaign_id=campaign.id,
            number_id=line.number_id,
            attempt=attempt,
            from_phone=line.phone,
            to_phone=lead.phone,
            progress=Progress.GRANTED,
            granted_at=now,
            dial_at=dial_at,
            no_media=False,
            cancelled_by_us=False,
            streams=0,
            sequence=-1,
        )
    )
    await tx.execute(
        update(lines).where(lines.c.id == line.id).values(call_id=call_id, campaign_id=campaign.id, leased_at=now)
    )
    await tx.execute(
        update(leads)
        .where(leads.c.id == lead.id)
        .values(status=LeadStatus.PROCESSING, call_id=call_id, grants=leads.c.grants + 1)
    )
    await tx.execute(
        insert(lead_history).values(
            lead_id=lead.id, status=LeadStatus.PROCESSING, reason=f"line granted for attempt {attempt}", at=now
        )
    )
    return _granted(
        call_id, dial_at, attempt, lead, campaign_id=campaign.id, name=campaign.name, template=campaign.template_name
    )


def _granted(
    call_id: str, dial_at: datetime, attempt: int, lead: Row[Any], *, campaign_id: str, name: str, template: str
) -> Granted:
    return Granted(
        Grant(lead_id=lead.id, call_id=call_id, campaign_id=campaign_id, attempt=attempt, dial_at=dial_at),
        LeadStart(
            lead_id=lead.id,
            campaign_id=campaign_id,
            campaign_name=name,
            template_name=template,
            masked_phone=mask(lead.phone),
        ),
    )


async def _reserve_dial(tx: Transaction, campaign_id: str, rate: float | None, now: datetime) -> datetime:
    """The moment at which the campaign's calls per second allow one more call; it is then taken."""
    if rate is None:
        return now
    next_dial_at = await tx.scalar(select(campaigns.c.next_dial_at).where(campaigns.c.id == campaign_id))
    dial_at = max(now, next_dial_at) if next_dial_at is not None else now
    await tx.execute(
        update(campaigns)
        .where(campaigns.c.id == campaign_id)
        .values(next_dial_at=dial_at + timedelta(seconds=1 / rate))
    )
    return dial_at


async def unaccepted_grants(tx: Transaction, *, older_than: datetime, limit: int = 200) -> list[Granted]:
    """Grants that no workflow has accepted although their time has come: to be sent again."""
    late = (calls.c.progress == Progress.GRANTED, calls.c.granted_at < older_than, calls.c.dial_at < older_than)
    return await _grants(tx, *late, limit=limit)


async def grants_of_stuck_leads(
    tx: Transaction, *, overdue_since: datetime, on_since: datetime, limit: int = 200
) -> list[Granted]:
    """The last grants of leads that should have moved by now, and may have lost their workflow: in RETRY with a
    cooldown that was over at `overdue_since`, or with an attempt that was granted before `on_since` and is still on.

    A workflow that lives knows its grants and lets them pass; a new one goes on from where the lead stands.
    """
    later = calls.alias()
    newer = exists().where(later.c.lead_id == calls.c.lead_id, later.c.granted_at > calls.c.granted_at)
    overdue = (leads.c.status == LeadStatus.RETRY) & (leads.c.due_at < overdue_since) & ~newer
    still_on = (leads.c.status == LeadStatus.PROCESSING) & (leads.c.call_id == calls.c.id)
    found = await _grants(tx, overdue, limit=limit)
    return found + await _grants(tx, still_on, calls.c.granted_at < on_since, limit=limit)


async def grant_of(tx: Transaction, call_id: str) -> list[Granted]:
    """The grant of one attempt, to be sent again."""
    return await _grants(tx, calls.c.id == call_id, limit=1)


async def _grants(tx: Transaction, *conditions: ColumnElement[bool], limit: int) -> list[Granted]:
    rows = await tx.execute(
        select(calls.c.id.label("call_id"), calls.c.dial_at, calls.c.attempt, leads.c.id, leads.c.phone)
        .add_columns(campaigns.c.id.label("campaign_id"), campaigns.c.name, templates.c.name.label("template_name"))
        .select_from(calls.join(leads, calls.c.lead_id == leads.c.id))
        .join(campaigns, calls.c.campaign_id == campaigns.c.id)
        .join(templates, campaigns.c.template_id == templates.c.id)
        .where(*conditions)
        .order_by(calls.c.granted_at)
        .limit(limit)
    )
    return [
        _granted(
            row.call_id,
            row.dial_at,
            row.attempt,
            row,
            campaign_id=row.campaign_id,
            name=row.name,
            template=row.template_name,
        )
        for row in rows
    ]


async def rejoin(tx: Transaction, lead_id: str, *, now: datetime) -> LeadStatus:
    """A lead whose cooldown is over goes from RETRY to the backlog; any other stays. Returns its status."""
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    if lead.status != LeadStatus.RETRY:
        return LeadStatus(lead.status)
    await lead_rows.move(tx, lead, LeadStatus.BACKLOG, now=now, reason="cooldown over", due_at=now)
    return LeadStatus.BACKLOG
