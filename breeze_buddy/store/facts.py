"""Facts of calls, between their columns and the domain's `CallFacts`."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus, Direction, FailureClass, Progress
from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.messages import inbound_workflow_id, lead_workflow_id
from breeze_buddy.domain.outcome import Attempt
from breeze_buddy.domain.template import Template
from breeze_buddy.store import templates as template_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.schema import calls, campaigns, conversations

# Made once: what every lead asks several times is not put together anew each time.
_LOCKED = select(calls).where(calls.c.id == bindparam("call_id")).with_for_update()
_CHANGED = update(calls).where(calls.c.id == bindparam("call_id"))
_TEMPLATE_ID = select(campaigns.c.template_id).where(campaigns.c.id == bindparam("campaign_id"))
_REPORT = select(conversations.c.report).where(conversations.c.call_id == bindparam("of_call"))
_DIALLED = (
    select(calls, conversations.c.report, conversations.c.state.is_not(None).label("conversed"))
    .join(conversations, conversations.c.call_id == calls.c.id, isouter=True)
    .where(calls.c.intended_at.is_not(None), calls.c.direction == Direction.OUTBOUND)
)
_DIALLED_FOR_LEAD = _DIALLED.where(calls.c.lead_id == bindparam("of_lead")).order_by(calls.c.granted_at, calls.c.id)


async def locked_call(tx: Transaction, call_id: str) -> Row[Any]:
    """The row of an attempt, which nobody else changes until this transaction ends. Raises NotFound."""
    row = (await tx.execute(_LOCKED, {"call_id": call_id})).first()
    if row is None:
        raise NotFound("call", call_id)
    return row


async def template_of(tx: Transaction, call: Row[Any]) -> Template:
    """The template that a call is held by: its number's when the person called us, else its campaign's."""
    template_id = call.template_id
    if template_id is None:
        template_id = await tx.scalar(_TEMPLATE_ID, {"campaign_id": call.campaign_id})
    return (await template_rows.get(tx, template_id)).template


def workflow_id_of(call: Row[Any]) -> str:
    """The workflow that follows a call: its lead's, or its own when the person called us."""
    if call.direction == Direction.INBOUND:
        return inbound_workflow_id(call.sid)
    return lead_workflow_id(call.lead_id)


def facts_of(row: Row[Any]) -> CallFacts:
    return CallFacts(
        status=CallStatus(row.status) if row.status else None,
        sequence=row.sequence,
        sid=row.sid,
        initiated_at=row.initiated_at,
        ringing_at=row.ringing_at,
        answered_at=row.answered_at,
        ended_at=row.ended_at,
        duration_s=row.duration_s,
        sip_code=row.sip_code,
        answered_by=AnsweredBy(row.answered_by) if row.answered_by else None,
        error_code=row.error_code,
    )


async def add_facts(tx: Transaction, call: Row[Any], news: CallFacts, **columns: Any) -> CallFacts:
    """Merge `news` into a locked call and return all that is now known of it. `columns` are set along with them."""
    before = facts_of(call)
    after = before.merge(news)
    changes = {**columns, **after.changes(before)}
    if after.sid is not None and call.progress == Progress.INTENDED:
        # A callback (or the stream) was quicker than Twilio's answer to our request, or all there is of it.
        changes["progress"] = Progress.DIALLED
    elif after.sid is not None and call.progress == Progress.NOT_CREATED and call.settled_at is None:
        # Given up too early, and not yet drawn conclusions from: there is a call.
        changes |= {"progress": Progress.DIALLED, "refusal": None, "error_message": None}
    if changes:
        await change_call(tx, call.id, **changes)
    return after


async def change_call(tx: Transaction, call_id: str, **values: Any) -> None:
    """Set columns of an attempt."""
    await tx.execute(_CHANGED, {"call_id": call_id, **values})


async def report_of(tx: Transaction, call_id: str) -> ConversationReport | None:
    report = await tx.scalar(_REPORT, {"of_call": call_id})
    return ConversationReport.model_validate(report) if report is not None else None


async def attempts_of(tx: Transaction, lead_id: str) -> list[Attempt]:
    """The facts of all attempts of a lead that were meant to be dialled, the oldest first."""
    return [_attempt(row) for row in await tx.execute(_DIALLED_FOR_LEAD, {"of_lead": lead_id})]


async def last_attempts(tx: Transaction, campaign_id: str, *, settled_after: datetime, limit: int) -> list[Attempt]:
    """The facts of the attempts of a campaign that were meant to be dialled and are settled, the newest first."""
    settled = (calls.c.campaign_id == campaign_id) & (calls.c.settled_at > settled_after)
    newest = _DIALLED.where(settled).order_by(calls.c.settled_at.desc(), calls.c.id).limit(limit)
    return [_attempt(row) for row in await tx.execute(newest)]


def _attempt(row: Row[Any]) -> Attempt:
    return attempt_of(row, ConversationReport.model_validate(row.report)) if row.report else _unreported(row)


def _unreported(row: Row[Any]) -> Attempt:
    """An attempt without a report. A conversation that had begun was lost by us, with its media server."""
    attempt = attempt_of(row, None)
    talked = row.conversed and attempt.status is CallStatus.COMPLETED and not attempt.machine
    return replace(attempt, ending=Ending.LOST) if talked else attempt


def attempt_of(row: Row[Any], report: ConversationReport | None) -> Attempt:
    """The facts of one attempt that the rules look at, from its row and its conversation."""
    return Attempt(
        status=CallStatus(row.status) if row.status else None,
        refusal=FailureClass(row.refusal) if row.refusal else None,
        answered_by=AnsweredBy(row.answered_by) if row.answered_by else None,
        ending=report.ending if report else None,
        callback_at=report.callback_at if report else None,
        do_not_call=report.do_not_call if report else False,
        no_media=row.no_media,
        cancelled_by_us=row.cancelled_by_us,
    )
