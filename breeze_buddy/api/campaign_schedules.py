"""The Temporal Schedule of a campaign that recurs, over REST. It is paused, resumed and deleted with its campaign."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from breeze_buddy.api.context import AContext
from breeze_buddy.domain.messages import campaign_schedule_id
from breeze_buddy.domain.recurrence import Recurrence
from breeze_buddy.store import campaigns
from breeze_buddy.store.errors import NotFound

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class FiringView(BaseModel):
    """A time that came: `workflow_id` is the `workflow_id` of the copy that it ran."""

    scheduled_at: datetime
    workflow_id: str


class ScheduleView(BaseModel):
    """A schedule as Temporal has it now."""

    schedule_id: str
    recurrence: Recurrence
    paused: bool
    next_times: list[datetime]
    last: list[FiringView] = Field(description="the latest ones, the oldest first")
    running: list[str] = Field(description="workflow ids of copies that run now")
    left_out: int = Field(description="times that found the last copy still running")


@router.get("/{campaign_id}/schedule")
async def read(context: AContext, campaign_id: str) -> ScheduleView:
    """When a campaign that recurs runs next, and what it ran last."""
    async with context.database.read() as tx:
        campaign = await campaigns.get(tx, campaign_id)
    found = await context.schedules.read(campaign_id) if campaign.recurrence is not None else None
    if campaign.recurrence is None or found is None:
        raise NotFound("schedule of campaign", campaign_id)
    return ScheduleView(
        schedule_id=campaign_schedule_id(campaign_id),
        recurrence=campaign.recurrence,
        paused=found.paused,
        next_times=found.next_times,
        last=[FiringView(scheduled_at=one.scheduled_at, workflow_id=one.workflow_id) for one in found.last],
        running=found.running,
        left_out=found.left_out,
    )
