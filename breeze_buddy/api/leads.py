"""Leads over REST: push one, read it with its calls, list, cancel."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Body, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.activities.calls import tell_campaign
from breeze_buddy.activities.campaigns import tell_cancelled
from breeze_buddy.activities.enrolment import new_lead, standing_campaign
from breeze_buddy.activities.waking import wait_for_next_day
from breeze_buddy.api.calls import CallAnswer, shown
from breeze_buddy.api.campaigns import LeadPage
from breeze_buddy.api.context import AContext
from breeze_buddy.api.errors import Problem
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.lead import Lead, LeadInput, LeadStatus
from breeze_buddy.domain.messages import CancelRequest
from breeze_buddy.domain.phone import E164
from breeze_buddy.domain.window import zones_of
from breeze_buddy.store import backlog, campaigns, cancelling, do_not_call, leads, overview, templates
from breeze_buddy.store.line_pool import has_daily_cap

router = APIRouter(prefix="/leads", tags=["leads"])


class LeadPush(LeadInput):
    """One lead for a template; it is called on the next free line."""

    model_config = ConfigDict(extra="forbid")

    template_id: str | None = None
    template_name: str | None = Field(None, examples=["order-confirmation"])

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if (self.template_id is None) == (self.template_name is None):
            raise ValueError("give exactly one of template_id and template_name")
        return self

    @property
    def lead(self) -> LeadInput:
        return LeadInput.model_validate({name: getattr(self, name) for name in LeadInput.model_fields})


class StatusView(BaseModel):
    status: LeadStatus
    at: datetime
    reason: str | None


class LeadView(Lead):
    """A lead with every status it has had and all its calls, the oldest first."""

    history: list[StatusView]
    calls: list[CallAnswer]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {"model": Lead, "description": "this request_id was pushed before: the first lead"},
        409: {"model": Problem, "description": "`do_not_call`: the phone is on the do-not-call list"},
    },
)
async def push(context: AContext, response: Response, pushed: LeadPush) -> Lead:
    """Push one lead. With a free line it is dialled at once. 409 when its phone is on the do-not-call list."""
    now = context.database.now()
    async with context.database.write() as tx:
        if pushed.template_id is not None:
            stored = await templates.get(tx, pushed.template_id)
        else:
            stored = await templates.by_name(tx, pushed.template_name or "")
        campaign = await standing_campaign(tx, stored, default_number=context.settings.twilio_phone_number, now=now)
        new = new_lead(stored.template, pushed.lead, now=now)
        if await do_not_call.listed_among(tx, [pushed.phone]):
            # One that was pushed before is still answered with what became of it.
            there = await leads.by_request(tx, campaign.id, pushed.request_id) if pushed.request_id else None
            if there is None:
                raise do_not_call.DoNotCall(pushed.phone)
        added = await leads.add(tx, campaign.id, [new], now=now)
        if added.ids:
            lead = await leads.get(tx, added.ids[0])
        else:
            there = await leads.by_request(tx, campaign.id, pushed.request_id or "")
            assert there is not None
            lead = there
            response.status_code = status.HTTP_200_OK
        capped = await has_daily_cap(tx, campaign.id)
    # Also for a lead that was here before: the request that brought it may have ended before this line.
    window = stored.template.calling_window
    closed = window is not None and not window.is_open(now, zones_of(lead.time_zone, lead.phone))
    if lead.status is LeadStatus.BACKLOG:
        waits = closed or lead.due_at > now
        if not waits:
            await context.dispatcher.dispatch()
            if capped:
                await wait_for_next_day(context.database, context.signals, lead.id)
        if waits or lead.expires_at is not None:
            # Nobody comes free for a closed window or a time that ends: the campaign's workflow waits for them.
            await context.signals.wake_campaign(campaign, messages.LEADS_ADDED)
    return lead


@router.get("")
async def list_all(
    context: AContext,
    status: LeadStatus | None = None,
    campaign_id: str | None = None,
    phone: E164 | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> LeadPage:
    """Leads in the order of their creation."""
    async with context.database.read() as tx:
        found = await leads.listed(tx, campaign_id=campaign_id, status=status, phone=phone, after=after, limit=limit)
    return LeadPage(items=found, next=found[-1].id if len(found) == limit else None)


@router.get("/{lead_id}")
async def read(context: AContext, lead_id: str) -> LeadView:
    """One lead, with every status it has had and all its calls."""
    async with context.database.read() as tx:
        lead = await leads.get(tx, lead_id)
        history = await leads.history(tx, lead_id)
        calls = await overview.calls_of(tx, lead_id)
    return LeadView(
        **lead.model_dump(),
        history=[StatusView(status=change.status, at=change.at, reason=change.reason) for change in history],
        calls=[shown(call) for call in calls],
    )


@router.post(
    "/{lead_id}/dispatch-now",
    responses={409: {"model": Problem, "description": "a call to it is on, or it is FINISHED"}},
)
async def dispatch_now(context: AContext, lead_id: str) -> Lead:
    """Call a lead before all others of its campaign, without waiting for its time or the end of its cooldown.

    It still needs a free line, an open calling window and a running campaign; rates and caps hold.
    """
    async with context.database.write() as tx:
        await backlog.call_now(tx, lead_id, now=context.database.now())
    await context.dispatcher.dispatch()
    async with context.database.read() as tx:
        lead = await leads.get(tx, lead_id)
        campaign = await campaigns.get(tx, lead.campaign_id)
    if lead.status is LeadStatus.BACKLOG and campaign.status is CampaignStatus.RUNNING:
        # Its window may open before the time that the campaign's workflow waits for.
        await context.signals.wake_campaign(campaign, messages.LEADS_ADDED)
    return lead


@router.post("/{lead_id}/cancel")
async def cancel(context: AContext, lead_id: str, request: Annotated[CancelRequest | None, Body()] = None) -> Lead:
    """No more calls to this lead. A live call is hung up unless hang_up is false."""
    wanted = request or CancelRequest()
    async with context.database.write() as tx:
        tell = await cancelling.cancel_lead(tx, lead_id, hang_up=wanted.hang_up, now=context.database.now())
        lead = await leads.get(tx, lead_id)
    if tell:
        await tell_cancelled(context.database, context.signals, lead_id, hang_up=wanted.hang_up, reason=wanted.reason)
    else:
        await tell_campaign(context.database, context.signals, lead.campaign_id)
    async with context.database.read() as tx:
        return await leads.get(tx, lead_id)
