"""Calls to us: taken on a free line of their number, or turned away; both are kept.

    answer ──► taken (a line, a workflow) ──end──► (line free) ──settle──► settled
       └─────► turned away, settled at once with the reason

Every function is one step of one transaction and can be run twice: the second time changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, insert, select, update

from breeze_buddy.domain.call import CallStatus, Direction, Progress
from breeze_buddy.domain.inbound import REFUSED, InboundElse, InboundPolicy, TurnedAway
from breeze_buddy.domain.messages import InboundEnd, InboundStart
from breeze_buddy.domain.outcome import outcome_of
from breeze_buddy.domain.phone import mask
from breeze_buddy.domain.template import Template
from breeze_buddy.store import blocked_callers, pods, transfers
from breeze_buddy.store import recordings as recording_rows
from breeze_buddy.store import templates as template_rows
from breeze_buddy.store.callers import caller_lead
from breeze_buddy.store.conversations import is_open
from breeze_buddy.store.database import Transaction, serialise_dispatch
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.facts import attempt_of, locked_call, report_of
from breeze_buddy.store.numbers import free_line, lease_free_line
from breeze_buddy.store.schema import calls, numbers, templates


@dataclass(frozen=True, slots=True)
class Ringing:
    """Somebody calls one of our numbers. `from_phone` is E.164, or a word when the caller hides it."""

    sid: str
    from_phone: str
    to_phone: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The agent takes the call."""

    start: InboundStart
    record: bool


@dataclass(frozen=True, slots=True)
class Declined:
    """The agent does not take the call; `instead` says what the caller gets."""

    why: TurnedAway
    instead: InboundElse


InboundAnswer: TypeAlias = Taken | Declined

_REASONS = {
    TurnedAway.BLOCKED: "the caller is blocked",
    TurnedAway.NOT_ANSWERED: "calls to this number are not answered: it has no inbound policy, or is switched off",
    TurnedAway.CLOSED: "outside business hours",
    TurnedAway.FULL: "every channel of the number was taken",
}


async def answer(tx: Transaction, ringing: Ringing, *, now: datetime) -> InboundAnswer:
    """Decide about a call to us, lease its line and write it down; the same answer for the same CallSid.

    Raises NotFound when the number is not registered.
    """
    # Lines are shared with outbound calls, and Twilio may ask twice at once.
    await serialise_dispatch(tx)
    number = (await tx.execute(select(numbers).where(numbers.c.phone == ringing.to_phone))).first()
    if number is None:
        raise NotFound("registered number", ringing.to_phone)
    policy = InboundPolicy.model_validate(number.inbound) if number.inbound is not None else None
    there = (await tx.execute(select(calls).where(calls.c.sid == ringing.sid))).first()
    if there is None:
        there = await _decide(tx, ringing, number, policy, now)
    if there.refusal is None:
        template = (await template_rows.get(tx, there.template_id)).template
        return Taken(_start(there, template.name), record=template.record)
    why = TurnedAway(there.refusal)
    return Declined(why, policy.instead(why) if policy else REFUSED)


async def _decide(
    tx: Transaction, ringing: Ringing, number: Row[Any], policy: InboundPolicy | None, now: datetime
) -> Row[Any]:
    call_id = str(uuid4())
    lead = await caller_lead(tx, ringing.from_phone)
    await tx.execute(
        insert(calls).values(
            id=call_id,
            direction=Direction.INBOUND,
            lead_id=lead.id if lead else None,
            campaign_id=lead.campaign_id if lead else None,
            template_id=policy.template_id if policy else None,
            number_id=number.id,
            attempt=1,
            from_phone=ringing.from_phone,
            to_phone=ringing.to_phone,
            sid=ringing.sid,
            progress=Progress.DIALLED,
            granted_at=now,
            dial_at=now,
            no_media=False,
            cancelled_by_us=False,
            streams=0,
            sequence=-1,
        )
    )
    why = await _turn_away(tx, ringing, number, policy, call_id, now)
    if why is not None:
        await tx.execute(
            update(calls)
            .where(calls.c.id == call_id)
            .values(progress=Progress.ENDED, refusal=why, error_message=_REASONS[why], settled_at=now)
        )
    return await locked_call(tx, call_id)


async def _turn_away(
    tx: Transaction, ringing: Ringing, number: Row[Any], policy: InboundPolicy | None, call_id: str, now: datetime
) -> TurnedAway | None:
    """Why the agent does not take the call; None when it does, with a line leased."""
    if await blocked_callers.is_blocked(tx, ringing.from_phone):
        return TurnedAway.BLOCKED
    if policy is None or not number.enabled:
        return TurnedAway.NOT_ANSWERED
    if policy.business_hours is not None and not policy.business_hours.is_open(now):
        return TurnedAway.CLOSED
    if not await lease_free_line(tx, number.id, call_id, now=now):
        return TurnedAway.FULL
    return None


def _start(call: Row[Any], template_name: str) -> InboundStart:
    return InboundStart(
        call_id=call.id,
        call_sid=call.sid,
        template_name=template_name,
        masked_phone=mask(call.from_phone),
        lead_id=call.lead_id,
        campaign_id=call.campaign_id,
    )


async def id_of(tx: Transaction, sid: str) -> str:
    """The call to us with this CallSid. Raises NotFound."""
    found = await tx.scalar(select(calls.c.id).where(calls.c.sid == sid, calls.c.direction == Direction.INBOUND))
    if found is None:
        raise NotFound("inbound call", sid)
    return str(found)


@dataclass(frozen=True, slots=True)
class Followed:
    """A call that its workflow has taken up, and what Twilio has said of it so far."""

    template: Template
    status: CallStatus | None


async def mark_followed(tx: Transaction, call_id: str, *, now: datetime) -> Followed:
    """The call's workflow has taken it up. Raises NotFound."""
    call = await locked_call(tx, call_id)
    if call.followed_at is None:
        await tx.execute(update(calls).where(calls.c.id == call_id).values(followed_at=now))
    template = (await template_rows.get(tx, call.template_id)).template
    return Followed(template, CallStatus(call.status) if call.status else None)


async def unfollowed(tx: Transaction, *, older_than: datetime, limit: int = 200) -> list[InboundStart]:
    """Calls that were taken and that no workflow follows yet: to be started again."""
    return await _open(tx, calls.c.followed_at.is_(None), older_than=older_than, limit=limit)


async def followed(tx: Transaction, *, older_than: datetime, limit: int = 10_000) -> list[InboundStart]:
    """Calls that a workflow has taken up and that are not settled: that workflow should be there."""
    return await _open(tx, calls.c.followed_at.is_not(None), older_than=older_than, limit=limit)


async def _open(
    tx: Transaction, taken_up: ColumnElement[bool], *, older_than: datetime, limit: int
) -> list[InboundStart]:
    rows = await tx.execute(
        select(calls, templates.c.name.label("template_name"))
        .join(templates, calls.c.template_id == templates.c.id)
        .where(
            calls.c.direction == Direction.INBOUND,
            taken_up,
            calls.c.settled_at.is_(None),
            calls.c.granted_at < older_than,
        )
        .order_by(calls.c.granted_at)
        .limit(limit)
    )
    return [_start(row, row.template_name) for row in rows]


async def end(tx: Transaction, call_id: str, *, now: datetime) -> InboundEnd:
    """Free the line of a call that is over, and say what is known of it. Raises NotFound."""
    call = await locked_call(tx, call_id)
    await free_line(tx, call_id)
    await pods.release(tx, call_id, now=now)
    await transfers.close_left(tx, call_id, now=now)
    if call.progress != Progress.ENDED:
        await tx.execute(update(calls).where(calls.c.id == call_id).values(progress=Progress.ENDED))
    return await _end(tx, call)


async def settle(tx: Transaction, call_id: str, *, now: datetime) -> InboundEnd:
    """No more is waited for: what is known now is what became of the call. Raises NotFound."""
    call = await locked_call(tx, call_id)
    if call.settled_at is None:
        await tx.execute(update(calls).where(calls.c.id == call_id).values(settled_at=now))
    return (await _end(tx, call)).model_copy(update={"awaiting_conversation": False})


async def _end(tx: Transaction, call: Row[Any]) -> InboundEnd:
    report = await report_of(tx, call.id)
    template = (await template_rows.get(tx, call.template_id)).template
    known = {recording.status for recording in await recording_rows.of_call(tx, call.id)}
    status = CallStatus(call.status) if call.status else None
    return InboundEnd(
        status=status,
        outcome=outcome_of([attempt_of(call, report)]),
        duration_s=call.duration_s,
        result=report.result if report else None,
        reason=f"call {status or 'ended without a word from Twilio'}",
        awaiting_conversation=await is_open(tx, call.id),
        recording_expected=template.record and status is CallStatus.COMPLETED,
        recording_ready=any(one is not None and one.is_final for one in known),
        analyse=template.analysis is not None and report is not None and bool(report.transcript),
    )
