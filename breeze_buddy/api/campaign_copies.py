"""Copies over REST: a campaign as another one, and finished leads that are to be called again."""

from typing import Annotated

from fastapi import APIRouter, Body, status
from pydantic import BaseModel, Field

from breeze_buddy.activities import cloning
from breeze_buddy.api.campaigns import arrange_start
from breeze_buddy.api.context import AContext
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import Campaign, CampaignStatus, CloneRequest, RedialRequest
from breeze_buddy.store import campaigns

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class Redialled(BaseModel):
    """The campaign after a redial."""

    redialled: int = Field(description="new leads; those that were redialled before are not among them")
    campaign: Campaign


@router.post("/{campaign_id}/clone", status_code=status.HTTP_201_CREATED)
async def clone(
    context: AContext, campaign_id: str, request: Annotated[CloneRequest | None, Body()] = None
) -> Campaign:
    """Copy a campaign: its template, numbers, pacing and circuit breaker, and of its leads none, all, or those with an
    outcome. The copy's leads are new ones. It dials once it is started, or at `start_at`. The same request_id gives
    the same copy."""
    copy = await cloning.clone(context.database, campaign_id, request or CloneRequest())
    await arrange_start(context, copy)
    return copy


@router.post("/{campaign_id}/redial")
async def redial(context: AContext, campaign_id: str, request: RedialRequest) -> Redialled:
    """Call finished leads with these outcomes again. FINISHED is final: each becomes a new lead of the campaign, whose
    request_id is `redial of {lead_id}`; asked for twice, it becomes one. A completed campaign goes on."""
    redialled = await cloning.redial(context.database, campaign_id, request.outcomes)
    async with context.database.read() as tx:
        campaign = await campaigns.get(tx, campaign_id)
    if campaign.status is CampaignStatus.RUNNING:
        # Also when there was nothing new: the request before may have ended before this line.
        await context.signals.wake_campaign(campaign, messages.LEADS_ADDED)
    return Redialled(redialled=redialled, campaign=campaign)
