"""Leads in bulk: a list in JSON, or a CSV file that is written to the database while it is read."""

import asyncio
import csv
import io
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect

from breeze_buddy.activities.enrolment import check_leads
from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.activities.uploading import LeadUpload
from breeze_buddy.api.campaigns import Accepted, Refused
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.api.csv_records import MalformedCsv
from breeze_buddy.api.errors import field_problem, refusal, validation_problems
from breeze_buddy.api.lead_csv import LeadRows, ReadRow
from breeze_buddy.api.spreadsheet import safe_cell
from breeze_buddy.api.uploaded_file import UploadedFile
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.phone import Region
from breeze_buddy.domain.upload import Upload
from breeze_buddy.store import campaigns, leads, templates, uploads

logger = logging.getLogger(__name__)

router = APIRouter(tags=["campaigns"])

# After so many rows others have their turn in this process: Twilio may be waiting.
_ROWS_A_TURN = 100
_REFUSALS_A_PAGE = 1000


class LeadList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    leads: list[LeadInput] = Field(min_length=1, max_length=10_000)


class Uploaded(Accepted):
    """What became of the leads. Of a file, `refused` are the first; GET /uploads/{upload_id}/refusals gives all."""

    upload_id: str | None = Field(None, description="null for JSON")
    refused_count: int = 0


@router.post(
    "/campaigns/{campaign_id}/leads",
    openapi_extra={
        "parameters": [
            {
                "name": "map.<column>",
                "in": "query",
                "required": False,
                "schema": {"type": "string"},
                "description": "which field or variable a column of the file is, as map.Telefon=phone;"
                " empty: the column is left out",
            }
        ],
        "requestBody": {
            "content": {
                "application/json": {"schema": LeadList.model_json_schema(ref_template="#/components/schemas/{model}")},
                "text/csv": {"schema": {"type": "string"}, "example": "phone,name\n+14155550123,Ada\n"},
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
                },
            }
        },
    },
    response_model=Uploaded,
)
async def add_leads(
    context: AContext,
    campaign_id: str,
    request: Request,
    default_country: Annotated[
        Region | None, Query(description="for phones in the file that have no country code", examples=["IN"])
    ] = None,
    file_name: Annotated[str | None, Query(max_length=255)] = None,
) -> Uploaded | Response:
    """Add leads to a campaign, also while it runs: as JSON `{"leads": […]}`, or as CSV with a header line.

    CSV columns: phone, time_zone, priority, request_id, not_before, expires_at; every other column is a variable of
    the template. Good rows are taken, those whose phone or request_id the campaign has are counted as duplicates, and
    every other one is named with its reason. The file is written in pages while it is read; one that breaks off keeps
    what it brought, and brings the rest when it is sent again.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        return await _add_list(context, campaign_id, request)
    columns = {key[4:]: value for key, value in request.query_params.items() if key.startswith("map.") and key[4:]}
    try:
        return await _add_file(
            context,
            campaign_id,
            UploadedFile(request),
            LeadRows(columns=columns, default_country=default_country),
            file_name=file_name,
        )
    except MalformedCsv as error:
        return field_problem("file", str(error), error.code)
    except ClientDisconnect:
        # Nobody hears this.
        return refusal(status.HTTP_400_BAD_REQUEST, "disconnected", "the connection broke before the end of the file")


async def _add_list(context: Context, campaign_id: str, request: Request) -> Uploaded | Response:
    try:
        listed = LeadList.model_validate_json(await request.body())
    except ValidationError as error:
        return validation_problems(error.errors(include_context=False), inside=("body",))
    async with context.database.write() as tx:
        campaign = await campaigns.get(tx, campaign_id)
        template = (await templates.get(tx, campaign.template_id)).template
        now = context.database.now()
        checked = await check_leads(tx, template, listed.leads, now=now)
        added = await leads.add(tx, campaign_id, checked.ready, now=now)
    if added.ids or added.duplicates:
        await _wake_running(context, campaign_id)
    return Uploaded(
        accepted=len(added.ids),
        duplicates=added.duplicates,
        refused_count=len(checked.refused),
        refused=[Refused(row=lead.row, field=lead.field, reason=lead.reason) for lead in checked.refused],
    )


async def _add_file(
    context: Context, campaign_id: str, file: UploadedFile, rows: LeadRows, *, file_name: str | None
) -> Uploaded:
    """Raises MalformedCsv, NotFound, Conflict, Unreachable, and what UploadedFile raises."""
    max_rows = context.settings.upload_max_rows
    count = 0
    woken = False
    async with LeadUpload(context.database, campaign_id, file_name=file_name) as upload:
        async for records in file.records():
            upload.file_name = file_name or file.name
            for item in rows.read(records):
                count += 1
                if count > max_rows:
                    raise MalformedCsv(f"line {item.line}: the file has more than {max_rows} rows: split it")
                if isinstance(item, ReadRow):
                    written = await upload.take(item.line, item.lead)
                else:
                    written = await upload.refuse(item.line, item.field, item.reason)
                if written and not woken and upload.counts.accepted:
                    woken = True
                    await _wake_early(context, campaign_id)
                if count % _ROWS_A_TURN == 0:
                    await asyncio.sleep(0)
        rows.end()
        await upload.write()
    if upload.counts.accepted or upload.counts.duplicates:
        # Also for leads that were here before: the request that brought them may have ended before this line.
        await _wake_running(context, campaign_id)
    return Uploaded(
        upload_id=upload.id,
        accepted=upload.counts.accepted,
        duplicates=upload.counts.duplicates,
        refused_count=upload.counts.refused_count,
        refused=[Refused(line=each.line, field=each.field, reason=each.reason) for each in upload.counts.refused],
    )


async def _wake_running(context: Context, campaign_id: str) -> None:
    """Raises Unreachable."""
    async with context.database.read() as tx:
        campaign = await campaigns.get(tx, campaign_id)
    if campaign.status is CampaignStatus.RUNNING:
        await context.signals.wake_campaign(campaign, messages.LEADS_ADDED)


async def _wake_early(context: Context, campaign_id: str) -> None:
    """The first leads are called while the others still come; the campaign is woken again at the end of the file."""
    try:
        await _wake_running(context, campaign_id)
    except Unreachable as error:
        logger.warning("the campaign %s will be woken at the end of its upload: %s", campaign_id, error)


@router.get("/campaigns/{campaign_id}/uploads")
async def list_uploads(
    context: AContext, campaign_id: str, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[Upload]:
    """The files that were uploaded into a campaign, the newest first; those under way with their counts so far."""
    async with context.database.read() as tx:
        await campaigns.get(tx, campaign_id)
        return await uploads.listed(tx, campaign_id, limit=limit, now=context.database.now())


@router.get("/uploads/{upload_id}")
async def read_upload(context: AContext, upload_id: str) -> Upload:
    """How far an upload is, or how it ended."""
    async with context.database.read() as tx:
        return await uploads.get(tx, upload_id, now=context.database.now())


@router.get(
    "/uploads/{upload_id}/refusals",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"example": "line,field,reason\n3,phone,it has no phone number\n"}}}},
)
async def read_refusals(context: AContext, upload_id: str) -> StreamingResponse:
    """The lines of the file that were not taken, and why, as CSV; duplicates are among them. The first line is 1.

    Of an upload at most 10,000 refusals and 10,000 duplicates are kept.
    """
    async with context.database.read() as tx:
        await uploads.get(tx, upload_id, now=context.database.now())
    return StreamingResponse(
        _refusals(context, upload_id),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="refusals-{upload_id}.csv"'},
    )


async def _refusals(context: Context, upload_id: str) -> AsyncIterator[str]:
    yield "line,field,reason\r\n"
    after = 0
    while True:
        async with context.database.read() as tx:
            found = await uploads.refusals(tx, upload_id, after=after, limit=_REFUSALS_A_PAGE)
        if not found:
            return
        text = io.StringIO(newline="")
        csv.writer(text).writerows((each.line, safe_cell(each.field), safe_cell(each.reason)) for each in found)
        yield text.getvalue()
        after = found[-1].line
