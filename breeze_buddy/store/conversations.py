"""Streams and conversations of calls: who took which stream token, where a talk stands, what came of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from breeze_buddy.domain.call import CallFacts, CallStatus, Progress
from breeze_buddy.domain.conversation import ConversationReport, ConversationState
from breeze_buddy.domain.template import Template
from breeze_buddy.store import campaigns as campaign_rows
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store import templates as template_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import Conflict
from breeze_buddy.store.facts import add_facts, locked_call
from breeze_buddy.store.schema import calls, conversations, stream_claims


@dataclass(frozen=True, slots=True)
class ClaimedCall:
    """The call of a stream, for the media server."""

    call_id: str
    lead_id: str
    template: Template
    variables: dict[str, str]
    state: ConversationState | None


@dataclass(frozen=True, slots=True)
class Reported:
    """The lead whose conversation was stored, and whether its workflow is waiting for that."""

    lead_id: str
    awaited: bool


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """What the verb after `<Connect>` has to know of a call."""

    lead_id: str
    reported: bool
    streams: int
    ended: bool


async def claim_stream(
    tx: Transaction, *, token_id: str, call_id: str, call_sid: str, stream_sid: str, now: datetime
) -> ClaimedCall:
    """Take a stream token. Raises Conflict when it was taken or the call is over, NotFound without a call."""
    call = await locked_call(tx, call_id)
    taken = await tx.scalar(select(stream_claims.c.stream_sid).where(stream_claims.c.token_id == token_id))
    if taken is not None:
        raise Conflict("this stream token has been used")
    if call.sid is not None and call.sid != call_sid:
        raise Conflict("this stream token belongs to another call")
    if call.progress in (Progress.ENDED, Progress.NOT_CREATED):
        raise Conflict("this call has ended")
    row = (await tx.execute(select(conversations).where(conversations.c.call_id == call_id))).first()
    if row is not None and row.report is not None:
        raise Conflict("this conversation has ended")
    await add_facts(tx, call, CallFacts(sid=call_sid))
    await tx.execute(
        insert(stream_claims).values(token_id=token_id, call_id=call_id, stream_sid=stream_sid, claimed_at=now)
    )
    lead = await lead_rows.get(tx, call.lead_id)
    campaign = await campaign_rows.get(tx, call.campaign_id)
    stored = await template_rows.get(tx, campaign.template_id)
    state = row.state if row is not None else None
    return ClaimedCall(
        call_id=call_id,
        lead_id=lead.id,
        template=stored.template,
        variables=lead.variables,
        state=ConversationState.model_validate(state) if state is not None else None,
    )


async def save_state(tx: Transaction, call_id: str, state: ConversationState, *, now: datetime) -> None:
    """Keep where a conversation stands."""
    await _put(tx, call_id, now, state=state.model_dump(mode="json"))


async def save_report(tx: Transaction, report: ConversationReport, *, now: datetime) -> Reported:
    """Keep a conversation for good; a second report of one call changes nothing. Raises NotFound."""
    call = await locked_call(tx, report.call_id)
    there = await tx.scalar(select(conversations.c.report).where(conversations.c.call_id == report.call_id))
    if there is None:
        await _put(tx, report.call_id, now, report=report.model_dump(mode="json"), reported_at=now)
    ended = call.status is not None and CallStatus(call.status).is_terminal
    return Reported(call.lead_id, awaited=ended)


async def _put(tx: Transaction, call_id: str, now: datetime, **values: Any) -> None:
    values["updated_at"] = now
    done = await tx.execute(update(conversations).where(conversations.c.call_id == call_id).values(**values))
    if done.rowcount == 0:
        await tx.execute(insert(conversations).values(call_id=call_id, **values))


async def standing(tx: Transaction, call_id: str) -> StreamStanding:
    """Raises NotFound."""
    call = await locked_call(tx, call_id)
    report = await tx.scalar(select(conversations.c.report).where(conversations.c.call_id == call_id))
    return StreamStanding(
        lead_id=call.lead_id,
        reported=report is not None,
        streams=call.streams,
        ended=call.progress in (Progress.ENDED, Progress.NOT_CREATED),
    )


async def count_stream(tx: Transaction, call_id: str) -> None:
    """One more stream was offered to Twilio for this call."""
    await tx.execute(update(calls).where(calls.c.id == call_id).values(streams=calls.c.streams + 1))


async def mark_no_media(tx: Transaction, call_id: str) -> None:
    """The call was answered and no media server took it: our failure, not the callee's."""
    claimed = await tx.scalar(select(func.count()).select_from(stream_claims).where(stream_claims.c.call_id == call_id))
    if not claimed:
        await tx.execute(update(calls).where(calls.c.id == call_id).values(no_media=True))
