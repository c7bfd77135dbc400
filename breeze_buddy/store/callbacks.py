"""Twilio's callbacks: kept before they are acknowledged, once each, with the signal that each causes.

A callback changes the course of a lead when its call has ended, when a machine answered, or when the
recording is there that the lead's wrap-up waits for; all others are facts only.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import select, update

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus
from breeze_buddy.domain.messages import (
    CALL_ENDED,
    CONFERENCE_NEWS,
    LEG_NEWS,
    MACHINE_ANSWERED,
    RECORDING_READY,
    CallEvent,
    ConferenceEvent,
    LegEvent,
)
from breeze_buddy.domain.recording import RecordingFacts
from breeze_buddy.store import pods, recordings
from breeze_buddy.store.database import Transaction, insert_into
from breeze_buddy.store.facts import add_facts, locked_call, template_of, workflow_id_of
from breeze_buddy.store.schema import callbacks

Event: TypeAlias = CallEvent | LegEvent | ConferenceEvent
_EVENTS: dict[str, type[Event]] = {LEG_NEWS: LegEvent, CONFERENCE_NEWS: ConferenceEvent}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A signal that a callback causes, and the callback it comes from."""

    callback_id: int
    workflow_id: str
    signal: str
    event: Event


@dataclass(frozen=True, slots=True)
class Received:
    """One callback as it came. `call_id` is from its query, `dedupe_key` from its fields."""

    kind: str
    dedupe_key: str
    call_id: str
    fields: dict[str, str]
    at: datetime


async def take_call_facts(tx: Transaction, received: Received, facts: CallFacts) -> Delivery | None:
    """Keep a callback about a call. None when it was here before, or changes no course. Raises NotFound."""
    call = await locked_call(tx, received.call_id)
    after = await add_facts(tx, call, facts)
    signal = None
    if facts.status is not None and facts.status.is_terminal:
        # A call that is settled has no workflow that waits for its end: it was turned away, or has been decided.
        signal = CALL_ENDED if call.settled_at is None else None
        await pods.release(tx, call.id, now=received.at)
    elif facts.answered_by in (AnsweredBy.MACHINE, AnsweredBy.FAX) and call.settled_at is None:
        # Otherwise the media server leaves a message, or goes on.
        signal = MACHINE_ANSWERED if (await template_of(tx, call)).voicemail == "hang_up" else None
    event = CallEvent(call_id=call.id, status=after.status)
    return await keep(tx, received, workflow_id_of(call), signal, event)


async def take_recording_facts(tx: Transaction, received: Received, facts: RecordingFacts) -> Delivery | None:
    """Keep a callback about a recording. None as above. Raises NotFound."""
    call = await locked_call(tx, received.call_id)
    await recordings.note(tx, received.call_id, facts)
    awaited = call.settled_at is not None and facts.status is not None and facts.status.is_final
    status = CallStatus(call.status) if call.status else None
    event = CallEvent(call_id=call.id, status=status)
    return await keep(tx, received, workflow_id_of(call), RECORDING_READY if awaited else None, event)


async def keep(
    tx: Transaction, received: Received, workflow_id: str, signal: str | None, event: Event
) -> Delivery | None:
    """Write a callback down with the signal that it causes, if any. None when it was here before or causes none."""
    callback_id = await tx.scalar(
        insert_into(tx, callbacks)
        .values(
            kind=received.kind,
            dedupe_key=received.dedupe_key,
            call_id=received.call_id,
            workflow_id=workflow_id,
            fields=received.fields,
            received_at=received.at,
            signal=signal,
            payload=event.model_dump(mode="json"),
            delivered_at=received.at if signal is None else None,
        )
        .on_conflict_do_nothing(index_elements=["dedupe_key"])
        .returning(callbacks.c.id)
    )
    if callback_id is None or signal is None:
        return None
    return Delivery(callback_id, workflow_id, signal, event)


async def mark_delivered(tx: Transaction, callback_id: int, *, now: datetime) -> None:
    """The signal of a callback has reached its workflow, or there is none to reach."""
    await tx.execute(update(callbacks).where(callbacks.c.id == callback_id).values(delivered_at=now))


async def undelivered(tx: Transaction, *, older_than: datetime, limit: int = 200) -> list[Delivery]:
    """Callbacks whose signal did not get through: to be sent again."""
    rows = await tx.execute(
        select(callbacks)
        .where(callbacks.c.delivered_at.is_(None), callbacks.c.received_at < older_than)
        .order_by(callbacks.c.received_at)
        .limit(limit)
    )
    return [
        Delivery(row.id, row.workflow_id, row.signal, _EVENTS.get(row.signal, CallEvent).model_validate(row.payload))
        for row in rows
    ]
