"""One attempt, from the granted line to the decision about its lead.

    granted ──accept──► intended ──record_dialled──► dialled ──finish──► ended
       │                    └──refused / not found──► not_created ──finish──► (lead back, or finished)
       └──return_unused (paused, window closed, cancelled)

Every function is one step of one transaction and can be run twice: the second time changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Row, bindparam, exists, select, update

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus, FailureClass, Progress
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.circuit_breaker import failed
from breeze_buddy.domain.do_not_call import LISTED
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import AttemptEnd, CallSummary, Standing
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.domain.recording import RecordingStatus
from breeze_buddy.domain.retry import Finish, RetryAt, ReturnAt, next_step
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.window import zones_of_text
from breeze_buddy.store import campaigns as campaign_rows
from breeze_buddy.store import circuit, do_not_call, pacing, phone_limit
from breeze_buddy.store import conversations as conversation_rows
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store import pods as pod_rows
from breeze_buddy.store import recordings as recording_rows
from breeze_buddy.store import transfers as transfer_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.facts import add_facts, attempt_of, attempts_of, change_call, facts_of, locked_call, report_of
from breeze_buddy.store.line_pool import uncount
from breeze_buddy.store.numbers import free_line
from breeze_buddy.store.schema import calls, conversations, leads, pod_leases, stream_claims, transfers


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

    `held`: due leads wait for a rate; grant the next line when the call is placed.
    """

    order: DialOrder
    place_at: datetime
    held: bool


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


async def accept_grant(tx: Transaction, call_id: str, *, limits: AccountLimits, now: datetime) -> GrantAnswer:
    """Take up a grant and note the intent to dial, or say why not. Raises NotFound."""
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
            return Unusable(await standing_of(tx, lead.id), "the grant is no longer valid")
    if lead.cancel_requested_at is not None:
        await _return_unused(tx, call, lead, now=now, due_at=now, reason="cancelled before it was dialled")
        await withdraw(tx, lead.id, now=now, reason="cancelled")
        return Unusable(await standing_of(tx, lead.id), "cancelled before it was dialled")
    refused = await _refused_for_good(tx, lead, now)
    if refused is not None:
        reason, outcome = refused
        await _finish_undialled(tx, call, lead, now=now, reason=reason, outcome=outcome)
        return Unusable(await standing_of(tx, lead.id), reason)
    obstacle = await _obstacle(tx, campaign, template, lead, limits, now)
    if obstacle is not None:
        reason, due_at = obstacle
        await _return_unused(tx, call, lead, now=now, due_at=due_at, reason=reason)
        return Unusable(await standing_of(tx, lead.id), reason)
    turn = await pacing.take_turn(tx, campaign.id, limits, now=now, paced=campaign.calls_per_second is not None)
    if not turn.taken:
        return Later(turn.at)
    await change_call(tx, call_id, progress=Progress.INTENDED, intended_at=now)
    return Accepted(_order(call, template, now), turn.at, turn.held)


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


async def record_dialled(tx: Transaction, call_id: str, sid: str, *, now: datetime) -> None:
    """Twilio has made the call. Callbacks may have been here first."""
    call = await locked_call(tx, call_id)
    await add_facts(tx, call, CallFacts(sid=sid), dialled_at=call.dialled_at or now)


async def record_refused(
    tx: Transaction, call_id: str, failure: FailureClass, *, error_code: int | None, message: str
) -> bool:
    """Twilio has certainly made no call. False when facts say otherwise: then they stand."""
    call = await locked_call(tx, call_id)
    if call.progress == Progress.NOT_CREATED and call.sid is None:
        return True  # an earlier run noted it
    if call.progress != Progress.INTENDED or call.sid is not None:
        return False
    await tx.execute(
        update(calls)
        .where(calls.c.id == call_id)
        .values(progress=Progress.NOT_CREATED, refusal=failure, error_code=error_code, error_message=message)
    )
    return True


async def record_facts(tx: Transaction, call_id: str, news: CallFacts) -> CallFacts:
    """Add what Twilio said when it was asked. Raises NotFound."""
    return await add_facts(tx, await locked_call(tx, call_id), news)


async def known_sid(tx: Transaction, call_id: str) -> str | None:
    """The CallSid of an attempt, from whoever learnt it first."""
    sid: str | None = await tx.scalar(select(calls.c.sid).where(calls.c.id == call_id))
    return sid


async def is_machine(tx: Transaction, call_id: str) -> bool:
    """Whether Twilio's detection has found a machine at the other end, as far as is known."""
    found = await tx.scalar(select(calls.c.answered_by).where(calls.c.id == call_id))
    return found in (AnsweredBy.MACHINE, AnsweredBy.FAX)


async def sids_in_use(tx: Transaction, sids: list[str]) -> set[str]:
    """Which of these CallSids belong to attempts of ours."""
    return {str(sid) for sid in await tx.scalars(select(calls.c.sid).where(calls.c.sid.in_(sids)))}


async def mark_cancelled_by_us(tx: Transaction, call_id: str) -> None:
    """The hang-up that follows is ours, for a cancelled lead."""
    await tx.execute(update(calls).where(calls.c.id == call_id).values(cancelled_by_us=True))


# What may hang on a call that is over.
_LEFT = select(
    exists().where(pod_leases.c.call_id == bindparam("of_call"), pod_leases.c.released_at.is_(None)).label("in_pod"),
    exists().where(transfers.c.call_id == bindparam("of_call"), transfers.c.ended_at.is_(None)).label("handed_over"),
    exists().where(conversations.c.call_id == bindparam("of_call")).label("conversed"),
    exists().where(stream_claims.c.call_id == bindparam("of_call")).label("streamed"),
)


async def finish_attempt(
    tx: Transaction, call_id: str, *, now: datetime, wait_for_conversation: bool
) -> tuple[AttemptEnd, str]:
    """Free the line and decide about the lead, from facts. Returns the decision and the campaign's id.

    With `wait_for_conversation`, a call that had a stream whose conversation was not reported yet only
    gives back its line.
    """
    call = await locked_call(tx, call_id)
    lead = await lead_rows.row_of(tx, call.lead_id, lock=True)
    campaign, template = await campaign_rows.with_template(tx, call.campaign_id)
    if call.settled_at is not None:
        return await _end(tx, call, _standing(lead), template), campaign.id
    await free_line(tx, call_id)
    # Most calls that nobody answers have none of these; those that have some are asked about each.
    left = (await tx.execute(_LEFT, {"of_call": call_id})).one()
    if left.in_pod:
        await pod_rows.release(tx, call_id, now=now)
    if left.handed_over or left.conversed:
        await transfer_rows.close_left(tx, call_id, now=now)
    if wait_for_conversation and left.streamed and await conversation_rows.is_open(tx, call_id):
        await change_call(tx, call_id, progress=Progress.ENDED)
        end = await _end(tx, call, _standing(lead), template)
        return end.model_copy(update={"awaiting_conversation": True}), campaign.id
    ended = Progress.NOT_CREATED if call.refusal else Progress.ENDED
    if call.refusal:
        await uncount(tx, call)
    await change_call(tx, call_id, progress=ended, settled_at=now)
    standing = await _decide(tx, call, lead, campaign, template, now)
    return await _end(tx, call, standing, template, conversed=left.conversed), campaign.id


async def _decide(
    tx: Transaction, call: Row[Any], lead: Row[Any], campaign: Campaign, template: Template, now: datetime
) -> Standing:
    """Move the lead on; returns where it stands."""
    attempts = await attempts_of(tx, lead.id)
    step = next_step(
        template.retry,
        attempts,
        now=now,
        window=template.calling_window,
        zones=zones_of_text(lead.zones),
        cancelled=lead.cancel_requested_at is not None,
        seed=lead.id,
    )
    counted = sum(1 for attempt in attempts if attempt.counts)
    why = _why(call)
    if isinstance(step, ReturnAt) and step.stop_campaign and campaign.status is CampaignStatus.RUNNING:
        await campaign_rows.set_status(tx, campaign.id, CampaignStatus.PAUSED, now=now, reason=call.error_message)
    else:
        await circuit.look(tx, campaign, attempts[-1], why=why, now=now)
    if isinstance(step, Finish):
        await lead_rows.move(tx, lead, LeadStatus.FINISHED, now=now, reason=why, outcome=step.outcome, attempts=counted)
        return Standing(status=LeadStatus.FINISHED, outcome=step.outcome, attempts=counted, due_at=lead.due_at)
    to = LeadStatus.RETRY if isinstance(step, RetryAt) else LeadStatus.BACKLOG
    await lead_rows.move(tx, lead, to, now=now, reason=why, due_at=step.at, attempts=counted, call_id=None)
    return Standing(status=to, attempts=counted, due_at=step.at)


def _why(call: Row[Any]) -> str:
    """The fact that ended an attempt, in words."""
    if call.refusal:
        return f"not placed: {call.error_message or call.refusal}"
    status = call.status or "no word from Twilio"
    sip = f", SIP {call.sip_code}" if call.sip_code and status != CallStatus.COMPLETED else ""
    machine = f", answered by a {call.answered_by}" if call.answered_by in ("machine", "fax") else ""
    return f"call {status}{sip}{machine}"


async def _end(
    tx: Transaction, call: Row[Any], standing: Standing, template: Template, *, conversed: bool = True
) -> AttemptEnd:
    facts = facts_of(call)
    report = await report_of(tx, call.id) if conversed else None
    known = {recording.status for recording in await recording_rows.of_call(tx, call.id)}
    return AttemptEnd(
        call=CallSummary(
            attempt=call.attempt,
            status=facts.status,
            sid=facts.sid,
            duration_s=facts.duration_s,
            recording=RecordingStatus.COMPLETED in known,
        ),
        status=standing.status,
        outcome=standing.outcome,
        attempts=standing.attempts,
        due_at=standing.due_at,
        reason=_why(call),
        result=report.result if report else None,
        recording_expected=template.record and facts.status is CallStatus.COMPLETED,
        recording_ready=any(status is not None and status.is_final for status in known),
        analyse=template.analysis is not None and report is not None and bool(report.transcript),
        notify=template.webhook_url is not None,
        suspect=failed(attempt_of(call, report)) or (report is None and facts.status is CallStatus.COMPLETED),
    )


async def withdraw(tx: Transaction, lead_id: str, *, now: datetime, reason: str) -> Standing:
    """Finish a lead that no call is on for; one that has its line is finished when that ends. Raises NotFound."""
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    if lead.cancel_requested_at is None and lead.status != LeadStatus.FINISHED:
        await tx.execute(update(leads).where(leads.c.id == lead_id).values(cancel_requested_at=now))
    if lead.status in (LeadStatus.BACKLOG, LeadStatus.RETRY):
        expired = lead.cancel_requested_at is None and lead.expires_at is not None and lead.expires_at <= now
        outcome = Outcome.EXPIRED if expired else Outcome.CANCELLED
        await lead_rows.move(tx, lead, LeadStatus.FINISHED, now=now, reason=reason, outcome=outcome)
    return await standing_of(tx, lead_id)


async def standing_of(tx: Transaction, lead_id: str) -> Standing:
    """Where a lead stands. Raises NotFound."""
    lead = await lead_rows.row_of(tx, lead_id)
    return _standing(lead, notify=await _has_webhook(tx, lead))


def _standing(lead: Row[Any], *, notify: bool = False) -> Standing:
    return Standing(
        status=LeadStatus(lead.status),
        outcome=Outcome(lead.outcome) if lead.outcome else None,
        attempts=lead.attempts,
        due_at=lead.due_at,
        notify=notify,
    )


async def _has_webhook(tx: Transaction, lead: Row[Any]) -> bool:
    _, template = await campaign_rows.with_template(tx, lead.campaign_id)
    return template.webhook_url is not None
