"""Calls as people and programs read them: facts, recording and conversation together."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row, bindparam, or_, select

from breeze_buddy.domain.call import AnsweredBy, CallStatus, Direction, FailureClass, Progress
from breeze_buddy.domain.conversation import CallAnalysis, ConversationFigures, Ending
from breeze_buddy.domain.inbound import TurnedAway
from breeze_buddy.domain.transfer import TransferView
from breeze_buddy.store import recordings as recording_rows
from breeze_buddy.store import transfers as transfer_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.facts import attempt_of, report_of
from breeze_buddy.store.pages import behind
from breeze_buddy.store.schema import calls


class RecordingView(BaseModel):
    sid: str
    status: str | None
    duration_s: int | None
    channels: int | None
    stored: bool = Field(description="our own copy is complete and kept")


class ConversationView(BaseModel):
    ending: Ending
    result: str | None
    answers: dict[str, str]
    callback_at: datetime | None = Field(None, description="when the caller was promised a call")
    figures: ConversationFigures | None = Field(None, description="how long answers took, and interruptions")
    analysis: CallAnalysis | None = Field(None, description="what a language model read from the transcript")


class CallView(BaseModel):
    """One call, an attempt at a lead or somebody's call to us. Times are UTC; `duration_s` counts from the answer."""

    model_config = ConfigDict(frozen=True)

    id: str
    direction: Direction
    lead_id: str | None = Field(description="of an inbound call: the caller's lead, when there is one")
    campaign_id: str | None
    attempt: int
    counted: bool = Field(description="whether it used one of the lead's attempts")
    progress: Progress
    from_phone: str
    to_phone: str
    sid: str | None
    status: CallStatus | None
    refusal: FailureClass | TurnedAway | None = Field(description="why there was no call, or none with the agent")
    answered_by: AnsweredBy | None
    sip_code: int | None
    duration_s: int | None
    granted_at: datetime
    dialled_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    error_code: int | None
    error_message: str | None
    recording: RecordingView | None = None
    conversation: ConversationView | None = None
    transfers: tuple[TransferView, ...] = Field((), description="to humans, the oldest first")


# Made once: every lead's webhook asks it.
_OF_LEAD = select(calls).where(calls.c.lead_id == bindparam("of_lead")).order_by(calls.c.granted_at)


async def call(tx: Transaction, call_id: str) -> CallView:
    """Raises NotFound."""
    row = (await tx.execute(select(calls).where(calls.c.id == call_id))).first()
    if row is None:
        raise NotFound("call", call_id)
    return await _view(tx, row)


async def calls_of(tx: Transaction, lead_id: str) -> list[CallView]:
    """All attempts of a lead, the oldest first."""
    rows = await tx.execute(_OF_LEAD, {"of_lead": lead_id})
    return [await _view(tx, row) for row in rows.all()]


async def listed(
    tx: Transaction,
    *,
    direction: Direction | None = None,
    phone: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[CallView]:
    """Calls in the order in which they began, those after the call with id `after`; `phone` is either side's.

    Raises NotFound for `after`.
    """
    query = select(calls).order_by(calls.c.granted_at, calls.c.id).limit(limit)
    if direction is not None:
        query = query.where(calls.c.direction == direction)
    if phone is not None:
        query = query.where(or_(calls.c.from_phone == phone, calls.c.to_phone == phone))
    if after is not None:
        last = await call(tx, after)
        query = query.where(behind((calls.c.granted_at, calls.c.id), (last.granted_at, last.id)))
    return [await _view(tx, row) for row in (await tx.execute(query)).all()]


async def _view(tx: Transaction, row: Row[Any]) -> CallView:
    found = await recording_rows.of_call(tx, row.id)
    report = await report_of(tx, row.id)
    fields = {name: value for name, value in row._asdict().items() if name in CallView.model_fields}
    return CallView.model_validate(
        {
            **fields,
            "counted": row.intended_at is not None and attempt_of(row, report).counts,
            "recording": _recording(found[-1]) if found else None,
            "transfers": await transfer_rows.of_call(tx, row.id),
            "conversation": ConversationView(
                ending=report.ending,
                result=report.result,
                answers=report.answers,
                callback_at=report.callback_at,
                figures=report.figures,
                analysis=report.analysis,
            )
            if report
            else None,
        }
    )


def _recording(found: recording_rows.Recording) -> RecordingView:
    return RecordingView(
        sid=found.sid,
        status=found.status,
        duration_s=found.duration_s,
        channels=found.channels,
        stored=found.stored_as is not None and found.deleted_at is None,
    )
