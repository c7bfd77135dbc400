"""Campaigns over REST: create, start, pause, resume, cancel, pacing, progress, leads."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, status
from pydantic import BaseModel

from breeze_buddy.activities.enrolment import enrol
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import Campaign, CampaignDefinition, CampaignProgress, CampaignStatus, Pacing
from breeze_buddy.domain.lead import Lead, LeadStatus
from breeze_buddy.domain.messages import CancelRequest
from breeze_buddy.store import campaigns, leads

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
