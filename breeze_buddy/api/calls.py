"""Calls over REST: facts, transcript, recording."""

from datetime import datetime

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel

from breeze_buddy.api.byte_ranges import RangeNotSatisfiable, read_range
from breeze_buddy.api.context import AContext
from breeze_buddy.domain.conversation import Ending, Utterance
from breeze_buddy.store import facts, overview, recordings
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.overview import CallView

router = APIRouter(prefix="/calls", tags=["calls"])


class TranscriptView(BaseModel):
    """What was said, as far as it was heard."""

    call_id: str
    began_at: datetime
    ending: Ending
    result: str | None
    answers: dict[str, str]
    utterances: tuple[Utterance, ...]


@router.get("/{call_id}")
async def read(context: AContext, call_id: str) -> CallView:
    async with context.database.read() as tx:
        return await overview.call(tx, call_id)


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
    """The recording as WAV, whole or the bytes of a Range. 404 until our copy is complete."""
    async with context.database.read() as tx:
        await overview.call(tx, call_id)
        found = await recordings.of_call(tx, call_id)
    stored = next((item for item in reversed(found) if item.stored_as is not None), None)
    if stored is None or stored.stored_as is None:
        raise NotFound("stored recording of call", call_id)
    size = await context.recordings.size(stored.stored_as)
    headers = {"Accept-Ranges": "bytes"}
    try:
        wanted = read_range(request.headers.get("range"), size)
    except RangeNotSatisfiable:
        headers["Content-Range"] = f"bytes */{size}"
        return Response(status_code=status.HTTP_416_RANGE_NOT_SATISFIABLE, headers=headers)
    if wanted is None:
        return Response(
            await context.recordings.read(stored.stored_as, 0, size), headers=headers, media_type="audio/wav"
        )
    start, end = wanted
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    body = await context.recordings.read(stored.stored_as, start, end)
    return Response(body, status.HTTP_206_PARTIAL_CONTENT, headers=headers, media_type="audio/wav")
