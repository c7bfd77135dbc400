"""Campaigns over REST: create, start, pause, resume, cancel, change, progress, leads."""

import logging
from typing import Annotated

from fastapi import APIRouter, Body, Query, status
from pydantic import BaseModel

from breeze_buddy.activities.campaigns import cancel_leads
from breeze_buddy.activities.enrolment import enrol
from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.api.context import AContext, Context
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import (
    Campaign,
    CampaignChanges,
    CampaignDefinition,
    CampaignProgress,
    CampaignStatus,
    check_campaign_transition,
)
from breeze_buddy.domain.inspection import check
from breeze_buddy.domain.lead import Lead, LeadStatus
from breeze_buddy.domain.messages import CancelRequest
from breeze_buddy.provider_settings import check_providers
from breeze_buddy.store import campaigns, leads

logger = logging.getLogger(__name__)

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
    """Create a campaign with its leads. It dials once it is started: by hand, at `start_at`, or, with `recurrence`, as
    a fresh copy at each of its times. The same request_id gives the same campaign."""
    if definition.template is not None:
        check(definition.template)
        check_providers(context.settings, definition.template)
    async with context.database.write() as tx:
        made = await enrol(
            tx, definition, default_number=context.settings.twilio_phone_number, now=context.database.now()
        )
    await arrange_start(context, made.campaign)
    return CreatedCampaign(
        campaign=made.campaign,
        accepted=made.accepted,
        duplicates=made.duplicates,
        refused=[Refused(row=lead.row, field=lead.field, reason=lead.reason) for lead in made.refused],
    )


async def arrange_start(context: Context, campaign: Campaign) -> None:
    """Have a new campaign start by itself if it is to. Without Temporal the relay or the sweep makes up for it."""
    if campaign.status is not CampaignStatus.CREATED:
        return
    try:
        if campaign.recurrence is not None:
            await context.schedules.ensure(campaign)
        elif campaign.start_at is not None:
            await context.signals.wake_campaign(campaign, None)
    except Unreachable as error:
        logger.error("%s; it is tried again", error, extra={"campaign_id": campaign.id})


@router.get("")
async def list_all(
    context: AContext,
    status: CampaignStatus | None = None,
    recurring: Annotated[bool | None, Query(description="only campaigns that recur, or only others")] = None,
    cloned_from: Annotated[str | None, Query(description="only copies of this campaign")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[Campaign]:
    """The newest campaigns first."""
    async with context.database.read() as tx:
        return await campaigns.listed(tx, status=status, recurring=recurring, cloned_from=cloned_from, limit=limit)


@router.get("/{campaign_id}")
async def read(context: AContext, campaign_id: str) -> Campaign:
    """One campaign."""
    async with context.database.read() as tx:
        return await campaigns.get(tx, campaign_id)


@router.patch("/{campaign_id}")
async def change(context: AContext, campaign_id: str, changes: CampaignChanges) -> Campaign:
    """Change what the body names: pacing and circuit breaker at any time, `start_at` and `recurrence` before the
    start. What it does not name stays."""
    named = changes.model_fields_set
    other_times = bool(named & {"start_at", "recurrence"})
    async with context.database.write() as tx:
        campaign = await campaigns.set_pacing(tx, campaign_id, changes.pacing)
        if "circuit_breaker" in named:
            campaign = await campaigns.set_circuit_breaker(tx, campaign_id, changes.circuit_breaker)
        if other_times:
            start_at = changes.start_at if "start_at" in named else campaign.start_at
            recurrence = changes.recurrence if "recurrence" in named else campaign.recurrence
            campaign = await campaigns.set_times(tx, campaign_id, start_at=start_at, recurrence=recurrence)
    if other_times and campaign.recurrence is not None:
        await context.schedules.ensure(campaign)
    elif other_times and campaign.start_at is not None:
        await context.signals.wake_campaign(campaign, messages.RESCHEDULED)
    elif other_times and campaign.workflow_id is not None:
        await context.signals.to_workflow(campaign.workflow_id, messages.RESCHEDULED)
    if changes.pacing:
        await context.dispatcher.dispatch()
    return campaign


@router.post("/{campaign_id}/start")
async def start(context: AContext, campaign_id: str) -> Campaign:
    """Start dialling, also before `start_at`. Starting a running campaign changes nothing; of one that recurs a copy
    is run now, unless the last one still runs."""
    async with context.database.read() as tx:
        campaign = await campaigns.get(tx, campaign_id)
    if campaign.recurrence is None:
        return await _run(context, campaign_id)
    if campaign.status is CampaignStatus.CANCELLED:
        check_campaign_transition(campaign.status, CampaignStatus.RUNNING)
    await context.schedules.ensure(campaign)
    await context.schedules.run_now(campaign)
    return campaign


@router.post("/{campaign_id}/resume")
async def resume(context: AContext, campaign_id: str) -> Campaign:
    """Dial again after a pause; of a campaign that recurs, the times to come count again."""
    async with context.database.read() as tx:
        campaign = await campaigns.get(tx, campaign_id)
    if campaign.recurrence is None:
        return await _run(context, campaign_id)
    async with context.database.write() as tx:
        campaign = await campaigns.set_status(tx, campaign_id, CampaignStatus.CREATED, now=context.database.now())
    await context.schedules.ensure(campaign)
    return campaign


async def _run(context: Context, campaign_id: str) -> Campaign:
    async with context.database.write() as tx:
        campaign = await campaigns.set_status(tx, campaign_id, CampaignStatus.RUNNING, now=context.database.now())
    await context.signals.wake_campaign(campaign, messages.RESUME)
    return campaign


@router.post("/{campaign_id}/pause")
async def pause(context: AContext, campaign_id: str) -> Campaign:
    """No new dials; live calls go on. Of a campaign that recurs: no new copies; one that runs goes on."""
    async with context.database.write() as tx:
        campaign = await campaigns.set_status(
            tx, campaign_id, CampaignStatus.PAUSED, now=context.database.now(), reason="paused by request"
        )
    if campaign.recurrence is not None:
        await context.schedules.ensure(campaign)
    elif campaign.workflow_id is not None:
        await context.signals.to_workflow(campaign.workflow_id, messages.PAUSE)
    return campaign


@router.post("/{campaign_id}/cancel")
async def cancel(
    context: AContext, campaign_id: str, request: Annotated[CancelRequest | None, Body()] = None
) -> Campaign:
    """End the campaign: waiting leads finish as CANCELLED; live calls are hung up unless hang_up is false. Of a
    campaign that recurs the schedule is deleted; a copy that runs goes on, and has its own cancel."""
    wanted = request or CancelRequest()
    async with context.database.write() as tx:
        campaign = await campaigns.set_status(
            tx, campaign_id, CampaignStatus.CANCELLED, now=context.database.now(), reason=wanted.reason
        )
    await cancel_leads(context.database, campaign_id, hang_up=wanted.hang_up)
    if campaign.recurrence is not None:
        await context.schedules.delete(campaign_id)
    else:
        await context.signals.wake_campaign(campaign, messages.CANCEL, wanted)
    return campaign


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
