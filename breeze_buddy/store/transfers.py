"""Transfers and the phones they ring: rows that make sure of "one at a time", "dialled once" and "told apart".

requested ──► dialling ──human there──► connected ──► ended
    └─────────────┴──────nobody─────────────────────► ended, the customer back with the agent
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from breeze_buddy.domain.call import AnsweredBy, CallStatus, Progress
from breeze_buddy.domain.conversation import ConversationReport, ConversationState, Ending
from breeze_buddy.domain.messages import TransferStart
from breeze_buddy.domain.transfer import TransferEnding, TransferOrder, TransferPolicy, TransferStatus, TransferView
from breeze_buddy.store import conversations
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.facts import locked_call, template_of, workflow_id_of
from breeze_buddy.store.schema import calls, leads, transfer_legs, transfers
from breeze_buddy.store.schema import conversations as conversation_rows


@dataclass(frozen=True, slots=True)
class Requested:
    """A transfer that is open, and the workflow that follows its call."""

    start: TransferStart
    workflow_id: str
    new: bool


@dataclass(frozen=True, slots=True)
class TransferCall:
    """A transfer with what is needed to talk to Twilio about it."""

    id: str
    call_id: str
    call_sid: str
    lead_id: str
    from_phone: str
    customer_phone: str
    conference_name: str
    conference_sid: str | None
    status: TransferStatus
    ended: bool
    connected: bool
    order: TransferOrder
    policy: TransferPolicy
    briefing: dict[str, str]


@dataclass(frozen=True, slots=True)
class Leg:
    """One dialled human."""

    id: str
    transfer_id: str
    phone: str
    sid: str | None
    intended_at: datetime
    accepted: bool
    ended: bool


async def request(tx: Transaction, call_id: str, *, asked_by: str, reason: str, now: datetime) -> Requested:
    """Open a transfer for a live call, or find the one that is open. Raises NotFound, Conflict."""
    call = await locked_call(tx, call_id)
    template = await template_of(tx, call)
    if template.transfer is None:
        raise Conflict("this call's template names nobody to transfer to: give it a `transfer`")
    if call.sid is None or call.progress != Progress.DIALLED or CallStatus(call.status or "queued").is_terminal:
        raise Conflict("only a call that is on can be transferred")
    there = (
        await tx.execute(select(transfers).where(transfers.c.call_id == call_id, transfers.c.ended_at.is_(None)))
    ).first()
    transfer_id = there.id if there is not None else str(uuid4())
    if there is None:
        await tx.execute(
            insert(transfers).values(
                id=transfer_id,
                call_id=call_id,
                order=template.transfer.order,
                asked_by=asked_by,
                reason=reason,
                status=TransferStatus.REQUESTED,
                conference_name=f"transfer-{transfer_id}",
                requested_at=now,
            )
        )
    start = TransferStart(transfer_id=transfer_id, call_id=call_id, call_sid=call.sid, reason=reason)
    return Requested(start, workflow_id_of(call), new=there is None)


async def waiting_for_a_workflow(tx: Transaction, *, older_than: datetime, limit: int = 100) -> list[Requested]:
    """Transfers that were asked for and that nobody has taken up: to be signalled again."""
    rows = await tx.execute(
        select(transfers.c.id, transfers.c.reason, transfers.c.call_id)
        .where(transfers.c.status == TransferStatus.REQUESTED, transfers.c.requested_at < older_than)
        .where(transfers.c.ended_at.is_(None))
        .limit(limit)
    )
    found = []
    for row in rows.all():
        call = (await tx.execute(select(calls).where(calls.c.id == row.call_id))).one()
        start = TransferStart(transfer_id=row.id, call_id=row.call_id, call_sid=call.sid or "", reason=row.reason or "")
        found.append(Requested(start, workflow_id_of(call), new=False))
    return found


async def get(tx: Transaction, transfer_id: str) -> TransferCall:
    """Raises NotFound."""
    row = (await tx.execute(select(transfers).where(transfers.c.id == transfer_id))).first()
    if row is None:
        raise NotFound("transfer", transfer_id)
    call = (await tx.execute(select(calls).where(calls.c.id == row.call_id))).one()
    template = await template_of(tx, call)
    if template.transfer is None:
        raise Conflict("the template no longer names anybody to transfer to")
    inbound = call.direction == "inbound"
    return TransferCall(
        id=row.id,
        call_id=row.call_id,
        call_sid=call.sid,
        lead_id=call.lead_id or "",
        from_phone=call.to_phone if inbound else call.from_phone,
        customer_phone=call.from_phone if inbound else call.to_phone,
        conference_name=row.conference_name,
        conference_sid=row.conference_sid,
        status=TransferStatus(row.status),
        ended=row.ended_at is not None,
        connected=row.connected_at is not None,
        order=TransferOrder(row.order),
        policy=template.transfer,
        briefing=await _briefing(tx, row, call),
    )


async def _briefing(tx: Transaction, row: Row[Any], call: Row[Any]) -> dict[str, str]:
    """What the human is told: who calls, why, and what was learnt so far."""
    variables = await tx.scalar(select(leads.c.variables).where(leads.c.id == call.lead_id)) or {}
    state = await tx.scalar(select(conversation_rows.c.state).where(conversation_rows.c.call_id == call.id))
    answers = ConversationState.model_validate(state).answers if state else {}
    known = {**variables, **answers}
    summary = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in answers.items())
    return {**known, "customer": known.get("name", "a customer"), "reason": row.reason or "", "summary": summary}


async def of_call(tx: Transaction, call_id: str) -> list[TransferView]:
    """All transfers of a call, the oldest first."""
    rows = await tx.execute(select(transfers).where(transfers.c.call_id == call_id).order_by(transfers.c.requested_at))
    return [TransferView.model_validate(row._asdict()) for row in rows]


async def mark(tx: Transaction, transfer_id: str, column: str, *, now: datetime) -> None:
    """Note the first time of `customer_moved_at`, `customer_joined_at` or `connected_at`."""
    field = transfers.c[column]
    await tx.execute(update(transfers).where(transfers.c.id == transfer_id, field.is_(None)).values({field: now}))


async def begin(tx: Transaction, transfer_id: str) -> None:
    """A workflow has taken the transfer up."""
    await tx.execute(
        update(transfers)
        .where(transfers.c.id == transfer_id, transfers.c.status == TransferStatus.REQUESTED)
        .values(status=TransferStatus.DIALLING)
    )


async def connect(tx: Transaction, transfer_id: str, *, now: datetime) -> None:
    """Customer and human hear each other."""
    await mark(tx, transfer_id, "connected_at", now=now)
    await tx.execute(update(transfers).where(transfers.c.id == transfer_id).values(status=TransferStatus.CONNECTED))


async def note_conference(tx: Transaction, transfer_id: str, conference_sid: str) -> None:
    """Twilio's id of the conference, from its callbacks."""
    await tx.execute(update(transfers).where(transfers.c.id == transfer_id).values(conference_sid=conference_sid))


async def renew_conference(tx: Transaction, transfer_id: str) -> TransferCall:
    """Another conference for a transfer whose first one is over: a name is never used twice."""
    name = f"transfer-{uuid4()}"
    await tx.execute(
        update(transfers).where(transfers.c.id == transfer_id).values(conference_name=name, conference_sid=None)
    )
    return await get(tx, transfer_id)


async def end(tx: Transaction, transfer_id: str, ending: TransferEnding, *, returned: bool, now: datetime) -> None:
    """Close a transfer, once. `returned`: the customer goes on with the agent, who is told of the ending.

    Otherwise the conversation is over and its report is written from where it stood.
    """
    row = (await tx.execute(select(transfers).where(transfers.c.id == transfer_id))).one()
    call = await locked_call(tx, row.call_id)
    if row.ended_at is None:
        await tx.execute(
            update(transfers)
            .where(transfers.c.id == transfer_id)
            .values(status=TransferStatus.ENDED, ended_at=now, ending=ending)
        )
    there = (await tx.execute(select(conversation_rows).where(conversation_rows.c.call_id == call.id))).first()
    if there is None or there.state is None or there.report is not None:
        return
    state = ConversationState.model_validate(there.state)
    if returned:
        answers = {**state.answers, "transfer_result": ending.value}
        changed = state.model_copy(update={"returned": ending, "answers": answers})
        await conversations.save_state(tx, call.id, changed, now=now)
        return
    talked = ending is TransferEnding.TALKED
    report = ConversationReport(
        call_id=call.id,
        began_at=state.began_at,
        ended_at=now,
        ending=Ending.TRANSFERRED if talked else Ending.CALLER_HUNG_UP,
        result="transferred" if talked else None,
        answers={**state.answers, "transfer_result": ending.value},
        transcript=state.transcript,
    )
    await conversations.save_report(tx, report, now=now)


async def position(tx: Transaction, transfer_id: str) -> int:
    """The customer's place in the queue for the same team, 1 being next."""
    row = (await tx.execute(select(transfers.c.requested_at).where(transfers.c.id == transfer_id))).first()
    if row is None:
        raise NotFound("transfer", transfer_id)
    earlier = await tx.scalar(
        select(func.count())
        .select_from(transfers)
        .where(
            transfers.c.ended_at.is_(None),
            transfers.c.connected_at.is_(None),
            transfers.c.requested_at < row.requested_at,
        )
    )
    return int(earlier or 0) + 1


# Legs: the phones of the team


async def intend_leg(tx: Transaction, leg_id: str, transfer_id: str, phone: str, *, now: datetime) -> bool | None:
    """Note that a human is about to be dialled: True once; False when it was noted before, and may have been
    dialled; None while this human's phone is taken by another transfer."""
    there = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).first()
    if there is not None:
        return False
    taken = await tx.scalar(
        select(func.count())
        .select_from(transfer_legs)
        .where(transfer_legs.c.phone == phone, transfer_legs.c.ended_at.is_(None))
    )
    if taken:
        return None
    new = insert(transfer_legs).values(id=leg_id, transfer_id=transfer_id, phone=phone, sequence=-1, intended_at=now)
    try:
        async with tx.begin_nested():
            await tx.execute(new)
    except IntegrityError:  # somebody was quicker
        return None
    return True


async def leg(tx: Transaction, leg_id: str) -> Leg:
    """Raises NotFound."""
    row = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).first()
    if row is None:
        raise NotFound("transfer leg", leg_id)
    return _leg(row)


def _leg(row: Row[Any]) -> Leg:
    return Leg(
        id=row.id,
        transfer_id=row.transfer_id,
        phone=row.phone,
        sid=row.sid,
        intended_at=row.intended_at,
        accepted=row.accepted_at is not None,
        ended=row.ended_at is not None,
    )


async def leg_by_sid(tx: Transaction, sid: str) -> Leg | None:
    row = (await tx.execute(select(transfer_legs).where(transfer_legs.c.sid == sid))).first()
    return _leg(row) if row is not None else None


async def live_legs(tx: Transaction, transfer_id: str) -> list[Leg]:
    """Phones of this transfer that ring or talk."""
    rows = await tx.execute(
        select(transfer_legs).where(transfer_legs.c.transfer_id == transfer_id, transfer_legs.c.ended_at.is_(None))
    )
    return [_leg(row) for row in rows]


async def note_leg(tx: Transaction, leg_id: str, **values: Any) -> None:
    """Add facts of a leg."""
    await tx.execute(update(transfer_legs).where(transfer_legs.c.id == leg_id).values(**values))


async def accept_leg(tx: Transaction, leg_id: str, *, now: datetime) -> bool:
    """A human takes the call: True for the first of a transfer, False when another was quicker or it is over."""
    row = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).first()
    if row is None:
        raise NotFound("transfer leg", leg_id)
    transfer = (await tx.execute(select(transfers).where(transfers.c.id == row.transfer_id).with_for_update())).one()
    other = await tx.scalar(
        select(func.count())
        .select_from(transfer_legs)
        .where(
            transfer_legs.c.transfer_id == row.transfer_id,
            transfer_legs.c.id != leg_id,
            transfer_legs.c.accepted_at.is_not(None),
            transfer_legs.c.ended_at.is_(None),
        )
    )
    if transfer.ended_at is not None or other:
        return False
    if row.accepted_at is None:
        await note_leg(tx, leg_id, accepted_at=now)
    return True


async def leg_ending(tx: Transaction, leg_id: str) -> TransferEnding:
    """Why nobody talks on a leg that is over, from its facts."""
    row = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).first()
    if row is None:
        raise NotFound("transfer leg", leg_id)
    if row.ending is not None:
        return TransferEnding(row.ending)
    if row.answered_by in (AnsweredBy.MACHINE, AnsweredBy.FAX):
        return TransferEnding.VOICEMAIL
    if row.accepted_at is not None:
        return TransferEnding.AGENT_HUNG_UP
    by_status = {
        CallStatus.NO_ANSWER: TransferEnding.NO_ANSWER,
        CallStatus.CANCELED: TransferEnding.NO_ANSWER,
        CallStatus.BUSY: TransferEnding.BUSY,
        CallStatus.COMPLETED: TransferEnding.DECLINED,
        CallStatus.FAILED: TransferEnding.PROVIDER_ERROR,
    }
    return by_status.get(CallStatus(row.status), TransferEnding.NO_ANSWER) if row.status else TransferEnding.NO_ANSWER
