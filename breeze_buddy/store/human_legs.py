"""The phones that transfers ring: rows that make sure of "dialled once", "one human, one call" and "told apart"."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus
from breeze_buddy.domain.phone import mask
from breeze_buddy.domain.transfer import TransferEnding, TransferStatus
from breeze_buddy.store import transfers
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.schema import transfer_legs
from breeze_buddy.store.schema import transfers as transfer_rows


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


@dataclass(frozen=True, slots=True)
class LegView:
    """A human's phone as people see it: masked, with its times and, when nobody talked, why."""

    phone: str
    dialled_at: datetime
    answered_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    ending: TransferEnding | None


async def of_transfer(tx: Transaction, transfer_id: str) -> list[LegView]:
    """The phones that were rung for a transfer, in that order."""
    mine = transfer_legs.c.transfer_id == transfer_id
    rows = await tx.execute(select(transfer_legs).where(mine).order_by(transfer_legs.c.intended_at))
    return [
        LegView(
            phone=mask(row.phone),
            dialled_at=row.intended_at,
            answered_at=row.answered_at,
            accepted_at=row.accepted_at,
            ended_at=row.ended_at,
            ending=_ending(row) if row.ended_at is not None and row.joined_at is None else None,
        )
        for row in rows
    ]


async def intend_leg(tx: Transaction, leg_id: str, transfer_id: str, phone: str, *, now: datetime) -> bool | None:
    """Note that a human is about to be dialled: True once; False when it was noted before, and may have been
    dialled; None while this human's phone is taken by another transfer, or is the next one's in the queue."""
    there = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).first()
    if there is not None:
        return False
    taken = await tx.scalar(
        select(func.count())
        .select_from(transfer_legs)
        .where(transfer_legs.c.phone == phone, transfer_legs.c.ended_at.is_(None))
    )
    if taken or await _somebody_waits_longer(tx, transfer_id):
        return None
    new = insert(transfer_legs).values(id=leg_id, transfer_id=transfer_id, phone=phone, sequence=-1, intended_at=now)
    try:
        async with tx.begin_nested():
            await tx.execute(new)
    except IntegrityError:  # somebody was quicker
        return None
    return True


async def _somebody_waits_longer(tx: Transaction, transfer_id: str) -> bool:
    """Whether an earlier transfer to the same team has no phone ringing: what is free is for that one."""
    earlier = await transfers.queued_before(tx, transfer_id)
    ringing = await tx.scalar(
        select(func.count(transfer_legs.c.transfer_id.distinct())).where(
            transfer_legs.c.transfer_id.in_(earlier), transfer_legs.c.ended_at.is_(None)
        )
    )
    return int(ringing or 0) < len(earlier)


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
    transfer = (
        await tx.execute(select(transfer_rows).where(transfer_rows.c.id == row.transfer_id).with_for_update())
    ).one()
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
    machine = row.answered_by in (AnsweredBy.MACHINE, AnsweredBy.FAX)
    if transfer.ended_at is not None or row.ended_at is not None or other or machine:
        return False
    if row.accepted_at is None:
        await note_leg(tx, leg_id, accepted_at=now)
    return True


async def machine_answered(tx: Transaction, leg_id: str) -> None:
    """It was no human: whoever seemed to be connected is not."""
    row = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).one()
    if row.accepted_at is None:
        return
    await tx.execute(
        update(transfer_rows)
        .where(transfer_rows.c.id == row.transfer_id, transfer_rows.c.ended_at.is_(None))
        .values(connected_at=None, status=TransferStatus.DIALLING)
    )


async def both_are_there(tx: Transaction, transfer_id: str) -> bool:
    """Whether the customer and a human have come into the conference, as far as was told."""
    human = transfer_legs.c.transfer_id == transfer_id
    there = await tx.scalar(
        select(func.count())
        .select_from(transfer_legs.join(transfer_rows, transfer_rows.c.id == transfer_legs.c.transfer_id))
        .where(human, transfer_legs.c.joined_at.is_not(None), transfer_legs.c.ended_at.is_(None))
        .where(transfer_rows.c.customer_joined_at.is_not(None))
    )
    return bool(there)


_BY_SIP = {603: TransferEnding.DECLINED, 607: TransferEnding.DECLINED, 404: TransferEnding.INVALID_NUMBER}


async def leg_over(tx: Transaction, leg_id: str, facts: CallFacts, *, now: datetime) -> None:
    """Twilio's terminal status of a human's phone."""
    values: dict[str, Any] = {"sid": facts.sid, "status": facts.status, "ended_at": facts.ended_at or now}
    row = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).one()
    told = _BY_SIP.get(facts.sip_code) if facts.sip_code is not None else None
    if row.ending is None and told is not None and row.answered_at is None:
        values["ending"] = told
    await note_leg(tx, leg_id, **values)


async def leg_ending(tx: Transaction, leg_id: str) -> TransferEnding:
    """What came of a leg that is over, from its facts: a talk, or why there was none."""
    row = (await tx.execute(select(transfer_legs).where(transfer_legs.c.id == leg_id))).first()
    if row is None:
        raise NotFound("transfer leg", leg_id)
    connected = select(transfer_rows.c.connected_at).where(transfer_rows.c.id == row.transfer_id)
    if row.joined_at is not None and await tx.scalar(connected) is not None:
        return TransferEnding.TALKED
    return _ending(row)


def _ending(row: Row[Any]) -> TransferEnding:
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
