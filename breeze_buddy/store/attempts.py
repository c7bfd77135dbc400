"""One attempt, from the intent to dial to the decision about its lead. How it got there: store/acceptance.py.

    intended ──record_dialled──► dialled ──finish_attempt──► ended
       └──record_refused──► not_created ──finish_attempt──► (lead back, or finished)

Every function is one step of one transaction and can be run twice: the second time changes nothing.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, exists, select, update

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus, FailureClass, Progress
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.circuit_breaker import failed
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import AttemptEnd, CallSummary, Standing
from breeze_buddy.domain.recording import RecordingStatus
from breeze_buddy.domain.retry import Finish, RetryAt, ReturnAt, next_step
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.window import zones_of_text
from breeze_buddy.store import campaigns as campaign_rows
from breeze_buddy.store import circuit
from breeze_buddy.store import conversations as conversation_rows
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store import pods as pod_rows
from breeze_buddy.store import recordings as recording_rows
from breeze_buddy.store import transfers as transfer_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.facts import add_facts, attempt_of, attempts_of, change_call, facts_of, locked_call, report_of
from breeze_buddy.store.line_pool import uncount
from breeze_buddy.store.numbers import free_line
from breeze_buddy.store.schema import calls, conversations, pod_leases, stream_claims, transfers
from breeze_buddy.store.standing import standing_by


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
        return await _end(tx, call, standing_by(lead), template), campaign.id
    await free_line(tx, call_id)
    # Most calls that nobody answers have none of these; those that have some are asked about each.
    left = (await tx.execute(_LEFT, {"of_call": call_id})).one()
    if left.in_pod:
        await pod_rows.release(tx, call_id, now=now)
    if left.handed_over or left.conversed:
        await transfer_rows.close_left(tx, call_id, now=now)
    if wait_for_conversation and left.streamed and await conversation_rows.is_open(tx, call_id):
        await change_call(tx, call_id, progress=Progress.ENDED)
        end = await _end(tx, call, standing_by(lead), template)
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
