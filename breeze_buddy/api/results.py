"""What became of a campaign, as CSV that is written while it is read: one row a lead, or one a call."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from breeze_buddy.api.context import AContext, Context
from breeze_buddy.api.spreadsheet import safe_cell
from breeze_buddy.domain.lead import own_priority
from breeze_buddy.store import campaigns, results
from breeze_buddy.store.results import CallResult, LeadResult, Names

router = APIRouter(prefix="/campaigns", tags=["campaigns"])

_LEADS_A_PAGE = 200

_LEAD = (
    "id",
    "phone",
    "status",
    "outcome",
    "attempts",
    "priority",
    "time_zone",
    "request_id",
    "due_at",
    "created_at",
    "finished_at",
)
_CALL = (
    "id",
    "direction",
    "attempt",
    "from_phone",
    "to_phone",
    "status",
    "refusal",
    "error_message",
    "answered_by",
    "sip_code",
    "duration_s",
    "granted_at",
    "dialled_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "sid",
)


class Rows(StrEnum):
    """What a row is."""

    LEADS = "leads"
    CALLS = "calls"


@router.get(
    "/{campaign_id}/results",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"example": "id,phone,status,outcome,attempts\n"}}}},
)
async def read_results(context: AContext, campaign_id: str, rows: Rows = Rows.LEADS) -> StreamingResponse:
    """All leads of a campaign with what became of them, as CSV in the order of their phones; also while it runs.

    A lead's row has its result and answers (`answers.<name>`) from its last conversation, the facts of its last call
    (`call.<name>`) and its variables (`variables.<name>`). With `rows=calls` there is a row for each call.
    A cell that a spreadsheet would calculate has an apostrophe in front; phones and other numbers have not.
    """
    async with context.database.read() as tx:
        await campaigns.get(tx, campaign_id)
        names = await results.names(tx, campaign_id)
    header, rows_of = (_lead_header, _lead_rows) if rows is Rows.LEADS else (_call_header, _call_rows)
    return StreamingResponse(
        _lines(context, campaign_id, header(names), lambda lead: rows_of(lead, names)),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{rows}-{campaign_id}.csv"'},
    )


async def _lines(
    context: Context, campaign_id: str, header: list[str], rows_of: Callable[[LeadResult], Iterator[list[Any]]]
) -> AsyncIterator[str]:
    yield _csv([header])
    after = None
    while True:
        async with context.database.read() as tx:
            found = await results.page(tx, campaign_id, after=after, limit=_LEADS_A_PAGE)
        if not found:
            return
        yield _csv(row for lead in found for row in rows_of(lead))
        after = found[-1].row


def _csv(rows: Any) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([_cell(value) for value in row] for row in rows)
    return written.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return safe_cell(str(value))


def _lead_header(names: Names) -> list[str]:
    return [
        *_LEAD,
        "result",
        *(f"answers.{name}" for name in names.answers),
        "calls",
        *(f"call.{name}" for name in _CALL),
        *(f"variables.{name}" for name in names.variables),
    ]


def _lead_rows(lead: LeadResult, names: Names) -> Iterator[list[Any]]:
    talked = [call for call in lead.calls if call.ending is not None]
    last_talk = talked[-1] if talked else None
    last_call = lead.calls[-1] if lead.calls else None
    answers = last_talk.answers if last_talk else {}
    yield [
        *(own_priority(lead.row.priority) if name == "priority" else getattr(lead.row, name) for name in _LEAD),
        last_talk.result if last_talk else None,
        *(answers.get(name) for name in names.answers),
        len(lead.calls),
        *(_facts(last_call) if last_call else [None] * len(_CALL)),
        *(lead.row.variables.get(name) for name in names.variables),
    ]


def _call_header(names: Names) -> list[str]:
    return [
        "lead_id",
        "phone",
        "request_id",
        *_CALL,
        "ending",
        "result",
        *(f"answers.{name}" for name in names.answers),
    ]


def _call_rows(lead: LeadResult, names: Names) -> Iterator[list[Any]]:
    for call in lead.calls:
        yield [
            lead.row.id,
            lead.row.phone,
            lead.row.request_id,
            *_facts(call),
            call.ending,
            call.result,
            *(call.answers.get(name) for name in names.answers),
        ]


def _facts(call: CallResult) -> list[Any]:
    return [getattr(call.row, name) for name in _CALL]
