"""Taking up a grant: whether its lead may be called now, and the intent to call it.

    granted ──accept_grant──► intended        (the request to Twilio may be sent, once)
       └──► not_created                       (paused, window closed, cancelled, its number had its calls)

Every function is one step of one transaction and can be run twice: the second time changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Row, update

from breeze_buddy.domain.call import FailureClass, Progress
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.do_not_call import LISTED
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import Standing
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.window import zones_of_text
from breeze_buddy.store import campaigns as campaign_rows
from breeze_buddy.store import do_not_call, pacing, phone_limit, standing
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.facts import change_call, locked_call
from breeze_buddy.store.line_pool import uncount
from breeze_buddy.store.numbers import free_line
from breeze_buddy.store.schema import calls


@dataclass(frozen=True, slots=True)
class DialOrder:
    """All that is needed to place the call of an attempt."""

    call_id: str
    lead_id: str
    from_phone: str
    to_phone: str
    template: Template
    intended_at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """Place the call at `place_at`, which is near and nobody else's. The intent is in this transaction.

    `held`: due leads wait for a rate; grant the next line when the call is placed. `apart`: the time to the next turn.
    """

    order: DialOrder
    place_at: datetime
    held: bool
    apart: timedelta


@dataclass(frozen=True, slots=True)
class Later:
    """The rates have no room for this call before `at`; nothing was changed."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Unclear:
    """An earlier run may have sent the request: never send it again, find out."""

    order: DialOrder


@dataclass(frozen=True, slots=True)
class AlreadyDialled:
    """An earlier run sent the request, and Twilio has the call."""

    order: DialOrder


@dataclass(frozen=True, slots=True)
class AlreadyRefused:
    """An earlier run was told that there is no call; the attempt is still to be finished."""

    order: DialOrder


@dataclass(frozen=True, slots=True)
class Unusable:
    """The grant is not to be used (any more), and where the lead stands instead."""

    standing: Standing
    reason: str


GrantAnswer: TypeAlias = Accepted | Later | Unclear | AlreadyDialled | AlreadyRefused | Unusable


async def accept_grant(
    tx: Transaction, call_id: str, *, limits: AccountLimits, now: datetime, ahead: timedelta = timedelta()
) -> GrantAnswer:
    """Take up a grant and note the intent to dial, at least `ahead` from now, or say why not. Raises NotFound."""
    call = await locked_call(tx, call_id)
    lead = await lead_rows.row_of(tx, call.lead_id, lock=True)
    campaign, template = await campaign_rows.with_template(tx, call.campaign_id)
    match call.progress:
        case Progress.DIALLED | Progress.ENDED if call.settled_at is None:
            return AlreadyDialled(_order(call, template, call.intended_at))
        case Progress.INTENDED:
            return Unclear(_order(call, template, call.intended_at))
        case Progress.NOT_CREATED if lead.call_id == call_id and call.settled_at is None:
            return AlreadyRefused(_order(call, template, call.intended_at))
        case Progress.GRANTED if lead.call_id == call_id and lead.status == LeadStatus.PROCESSING:
            pass
        case _:
            return Unusable(await standing.standing_of(tx, lead.id), "the grant is no longer valid")
    if lead.cancel_requested_at is not None:
        await _return_unused(tx, call, lead, now=now, due_at=now, reason="cancelled before it was dialled")
        await standing.withdraw(tx, lead.id, now=now, reason="cancelled")
        return Unusable(await standing.standing_of(tx, lead.id), "cancelled before it was dialled")
    refused = await _refused_for_good(tx, lead, now)
    if refused is not None:
        reason, outcome = refused
        await _finish_undialled(tx, call, lead, now=now, reason=reason, outcome=outcome)
        return Unusable(await standing.standing_of(tx, lead.id), reason)
    obstacle = await _obstacle(tx, campaign, template, lead, limits, now)
    if obstacle is not None:
        reason, due_at = obstacle
        await _return_unused(tx, call, lead, now=now, due_at=due_at, reason=reason)
        return Unusable(await standing.standing_of(tx, lead.id), reason)
    paced = campaign.calls_per_second is not None
    turn = await pacing.take_turn(tx, campaign.id, limits, now=now, ahead=ahead, paced=paced)
    if not turn.taken:
        return Later(turn.at)
    await change_call(tx, call_id, progress=Progress.INTENDED, intended_at=now)
    return Accepted(_order(call, template, now), turn.at, turn.held, turn.apart)


async def _refused_for_good(tx: Transaction, lead: Row[Any], now: datetime) -> tuple[str, Outcome] | None:
    """Why a granted lead may never be called again, and what that makes of it."""
    if lead.expires_at is not None and lead.expires_at <= now:
        return "its time was over before it was called", Outcome.EXPIRED
    if await do_not_call.is_listed(tx, lead.phone):
        return LISTED, Outcome.DO_NOT_CALL
    return None


async def _obstacle(
    tx: Transaction,
    campaign: Campaign,
    template: Template,
    lead: Row[Any],
    limits: AccountLimits,
    now: datetime,
) -> tuple[str, datetime] | None:
    """Why a granted lead may not be called after all, and when it may."""
    if campaign.status is not CampaignStatus.RUNNING:
        return f"the campaign is {campaign.status}", now
    window, zones = template.calling_window, zones_of_text(lead.zones)

    def opened(at: datetime) -> datetime:
        return window.next_open(at, zones) if window else at

    if opened(now) > now:
        return "the calling window has closed", opened(now)
    free_at = await phone_limit.free_again_at(tx, lead.phone, limits, now=now)
    if free_at is not None:
        most = f"{limits.calls_per_phone} calls in {limits.calls_per_phone_hours:g} hours"
        return f"this number has had its {most}", opened(free_at)
    return None


def _order(call: Row[Any], template: Template, intended_at: datetime) -> DialOrder:
    return DialOrder(call.id, call.lead_id, call.from_phone, call.to_phone, template, intended_at)


async def _return_unused(
    tx: Transaction, call: Row[Any], lead: Row[Any], *, now: datetime, due_at: datetime, reason: str
) -> None:
    await _settle_undialled(tx, call, now=now, reason=reason)
    await lead_rows.move(tx, lead, LeadStatus.BACKLOG, now=now, reason=reason, due_at=due_at, call_id=None)


async def _finish_undialled(
    tx: Transaction, call: Row[Any], lead: Row[Any], *, now: datetime, reason: str, outcome: Outcome
) -> None:
    await _settle_undialled(tx, call, now=now, reason=reason)
    await lead_rows.move(tx, lead, LeadStatus.FINISHED, now=now, reason=reason, outcome=outcome)


async def _settle_undialled(tx: Transaction, call: Row[Any], *, now: datetime, reason: str) -> None:
    """The grant ends without a request to Twilio: nothing of it counts."""
    await free_line(tx, call.id)
    await uncount(tx, call)
    await tx.execute(
        update(calls)
        .where(calls.c.id == call.id)
        .values(progress=Progress.NOT_CREATED, refusal=FailureClass.RETRYABLE, error_message=reason, settled_at=now)
    )


async def order_of(tx: Transaction, call_id: str) -> DialOrder:
    """What was meant to be dialled for an attempt. Raises NotFound."""
    call = await locked_call(tx, call_id)
    _, template = await campaign_rows.with_template(tx, call.campaign_id)
    return _order(call, template, call.intended_at or call.granted_at)
