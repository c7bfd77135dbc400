"""Activities of a campaign: enrol, prime its lines, change its state, cancel its leads."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from temporalio import activity
from temporalio.exceptions import ApplicationError

from breeze_buddy.activities.calls import tell_campaign
from breeze_buddy.activities.cloning import clone
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.enrolment import enrol
from breeze_buddy.activities.expiry import expire
from breeze_buddy.activities.signals import Signals
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import Campaign, CampaignProgress, CampaignStatus, CloneRequest, Pacing
from breeze_buddy.domain.errors import DomainError, IllegalTransition
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import CampaignStart, CancelRequest, Enrolled, PrimeResult, Start
from breeze_buddy.domain.window import zone
from breeze_buddy.store import backlog, campaigns, cancelling, grants, leads
from breeze_buddy.store.database import Database
from breeze_buddy.store.errors import StoreError

INVALID_DEFINITION = "InvalidDefinition"

# The hourly sweep takes what is more.
_EXPIRED_AT_ONCE = 1000


def _reason(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"].removeprefix("Value error, ")


@dataclass(frozen=True, slots=True)
class StatusWanted:
    """A change of a campaign's state, and why."""

    campaign_id: str
    status: CampaignStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PacingWanted:
    """Fields of Pacing to change in a running campaign."""

    campaign_id: str
    changes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cancelling:
    campaign_id: str
    request: CancelRequest


class CampaignActivities:
    """Bound to the clients of one worker process."""

    def __init__(
        self, database: Database, dispatcher: Dispatcher, signals: Signals, *, default_number: str | None
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._signals = signals
        self._default_number = default_number

    @activity.defn
    async def enrol_campaign(self, given: Any) -> Enrolled:
        """Write an inline definition to the database, or find the campaign; then set it running.

        `given` is the workflow's input as it came, so that a malformed one fails the workflow with a sentence.
        """
        info = activity.info()
        workflow_id = str(info.workflow_id)
        waits = False
        now = self._database.now()
        on_do_not_call_list = 0
        try:
            start = CampaignStart.model_validate(given)
            campaign_id = start.campaign_id
            if start.clone_of is not None:
                campaign_id = await self._fresh_copy(start.clone_of, workflow_id)
            async with self._database.write() as tx:
                definition = start.definition()
                if definition is not None and definition.recurrence is not None:
                    raise DomainError(
                        "recurrence: create a campaign that recurs over the API, or leave it out and give this "
                        "definition to a Temporal Schedule of your own"
                    )
                if definition is not None:
                    # A second run of this activity finds what the first one wrote.
                    request_id = definition.request_id or f"{workflow_id}/{info.workflow_run_id}"
                    made = await enrol(
                        tx,
                        definition.model_copy(update={"request_id": request_id}),
                        default_number=self._default_number,
                        workflow_id=workflow_id,
                        now=now,
                    )
                    refused = [lead for lead in made.refused if not lead.listed]
                    if refused:
                        first = refused[0]
                        raise DomainError(
                            f"{len(refused)} leads refused; the first, lead {first.row + 1}: {first.reason}"
                        )
                    # Nobody has to mend the definition for them: they are left out, and the others are called.
                    on_do_not_call_list = len(made.refused)
                    campaign_id = made.campaign.id
                campaign = await campaigns.get(tx, str(campaign_id))
            await self._take_over(campaign, workflow_id)
            if campaign.recurrence is not None and campaign.status is not CampaignStatus.CANCELLED:
                raise DomainError(f"campaign {campaign.id} recurs: its schedule runs a copy of it at each of its times")
            waits = (await self._begin(campaign.id, without_time=not start.by_clock)).waits
        except (DomainError, StoreError) as error:
            raise ApplicationError(str(error), type=INVALID_DEFINITION, non_retryable=True) from None
        except ValidationError as error:
            # Field and reason only: pydantic's own text repeats the input, with the people in it.
            reasons = "; ".join(_reason(problem) for problem in error.errors(include_url=False))
            raise ApplicationError(reasons, type=INVALID_DEFINITION, non_retryable=True) from None
        return Enrolled(
            campaign_id=campaign.id,
            name=campaign.name,
            template_name=campaign.template_name,
            waits=waits,
            on_do_not_call_list=on_do_not_call_list,
        )

    async def _fresh_copy(self, source_id: str, workflow_id: str) -> str:
        """A copy of a campaign that recurs, with all its leads; the same one for the same workflow."""
        now = self._database.now()
        async with self._database.read() as tx:
            source = await campaigns.get(tx, source_id)
        if source.status is CampaignStatus.CANCELLED:
            raise DomainError(f"campaign {source_id} was cancelled: nothing is copied of it any more")
        local = now.astimezone(zone(source.recurrence.time_zone)) if source.recurrence else now
        wanted = CloneRequest(
            name=f"{source.name[:180]} {local:%Y-%m-%d %H:%M}", leads="all", request_id=f"run {workflow_id}"[:128]
        )
        return (await clone(self._database, source_id, wanted, workflow_id=workflow_id)).id

    @activity.defn
    async def begin_campaign(self, campaign_id: str) -> Start:
        """Set a campaign running if it is to start by itself and its time has come; says how it stands."""
        return await self._begin(campaign_id, without_time=False)

    async def _begin(self, campaign_id: str, *, without_time: bool) -> Start:
        now = self._database.now()
        async with self._database.write() as tx:
            campaign = await campaigns.get(tx, campaign_id, lock=True)
            has_come = without_time if campaign.start_at is None else campaign.start_at <= now
            if campaign.status is CampaignStatus.CREATED and has_come:
                campaign = await campaigns.set_status(tx, campaign_id, CampaignStatus.RUNNING, now=now)
            progress = await campaigns.progress(tx, campaign_id, now=now)
        return Start(progress=progress, waits=campaign.status is CampaignStatus.CREATED, start_at=campaign.start_at)

    async def _take_over(self, campaign: Campaign, workflow_id: str) -> None:
        """Signals of the campaign go to this workflow. Raises DomainError while another one runs it."""
        if campaign.workflow_id == workflow_id:
            return
        if campaign.workflow_id is not None and await self._signals.is_running(campaign.workflow_id):
            raise DomainError(f"campaign {campaign.id} is run by the workflow {campaign.workflow_id}: signal that one")
        async with self._database.write() as tx:
            await campaigns.take_over(tx, campaign.id, workflow_id)

    @activity.defn
    async def prime_campaign(self, campaign_id: str) -> PrimeResult:
        """Give free lines to due leads, and say how the campaign stands."""
        # One time for both: a lead that becomes due between granting and reading is then still to come.
        before = self._database.now()
        await expire(self._database, self._signals, campaign_id, at_most=_EXPIRED_AT_ONCE)
        granted = await self._dispatcher.dispatch()
        now = self._database.now()
        async with self._database.read() as tx:
            campaign = await campaigns.get(tx, campaign_id)
            return PrimeResult(
                progress=await campaigns.progress(tx, campaign_id, now=now),
                granted=granted,
                open_leads=campaign.open_leads,
                standing=campaign.standing,
                next_due_at=await backlog.next_wake(tx, campaign_id, now=before),
            )

    @activity.defn
    async def read_progress(self, campaign_id: str) -> CampaignProgress:
        """Counts of leads by status and outcome, and of live calls."""
        async with self._database.read() as tx:
            return await campaigns.progress(tx, campaign_id, now=self._database.now())

    @activity.defn
    async def set_campaign_status(self, wanted: StatusWanted) -> CampaignStatus:
        """Pause, resume or complete. A change that the state does not allow leaves it as it is."""
        try:
            async with self._database.write() as tx:
                campaign = await campaigns.set_status(
                    tx, wanted.campaign_id, wanted.status, now=self._database.now(), reason=wanted.reason
                )
        except DomainError as error:
            activity.logger.warning("%s", error)
            async with self._database.read() as tx:
                campaign = await campaigns.get(tx, wanted.campaign_id)
        return campaign.status

    @activity.defn
    async def complete_campaign(self, campaign_id: str) -> CampaignProgress | None:
        """Mark a campaign without open leads as completed; None while it has some. A standing one stays RUNNING."""
        now = self._database.now()
        async with self._database.write() as tx:
            campaign = await campaigns.get(tx, campaign_id, lock=True)
            if campaign.open_leads:
                return None
            if not campaign.standing and campaign.status in (CampaignStatus.RUNNING, CampaignStatus.PAUSED):
                await campaigns.set_status(tx, campaign_id, CampaignStatus.COMPLETED, now=now)
            return await campaigns.progress(tx, campaign_id, now=now)

    @activity.defn
    async def update_campaign_pacing(self, wanted: PacingWanted) -> None:
        """Change concurrency, rate, weight or priority while the campaign runs; what is no pacing changes nothing."""
        try:
            pacing = Pacing.model_validate(wanted.changes)
        except ValidationError as error:
            reasons = "; ".join(_reason(problem) for problem in error.errors(include_url=False))
            activity.logger.error("the new pacing of campaign %s was refused: %s", wanted.campaign_id, reasons)
            return
        async with self._database.write() as tx:
            await campaigns.set_pacing(tx, wanted.campaign_id, pacing.model_dump(exclude_unset=True))

    @activity.defn
    async def cancel_campaign(self, wanted: Cancelling) -> CampaignProgress:
        """Cancel: leads that never had a line finish at once, the others are told, until all have finished."""
        request, campaign_id = wanted.request, wanted.campaign_id
        try:
            async with self._database.write() as tx:
                await campaigns.set_status(
                    tx, campaign_id, CampaignStatus.CANCELLED, now=self._database.now(), reason=request.reason
                )
        except IllegalTransition as error:
            # It was completed in the same moment: there is nothing to cancel, and who is added now is not meant.
            activity.logger.warning("%s", error)
            async with self._database.read() as tx:
                return await campaigns.progress(tx, campaign_id, now=self._database.now())
        await cancel_leads(self._database, campaign_id, hang_up=request.hang_up)
        pause_s = 0.2
        while True:
            activity.heartbeat()
            async with self._database.read() as tx:
                left = await cancelling.asked_to_cancel(tx, campaign_id=campaign_id)
            if not left:
                break
            for lead_id, hang_up in left:
                await tell_cancelled(self._database, self._signals, lead_id, hang_up=hang_up, reason=request.reason)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 15)
        async with self._database.read() as tx:
            return await campaigns.progress(tx, campaign_id, now=self._database.now())


async def cancel_leads(database: Database, campaign_id: str, *, hang_up: bool) -> None:
    """Cancel all leads of a campaign that is CANCELLED: between two pages the database belongs to everybody. Whoever
    is stopped in between goes on with the rest."""
    more = True
    while more:
        # In a transaction after the status: whoever moves a lead takes the lead's row before the campaign's.
        async with database.write() as tx:
            more = await cancelling.cancel_page(tx, campaign_id, hang_up=hang_up, now=database.now()) > 0
        if activity.in_activity():
            activity.heartbeat()


async def tell_cancelled(database: Database, signals: Signals, lead_id: str, *, hang_up: bool, reason: str) -> None:
    """Signal a lead's workflow that it is cancelled.

    Without a workflow the lead is finished here; if it may have a live call, a workflow is started that hangs up.
    """
    request = CancelRequest(hang_up=hang_up, reason=reason)
    if await signals.to_lead(lead_id, messages.CANCEL, request):
        return
    async with database.write() as tx:
        call_id = await cancelling.withdraw_orphan(tx, lead_id, now=database.now(), reason=reason)
        again = await grants.grant_of(tx, call_id) if call_id is not None else []
        lead = await leads.get(tx, lead_id)
    for granted in again:
        await signals.grant(granted)
        await signals.to_lead(lead_id, messages.CANCEL, request)
    if lead.status is LeadStatus.FINISHED:
        await tell_campaign(database, signals, lead.campaign_id)
