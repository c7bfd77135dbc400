"""Streams and conversations of calls: who took which stream token, where a talk stands, what came of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, insert, select, update

from breeze_buddy.domain.call import CallFacts, CallStatus, Direction, Progress
from breeze_buddy.domain.conversation import CallAnalysis, ConversationReport, ConversationState, Ending
from breeze_buddy.domain.do_not_call import ListingSource
from breeze_buddy.domain.private_values import PrivateValues
from breeze_buddy.domain.providers import Analysis
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.window import zone_among, zones_of, zones_of_text
from breeze_buddy.store import callers, do_not_call
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import Conflict
from breeze_buddy.store.facts import add_facts, locked_call, template_of, workflow_id_of
from breeze_buddy.store.schema import calls, conversations, stream_claims, transfers

_NEXT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ClaimedCall:
    """The call of a stream, for the media server."""

    call_id: str
    lead_id: str | None
    template: Template
    variables: dict[str, str]
    state: ConversationState | None
    zone: tzinfo
    inbound: bool


@dataclass(frozen=True, slots=True)
class Reported:
    """The workflow of the call whose conversation was stored, and whether it is waiting for that. Not `taken`: the
    report is of a stream that another one has replaced."""

    workflow_id: str
    awaited: bool
    taken: bool = True


@dataclass(frozen=True, slots=True)
class StreamStanding:
    """What the verb after `<Connect>` has to know of a call. `lead_id` is None for a caller unknown to us."""

    lead_id: str | None
    direction: Direction
    reported: bool
    streams: int
    ended: bool


async def claim_stream(
    tx: Transaction, *, token_id: str, call_id: str, call_sid: str, stream_sid: str, now: datetime
) -> ClaimedCall:
    """Take a stream token. Raises Conflict when it was taken or the call is over, NotFound without a call.

    From here on only this stream of the call may say how its conversation stands (`save_state`, `save_report`).
    """
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
    latest = await tx.scalar(select(func.max(stream_claims.c.claimed_at)).where(stream_claims.c.call_id == call_id))
    # Later than the claim before, whatever the clocks of two pods say.
    claimed_at = now if latest is None else max(now, latest + _NEXT)
    await tx.execute(
        insert(stream_claims).values(token_id=token_id, call_id=call_id, stream_sid=stream_sid, claimed_at=claimed_at)
    )
    state = row.state if row is not None else None
    template = await template_of(tx, call)
    return ClaimedCall(
        call_id=call_id,
        lead_id=call.lead_id,
        template=template,
        variables=await _variables_of(tx, call),
        state=ConversationState.model_validate(state) if state is not None else None,
        zone=await _zone_of(tx, call, template),
        inbound=call.direction == Direction.INBOUND,
    )


async def _zone_of(tx: Transaction, call: Row[Any], template: Template) -> tzinfo:
    if call.direction == Direction.INBOUND:
        zones = zones_of(None, call.from_phone)
    else:
        zones = zones_of_text((await lead_rows.row_of(tx, call.lead_id)).zones)
    return zone_among(zones, template.calling_window)


async def _variables_of(tx: Transaction, call: Row[Any]) -> dict[str, str]:
    if call.direction == Direction.INBOUND:
        return await callers.variables_of(tx, call)
    return (await lead_rows.get(tx, call.lead_id)).variables


_OPEN = select(
    exists().where(stream_claims.c.call_id == bindparam("of_call"))
    & ~exists().where(conversations.c.call_id == bindparam("of_call"), conversations.c.report.is_not(None))
)


async def is_open(tx: Transaction, call_id: str) -> bool:
    """Whether a media server has taken this call's stream and not reported yet."""
    return bool(await tx.scalar(_OPEN, {"of_call": call_id}))


async def save_state(
    tx: Transaction, call_id: str, state: ConversationState, *, now: datetime, stream_sid: str | None = None
) -> bool:
    """Keep where a conversation stands. False, and nothing is kept: `stream_sid`, who says so, was replaced by
    another stream of the call.

    Whoever asked not to be called is on the do-not-call list from here on, whatever becomes of the call.
    A conversation that goes on from where it stood needs no patience with the streams that broke before.
    """
    if stream_sid is not None:
        call = await locked_call(tx, call_id)  # no other stream claims the call meanwhile
        if await _is_replaced(tx, call_id, stream_sid):
            return False
        if call.streams > 1 and await _has_moved(tx, state, call_id):
            await tx.execute(update(calls).where(calls.c.id == call_id).values(streams=1))
        if state.do_not_call:
            await _list(tx, call, now=now)
    await _put(tx, call_id, now, state=state.model_dump(mode="json"))
    return True


async def save_report(
    tx: Transaction, report: ConversationReport, *, now: datetime, stream_sid: str | None = None
) -> Reported:
    """Keep a conversation for good; a second report of one call changes nothing, nor does that of a stream that
    was replaced by another (`stream_sid`; None: it does not come from a stream). Raises NotFound.

    While a transfer is open, a caller who left the stream was moved and may come back: what was said is kept
    with the state, and the transfer's end writes the report. So it is for one who is on the way back from it. A
    report that comes late, from the stream before the transfer, says nothing about the one after it.

    Whoever asked not to be called is on the do-not-call list from here on.
    """
    call = await locked_call(tx, report.call_id)
    if report.do_not_call:
        await _list(tx, call, now=now)
    if stream_sid is not None and await _is_replaced(tx, call.id, stream_sid):
        return Reported(workflow_id_of(call), awaited=False, taken=False)
    row = (await tx.execute(select(conversations).where(conversations.c.call_id == report.call_id))).first()
    state = ConversationState.model_validate(row.state) if row is not None and row.state is not None else None
    if report.ending is Ending.CALLER_HUNG_UP and await _may_come_back(tx, report, state):
        if state is not None and len(report.transcript) > len(state.transcript):
            said = state.model_copy(update={"transcript": report.transcript})
            await save_state(tx, call.id, said, now=now)
        return Reported(workflow_id_of(call), awaited=False)
    if row is None or row.report is None:
        await _put(tx, report.call_id, now, report=report.model_dump(mode="json"), reported_at=now)
    ended = call.status is not None and CallStatus(call.status).is_terminal
    return Reported(workflow_id_of(call), awaited=ended)


_LATEST_CLAIM = (
    select(stream_claims.c.stream_sid)
    .where(stream_claims.c.call_id == bindparam("of_call"))
    .order_by(stream_claims.c.claimed_at.desc())
    .limit(1)
)


async def _is_replaced(tx: Transaction, call_id: str, stream_sid: str) -> bool:
    """Whether another stream has taken the call after this one."""
    latest = await tx.scalar(_LATEST_CLAIM, {"of_call": call_id})
    return latest is not None and latest != stream_sid


async def _has_moved(tx: Transaction, state: ConversationState, call_id: str) -> bool:
    """Whether a conversation stands elsewhere than it did. One that breaks whenever it is resumed does not move."""
    kept = await tx.scalar(select(conversations.c.state).where(conversations.c.call_id == call_id))
    if kept is None:
        return True
    before = ConversationState.model_validate(kept)
    return any(getattr(before, name) != getattr(state, name) for name in ("node", "answers", "filling", "machine"))


async def to_analyse(tx: Transaction, call_id: str) -> tuple[ConversationReport, Analysis, tzinfo] | None:
    """The transcript that a template wants to have read, without what no model is told, and the caller's zone; None:
    there is none, or it was read."""
    call = await locked_call(tx, call_id)
    template = await template_of(tx, call)
    report = await tx.scalar(select(conversations.c.report).where(conversations.c.call_id == call_id))
    if report is None or template.analysis is None:
        return None
    found = ConversationReport.model_validate(report)
    if found.analysis is not None or not found.transcript:
        return None
    private = PrivateValues(template.private_variables, {**await _variables_of(tx, call), **found.answers})
    told = found.model_copy(update={"transcript": private.hide_all(found.transcript)})
    return told, template.analysis, await _zone_of(tx, call, template)


async def save_analysis(tx: Transaction, call_id: str, analysis: CallAnalysis, *, now: datetime) -> None:
    """Add to a conversation's report what was read from its transcript."""
    await locked_call(tx, call_id)
    report = await tx.scalar(select(conversations.c.report).where(conversations.c.call_id == call_id))
    if report is not None:
        await _put(tx, call_id, now, report={**report, "analysis": analysis.model_dump(mode="json")})


async def _list(tx: Transaction, call: Row[Any], *, now: datetime) -> None:
    """Whoever was talked to is called no more, by no campaign. A caller who hid the number cannot be."""
    phone = call.from_phone if call.direction == Direction.INBOUND else call.to_phone
    if phone.startswith("+"):
        await do_not_call.add(
            tx, phone, source=ListingSource.CONVERSATION, reason="asked for in a call", call_id=call.id, now=now
        )


async def _may_come_back(tx: Transaction, report: ConversationReport, state: ConversationState | None) -> bool:
    if await transfer_is_open(tx, report.call_id):
        return True
    if state is None:
        return False
    overtaken = len(report.transcript) < len(state.transcript)
    return overtaken or (state.returned is not None and len(report.transcript) == len(state.transcript))


async def transfer_is_open(tx: Transaction, call_id: str) -> bool:
    """Whether somebody has asked for a human, and that has not ended."""
    found = await tx.scalar(select(exists().where(transfers.c.call_id == call_id, transfers.c.ended_at.is_(None))))
    return bool(found)


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
        direction=Direction(call.direction),
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
