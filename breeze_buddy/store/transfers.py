"""Transfers: rows that make sure of "one at a time", and of a conversation that ends or goes on.

requested ──► dialling ──human there──► connected ──► ended
    └─────────────┴──────nobody─────────────────────► ended, the customer back with the agent
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, bindparam, func, insert, select, update

from breeze_buddy.domain.call import CallStatus, Progress
from breeze_buddy.domain.conversation import ConversationReport, ConversationState, Ending
from breeze_buddy.domain.flow import TRANSFER_RESULT
from breeze_buddy.domain.messages import TransferStart
from breeze_buddy.domain.transfer import TransferEnding, TransferOrder, TransferPolicy, TransferStatus, TransferView
from breeze_buddy.store import conversations
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.facts import locked_call, template_of, workflow_id_of
from breeze_buddy.store.schema import calls, campaigns, leads, transfers
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
    ending: TransferEnding | None
    moved: bool  # the customer was taken from the agent, or that was tried
    joined: bool  # the customer has come into a conference
    connected: bool
    order: TransferOrder
    policy: TransferPolicy
    briefing: dict[str, str]

    @property
    def ended(self) -> bool:
        return self.ending is not None


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
        ending=TransferEnding(row.ending) if row.ending is not None else None,
        moved=row.customer_moved_at is not None,
        joined=row.customer_joined_at is not None,
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


_OF_CALL = select(transfers).where(transfers.c.call_id == bindparam("of_call")).order_by(transfers.c.requested_at)


async def of_call(tx: Transaction, call_id: str) -> list[TransferView]:
    """All transfers of a call, the oldest first."""
    rows = await tx.execute(_OF_CALL, {"of_call": call_id})
    return [TransferView.model_validate(row._asdict()) for row in rows]


async def mark(tx: Transaction, transfer_id: str, column: str, *, now: datetime) -> None:
    """Note the first time of `customer_moved_at`, `customer_joined_at` or `connected_at`."""
    field = transfers.c[column]
    await tx.execute(update(transfers).where(transfers.c.id == transfer_id, field.is_(None)).values({field: now}))


async def hold_instead(tx: Transaction, call_id: str, *, now: datetime) -> TransferCall | None:
    """The call's open transfer, whose customer waits in its conference from now on; None without one.

    None too while no workflow has taken it up: nobody would fetch the customer. Locks the call: a transfer that ends
    at this moment either sees where the customer is, or is over here.
    """
    await locked_call(tx, call_id)
    transfer_id = await tx.scalar(
        select(transfers.c.id)
        .where(transfers.c.call_id == call_id, transfers.c.ended_at.is_(None))
        .where(transfers.c.status != TransferStatus.REQUESTED)
    )
    if transfer_id is None:
        return None
    await mark(tx, transfer_id, "customer_moved_at", now=now)
    return await get(tx, transfer_id)


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


async def end(
    tx: Transaction, transfer_id: str, ending: TransferEnding, *, returned: bool, now: datetime
) -> TransferEnding:
    """Close a transfer, once. `returned`: the customer goes on with the agent, who is told of the ending.

    Otherwise the conversation is over and its report is written from where it stood. Returns the ending that is
    true: two who were connected have talked, even if a workflow that stood still learnt of it all at once.
    """
    row = (await tx.execute(select(transfers).where(transfers.c.id == transfer_id))).one()
    call = await locked_call(tx, row.call_id)
    if row.connected_at is not None and ending is not TransferEnding.VOICEMAIL:
        ending, returned = TransferEnding.TALKED, False
    if row.ended_at is not None and returned:
        return ending  # the conversation may be going on by now
    if row.ended_at is None:
        await tx.execute(
            update(transfers)
            .where(transfers.c.id == transfer_id)
            .values(status=TransferStatus.ENDED, ended_at=now, ending=ending)
        )
    there = (await tx.execute(select(conversation_rows).where(conversation_rows.c.call_id == call.id))).first()
    if there is None or there.state is None or there.report is not None:
        return ending
    state = ConversationState.model_validate(there.state)
    if returned:
        answers = {**state.answers, TRANSFER_RESULT: ending.value}
        changed = state.model_copy(update={"returned": ending, "answers": answers})
        await conversations.save_state(tx, call.id, changed, now=now)
        # The streams before it did not break.
        await tx.execute(update(calls).where(calls.c.id == call.id).values(streams=0))
        return ending
    await conversations.save_report(tx, _report(call.id, state, ending, now), now=now)
    return ending


def _report(call_id: str, state: ConversationState, ending: TransferEnding, now: datetime) -> ConversationReport:
    """What is reported of a conversation that a transfer was the end of."""
    talked = ending is TransferEnding.TALKED
    return ConversationReport(
        call_id=call_id,
        began_at=state.began_at,
        ended_at=now,
        ending=Ending.TRANSFERRED if talked else Ending.CALLER_HUNG_UP,
        result="transferred" if talked else None,
        answers={**state.answers, TRANSFER_RESULT: ending.value},
        transcript=state.transcript,
    )


async def latest_ending(tx: Transaction, call_id: str) -> TransferEnding | None:
    """How the latest transfer of a call ended; None while it is open, or when there is none."""
    newest = select(transfers.c.ending).where(transfers.c.call_id == call_id).order_by(transfers.c.requested_at.desc())
    ending = await tx.scalar(newest.limit(1))
    return TransferEnding(ending) if ending is not None else None


_OPEN_OF = select(transfers).where(transfers.c.call_id == bindparam("of_call"), transfers.c.ended_at.is_(None))
_CONVERSATION_OF = select(conversation_rows).where(conversation_rows.c.call_id == bindparam("of_call"))


async def close_left(tx: Transaction, call_id: str, *, now: datetime) -> None:
    """A call is over: a transfer that no workflow ended, and a conversation on its way back from one, end with it."""
    left = (await tx.execute(_OPEN_OF, {"of_call": call_id})).first()
    if left is not None:
        ending = TransferEnding.TALKED if left.connected_at is not None else TransferEnding.CUSTOMER_HUNG_UP
        await end(tx, left.id, ending, returned=False, now=now)
        return
    row = (await tx.execute(_CONVERSATION_OF, {"of_call": call_id})).first()
    if row is None or row.state is None or row.report is not None:
        return
    state = ConversationState.model_validate(row.state)
    if state.returned is not None:
        # Nobody comes back any more.
        await conversations.save_state(tx, call_id, state.model_copy(update={"returned": None}), now=now)
        await conversations.save_report(tx, _report(call_id, state, state.returned, now), now=now)


async def position(tx: Transaction, transfer_id: str) -> int:
    """The customer's place in the queue for the same team, 1 being next."""
    return len(await queued_before(tx, transfer_id)) + 1


async def queued_before(tx: Transaction, transfer_id: str) -> list[str]:
    """Open transfers to the same team that were asked for earlier and have no human yet; the oldest first."""
    team = func.coalesce(calls.c.template_id, campaigns.c.template_id)
    joined = transfers.join(calls, calls.c.id == transfers.c.call_id).join(
        campaigns, campaigns.c.id == calls.c.campaign_id, isouter=True
    )
    own = select(transfers.c.requested_at, team.label("team")).select_from(joined).where(transfers.c.id == transfer_id)
    row = (await tx.execute(own)).first()
    if row is None:
        raise NotFound("transfer", transfer_id)
    earlier = (
        select(transfers.c.id)
        .select_from(joined)
        .where(
            transfers.c.ended_at.is_(None),
            transfers.c.connected_at.is_(None),
            transfers.c.requested_at < row.requested_at,
            team == row.team,
        )
        .order_by(transfers.c.requested_at)
    )
    return list((await tx.execute(earlier)).scalars())
