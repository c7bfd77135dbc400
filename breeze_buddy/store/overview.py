"""Calls as people and programs read them: facts, recording and conversation together."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row, select

from breeze_buddy.domain.call import AnsweredBy, CallStatus, FailureClass, Progress
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.store import recordings as recording_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.facts import attempt_of, report_of
from breeze_buddy.store.schema import calls


class RecordingView(BaseModel):
    sid: str
    status: str | None
    duration_s: int | None
    channels: int | None
    stored: bool = Field(description="our own copy is complete")


class ConversationView(BaseModel):
    ending: Ending
    result: str | None
    answers: dict[str, str]


class CallView(BaseModel):
    """One attempt. Times are UTC; `duration_s` counts from the answer."""

    model_config = ConfigDict(frozen=True)

    id: str
    lead_id: str
    campaign_id: str
    attempt: int
    counted: bool = Field(description="whether it used one of the lead's attempts")
    progress: Progress
    from_phone: str
    to_phone: str
    sid: str | None
    status: CallStatus | None
    refusal: FailureClass | None
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


async def call(tx: Transaction, call_id: str) -> CallView:
    """Raises NotFound."""
    row = (await tx.execute(select(calls).where(calls.c.id == call_id))).first()
    if row is None:
        raise NotFound("call", call_id)
    return await _view(tx, row)


async def calls_of(tx: Transaction, lead_id: str) -> list[CallView]:
    """All attempts of a lead, the oldest first."""
    rows = await tx.execute(select(calls).where(calls.c.lead_id == lead_id).order_by(calls.c.granted_at))
    return [await _view(tx, row) for row in rows.all()]


async def _view(tx: Transaction, row: Row[Any]) -> CallView:
    found = await recording_rows.of_call(tx, row.id)
    report = await report_of(tx, row.id)
    fields = {name: value for name, value in row._asdict().items() if name in CallView.model_fields}
    return CallView.model_validate(
        {
            **fields,
            "counted": row.intended_at is not None and attempt_of(row, report).counts,
            "recording": _recording(found[-1]) if found else None,
            "conversation": ConversationView(ending=report.ending, result=report.result, answers=report.answers)
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
        stored=found.stored_as is not None,
    )
