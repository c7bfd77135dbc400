"""Campaigns over REST: create, start, pause, resume, cancel, pacing, progress, leads."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from breeze_buddy.activities.enrolment import check_leads, enrol
from breeze_buddy.api.bodies import csv_body
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.api.errors import field_problem, validation_problems
from breeze_buddy.api.lead_csv import MalformedCsv, ReadRow, RefusedRow, read_leads
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import Campaign, CampaignDefinition, CampaignProgress, CampaignStatus, Pacing
from breeze_buddy.domain.lead import Lead, LeadInput, LeadStatus
from breeze_buddy.domain.messages import CancelRequest
from breeze_buddy.store import campaigns, leads, templates

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class Refused(BaseModel):
    """A lead that was not taken. `row` counts the leads given, from 0; `line` counts the lines of a file, from 1."""

    row: int | None = None
    line: int | None = None
    field: str
    reason: str


class Accepted(BaseModel):
    """How many leads are in the backlog now, how many were known by their request_id, and the refused ones."""

    accepted: int
    duplicates: int
    refused: list[Refused]


class CreatedCampaign(Accepted):
    campaign: Campaign


class LeadList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    leads: list[LeadInput] = Field(min_length=1, max_length=10_000)


class LeadPage(BaseModel):
    """`next` is the value of `after` for the following page; null on the last one."""

    items: list[Lead]
    next: str | None


@router.post("", status_code=status.HTTP_201_CREATED)
async def create(context: AContext, definition: CampaignDefinition) -> CreatedCampaign:
    """Create a campaign with its leads; it dials once it is started. The same request_id gives the same campaign."""
    async with context.database.write() as tx:
        made = await enrol(
            tx, definition, default_number=context.settings.twilio_phone_number, now=context.database.now()
        )
    return CreatedCampaign(
        campaign=made.campaign,
        accepted=made.accepted,
        duplicates=made.duplicates,
        refused=[Refused(row=lead.row, field=lead.field, reason=lead.reason) for lead in made.refused],
    )


@router.get("")
async def list_all(
    context: AContext,
    status: CampaignStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[Campaign]:
    """The newest campaigns first."""
    async with context.database.read() as tx:
        return await campaigns.listed(tx, status=status, limit=limit)


@router.get("/{campaign_id}")
async def read(context: AContext, campaign_id: str) -> Campaign:
    """One campaign."""
    async with context.database.read() as tx:
        return await campaigns.get(tx, campaign_id)


@router.patch("/{campaign_id}")
async def change_pacing(context: AContext, campaign_id: str, pacing: Pacing) -> Campaign:
    """Change the fields of the pacing that the body names; others stay."""
    async with context.database.write() as tx:
        campaign = await campaigns.set_pacing(tx, campaign_id, pacing.model_dump(exclude_unset=True))
    await context.dispatcher.dispatch(campaign_id)
    return campaign


@router.post("/{campaign_id}/start")
async def start(context: AContext, campaign_id: str) -> Campaign:
    """Start dialling. Starting a running campaign changes nothing."""
    return await _run(context, campaign_id)


@router.post("/{campaign_id}/resume")
async def resume(context: AContext, campaign_id: str) -> Campaign:
    """Dial again after a pause."""
    return await _run(context, campaign_id)


async def _run(context: Context, campaign_id: str) -> Campaign:
    async with context.database.write() as tx:
        campaign = await campaigns.set_status(tx, campaign_id, CampaignStatus.RUNNING, now=context.database.now())
    await wake(context, campaign, signal=messages.RESUME)
    return campaign


@router.post("/{campaign_id}/pause")
async def pause(context: AContext, campaign_id: str) -> Campaign:
    """No new dials; live calls go on."""
    async with context.database.write() as tx:
        campaign = await campaigns.set_status(
            tx, campaign_id, CampaignStatus.PAUSED, now=context.database.now(), reason="paused by request"
        )
    if campaign.workflow_id is not None:
        await context.signals.to_workflow(campaign.workflow_id, messages.PAUSE)
    return campaign


@router.post("/{campaign_id}/cancel")
async def cancel(
    context: AContext, campaign_id: str, request: Annotated[CancelRequest | None, Body()] = None
) -> Campaign:
    """End the campaign: waiting leads finish as CANCELLED; live calls are hung up unless hang_up is false."""
    wanted = request or CancelRequest()
    async with context.database.write() as tx:
        campaign = await campaigns.set_status(
            tx, campaign_id, CampaignStatus.CANCELLED, now=context.database.now(), reason=wanted.reason
        )
    await wake(context, campaign, signal=messages.CANCEL, payload=wanted)
    return campaign


async def wake(context: Context, campaign: Campaign, *, signal: str | None, payload: Any = None) -> None:
    """Start the workflow of a campaign, or signal the one that runs. Raises Unreachable."""
    if campaign.workflow_id is not None:
        await context.signals.start_campaign(
            campaign.id,
            campaign.workflow_id,
            name=campaign.name,
            template_name=campaign.template_name,
            signal=signal,
            payload=payload,
        )


@router.get("/{campaign_id}/progress")
async def progress(context: AContext, campaign_id: str) -> CampaignProgress:
    """Leads by status and outcome, and live calls, as of now."""
    async with context.database.read() as tx:
        return await campaigns.progress(tx, campaign_id, now=context.database.now())


@router.get("/{campaign_id}/leads")
async def list_leads(
    context: AContext,
    campaign_id: str,
    status: LeadStatus | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> LeadPage:
    """Leads of a campaign in the order of their creation."""
    async with context.database.read() as tx:
        await campaigns.get(tx, campaign_id)
        found = await leads.listed(tx, campaign_id=campaign_id, status=status, after=after, limit=limit)
    return LeadPage(items=found, next=found[-1].id if len(found) == limit else None)


@dataclass(frozen=True, slots=True)
class _Upload:
    """Rows of a file or of a list, each with the place that a refusal names."""

    given: list[tuple[dict[str, int], LeadInput]]
    refused: list[Refused]


@router.post(
    "/{campaign_id}/leads",
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {"schema": LeadList.model_json_schema(ref_template="#/components/schemas/{model}")},
                "text/csv": {"schema": {"type": "string"}, "example": "phone,name\n+14155550123,Ada\n"},
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
                },
            }
        }
    },
    response_model=Accepted,
)
async def add_leads(context: AContext, campaign_id: str, request: Request) -> Accepted | Response:
    """Add leads to a campaign, also while it runs: as JSON `{"leads": […]}`, or as CSV with a header line.

    CSV columns: phone, time_zone, priority, request_id; every other column is a variable of the template.
    Good rows are taken and every other one is named with its reason.
    """
    try:
        upload = await _upload(context, request)
    except MalformedCsv as error:
        return field_problem("file", str(error), error.code)
    except ValidationError as error:
        return validation_problems(error.errors(include_context=False), inside=("body",))
    async with context.database.write() as tx:
        campaign = await campaigns.get(tx, campaign_id)
        template = (await templates.get(tx, campaign.template_id)).template
        now = context.database.now()
        checked = check_leads(template, [lead for _, lead in upload.given], now=now)
        added = await leads.add(tx, campaign_id, checked.ready, now=now)
        campaign = await campaigns.get(tx, campaign_id)
    if (added.ids or added.duplicates) and campaign.status is CampaignStatus.RUNNING:
        # Also for leads that were here before: the request that brought them may have ended before this line.
        await wake(context, campaign, signal=messages.LEADS_ADDED)
    late = [Refused(**upload.given[lead.row][0], field=lead.field, reason=lead.reason) for lead in checked.refused]
    refused = sorted([*upload.refused, *late], key=lambda item: item.line or item.row or 0)
    return Accepted(accepted=len(added.ids), duplicates=added.duplicates, refused=refused)


async def _upload(context: Context, request: Request) -> _Upload:
    """Raises MalformedCsv or ValidationError."""
    data = await csv_body(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        listed = LeadList.model_validate_json(data)
        return _Upload([({"row": row}, lead) for row, lead in enumerate(listed.leads)], [])
    upload = _Upload([], [])
    for item in read_leads(data, max_rows=context.settings.upload_max_rows):
        match item:
            case ReadRow(line, lead):
                upload.given.append(({"line": line}, lead))
            case RefusedRow(line, field, reason):
                upload.refused.append(Refused(line=line, field=field, reason=reason))
    return upload
