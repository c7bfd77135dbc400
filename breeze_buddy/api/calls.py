"""Calls over REST: facts, transcript, recording."""

import logging
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from breeze_buddy.activities.recording_store import RecordingStore
from breeze_buddy.api.byte_ranges import RangeNotSatisfiable, read_range
from breeze_buddy.api.context import AContext
from breeze_buddy.api.errors import RecordingDeleted
from breeze_buddy.domain.call import Direction
from breeze_buddy.domain.conversation import Ending, Utterance
from breeze_buddy.domain.phone import E164
from breeze_buddy.settings import PREFIX
from breeze_buddy.store import facts, overview, recordings
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.overview import CallView, RecordingView

logger = logging.getLogger(__name__)

_PIECE_BYTES = 256 * 1024

router = APIRouter(prefix="/calls", tags=["calls"])


class TranscriptView(BaseModel):
    """What was said, as far as it was heard."""

    call_id: str
    began_at: datetime
    ending: Ending
    result: str | None
    answers: dict[str, str]
    utterances: tuple[Utterance, ...]


class RecordingAnswer(RecordingView):
    """`url` is the path of the audio in this API, once our copy is complete."""

    url: str | None = None


class CallAnswer(CallView):
    """One attempt, with its recording and what came of its conversation."""

    recording: RecordingAnswer | None = None


def shown(call: CallView) -> CallAnswer:
    """A call with the address of its recording."""
    answer = CallAnswer.model_validate(call.model_dump())
    if answer.recording is not None and answer.recording.stored:
        answer.recording.url = f"{PREFIX}/calls/{call.id}/recording"
    return answer


class CallPage(BaseModel):
    """`next` is what `after` of the next page is; None on the last one."""

    items: list[CallAnswer]
    next: str | None


@router.get("")
async def list_all(
    context: AContext,
    direction: Direction | None = None,
    phone: E164 | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> CallPage:
    """Calls in the order in which they began, those to us and those from us; `phone` is either side's."""
    async with context.database.read() as tx:
        found = await overview.listed(tx, direction=direction, phone=phone, after=after, limit=limit)
    return CallPage(items=[shown(call) for call in found], next=found[-1].id if len(found) == limit else None)


@router.get("/{call_id}")
async def read(context: AContext, call_id: str) -> CallAnswer:
    """One attempt: its facts, its recording, and what came of its conversation."""
    async with context.database.read() as tx:
        return shown(await overview.call(tx, call_id))


@router.get("/{call_id}/transcript")
async def transcript(context: AContext, call_id: str) -> TranscriptView:
    """404 until the conversation has ended."""
    async with context.database.read() as tx:
        await overview.call(tx, call_id)
        report = await facts.report_of(tx, call_id)
    if report is None:
        raise NotFound("transcript of call", call_id)
    return TranscriptView(
        call_id=call_id,
        began_at=report.began_at,
        ending=report.ending,
        result=report.result,
        answers=report.answers,
        utterances=report.transcript,
    )


@router.get(
    "/{call_id}/recording",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {}}}, 206: {"content": {"audio/wav": {}}}},
)
async def recording(context: AContext, call_id: str, request: Request) -> Response:
    """The recording as WAV, whole or the bytes of a Range. 404 until our copy is complete, 410 when it was deleted."""
    async with context.database.read() as tx:
        await overview.call(tx, call_id)
        found = await recordings.of_call(tx, call_id)
    kept = [item for item in found if item.stored_as is not None]
    stored = next((item for item in reversed(kept) if item.deleted_at is None), None)
    if stored is None and kept:
        raise RecordingDeleted(kept[-1].deleted_at)
    if stored is None or stored.stored_as is None:
        raise NotFound("stored recording of call", call_id)
    try:
        size = await context.recordings.size(stored.stored_as)
    except FileNotFoundError as error:
        logger.error("%s is not under RECORDINGS_URL any more", stored.stored_as, extra={"call_id": call_id})
        raise NotFound("stored recording of call", call_id) from error
    try:
        wanted = read_range(request.headers.get("range"), size)
    except RangeNotSatisfiable:
        nothing = {"Accept-Ranges": "bytes", "Content-Range": f"bytes */{size}"}
        return Response(status_code=status.HTTP_416_RANGE_NOT_SATISFIABLE, headers=nothing)
    start, end = wanted or (0, size)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(
        _pieces(context.recordings, stored.stored_as, start, end),
        status.HTTP_200_OK if wanted is None else status.HTTP_206_PARTIAL_CONTENT,
        headers=headers,
        media_type="audio/wav",
    )


async def _pieces(files: RecordingStore, path: str, start: int, end: int) -> AsyncIterator[bytes]:
    """Bytes of a stored file, a piece at a time: a recording of hours does not fit the memory of many."""
    for place in range(start, end, _PIECE_BYTES):
        yield await files.read(path, place, min(place + _PIECE_BYTES, end))
