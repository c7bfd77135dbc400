"""The life of a campaign: enrol, prime its lines, and then only what changes its course.

Leads dial themselves: a finished call starts the next. This workflow wakes for a signal, for the next lead
that becomes due, and for the end.
"""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.campaigns import (
        INVALID_DEFINITION,
        CampaignActivities,
        Cancelling,
        PacingWanted,
        StatusWanted,
    )
    from breeze_buddy.activities.signals import CAMPAIGN_ID, TEMPLATE_NAME
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.campaign import CampaignProgress, CampaignStatus
    from breeze_buddy.domain.messages import CampaignResult, CancelRequest, Enrolled, PrimeResult, Start
    from breeze_buddy.workflows.options import LONG, SHORT

# Past this many events a long campaign goes on with an empty history.
_EVENTS_A_RUN = 200

# So much later than a moment that was waited for, it has come by the database's clock too.
_LATE = timedelta(milliseconds=100)


@workflow.defn(name=messages.CAMPAIGN_WORKFLOW)
class CampaignWorkflow:
    """Its input is `{"campaign_id": …}` or a whole campaign definition; see docs/temporal.md."""

    def __init__(self) -> None:
        self._wanted: list[CampaignStatus] = []
        self._pacing: dict[str, Any] = {}
        self._cancel: CancelRequest | None = None
        self._must_prime = False
        self._must_count = False
        self._may_be_over = False
        self._has_other_time = False
        self._progress: CampaignProgress | None = None

    @workflow.run
    async def run(self, given: Any) -> CampaignResult:
        """Until no lead is left, or the campaign is cancelled."""
        campaign = await self._enrol(given)
        if campaign.waits:
            await self._wait_for_start(campaign.campaign_id)
        primed = None
        while self._cancel is None:
            primed = await self._act(campaign.campaign_id, primed)
            if primed.open_leads == 0 or self._may_be_over:
                over = await self._complete(campaign)
                if over is not None:
                    return over
            if self._history_is_long and not self._has_event:  # signals that wait would be lost
                workflow.continue_as_new({"campaign_id": campaign.campaign_id})
            await self._next_event(primed)
        return await self._cancel_all(campaign, self._cancel)

    @workflow.query(name=messages.PROGRESS)
    def progress(self) -> CampaignProgress | None:
        """Counts as of the last step; the API has them as of now."""
        return self._progress

    @workflow.signal(name=messages.PAUSE)
    def pause(self) -> None:
        """No new dials; live calls go on."""
        self._wanted.append(CampaignStatus.PAUSED)

    @workflow.signal(name=messages.RESUME)
    def resume(self) -> None:
        """Dial again."""
        self._wanted.append(CampaignStatus.RUNNING)

    @workflow.signal(name=messages.CANCEL)
    def cancel(self, request: CancelRequest | None = None) -> None:
        """End the campaign; by default live calls are hung up."""
        self._cancel = self._cancel or request or CancelRequest()

    @workflow.signal(name=messages.UPDATE_PACING)
    def update_pacing(self, changes: Any) -> None:
        """New values for fields of the pacing, for instance {"calls_per_second": 2}."""
        if isinstance(changes, dict):
            self._pacing.update(changes)
        else:
            workflow.logger.error("update_pacing takes an object with fields of the pacing, not %r", changes)

    @workflow.signal(name=messages.LEADS_ADDED)
    def leads_added(self) -> None:
        """There are new leads in the backlog."""
        self._must_prime = True

    @workflow.signal(name=messages.LEADS_FINISHED)
    def leads_finished(self) -> None:
        """The last open lead has finished."""
        self._may_be_over = True

    @workflow.signal(name=messages.PROGRESSED)
    def progressed(self) -> None:
        """A twentieth of the leads has finished."""
        self._must_count = True

    @workflow.signal(name=messages.RESCHEDULED)
    def rescheduled(self) -> None:
        """It is to start at another time than it was."""
        self._has_other_time = True

    @property
    def _has_event(self) -> bool:
        return bool(
            self._wanted or self._pacing or self._cancel or self._must_prime or self._must_count or self._may_be_over
        )

    @property
    def _history_is_long(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() > _EVENTS_A_RUN

    async def _enrol(self, given: Any) -> Enrolled:
        try:
            campaign: Enrolled = await workflow.execute_activity_method(
                CampaignActivities.enrol_campaign, given, summary="enrol", **LONG
            )
        except ActivityError as error:
            # The sentence that says what to mend, at the top of what the UI shows.
            raise ApplicationError(_sentence(error), type=INVALID_DEFINITION) from error
        workflow.upsert_search_attributes(
            [CAMPAIGN_ID.value_set(campaign.campaign_id), TEMPLATE_NAME.value_set(campaign.template_name)]
        )
        return campaign

    async def _wait_for_start(self, campaign_id: str) -> None:
        """Sleep until the campaign's time has come; it can be changed, and somebody can start or cancel it before."""
        while True:
            start: Start = await workflow.execute_activity_method(
                CampaignActivities.begin_campaign, campaign_id, summary="is it time to start?", **SHORT
            )
            self._show(start.progress)
            if not start.waits:
                return
            timeout = None if start.start_at is None else max(start.start_at - workflow.now(), timedelta(0)) + _LATE
            self._has_other_time = False
            try:
                await workflow.wait_condition(
                    lambda: self._has_other_time or bool(self._wanted) or self._cancel is not None,
                    timeout=timeout,
                    timeout_summary="until the campaign starts",
                )
            except TimeoutError:
                continue
            if self._cancel is not None or CampaignStatus.RUNNING in self._wanted:
                return
            self._wanted.clear()  # what has not started cannot be paused

    async def _prime(self, campaign_id: str) -> PrimeResult:
        self._must_prime = False
        primed: PrimeResult = await workflow.execute_activity_method(
            CampaignActivities.prime_campaign, campaign_id, summary="free lines to due leads", **SHORT
        )
        self._show(primed.progress)
        return primed

    async def _next_event(self, primed: PrimeResult) -> None:
        """Wait for a signal, or for the moment at which the next lead of the backlog becomes due."""
        timeout = None
        if primed.next_due_at is not None:
            timeout = max(primed.next_due_at - workflow.now(), timedelta(0)) + _LATE
        try:
            await workflow.wait_condition(
                lambda: self._has_event, timeout=timeout, timeout_summary="until the next lead is due"
            )
        except TimeoutError:
            self._must_prime = True

    async def _act(self, campaign_id: str, primed: PrimeResult | None) -> PrimeResult:
        """Do what the signals asked for, in an order in which nothing is dialled after a pause; then look for lines,
        the first time (`primed` is None) and whenever that may find some."""
        while self._wanted:
            wanted = self._wanted.pop(0)
            await workflow.execute_activity_method(
                CampaignActivities.set_campaign_status,
                StatusWanted(campaign_id, wanted, "paused by request" if wanted is CampaignStatus.PAUSED else None),
                summary=f"to {wanted}",
                **SHORT,
            )
            self._must_prime = self._must_prime or wanted is CampaignStatus.RUNNING
            self._must_count = True
        if self._pacing:
            changes, self._pacing = self._pacing, {}
            await workflow.execute_activity_method(
                CampaignActivities.update_campaign_pacing,
                PacingWanted(campaign_id, changes),
                summary="new pacing",
                **SHORT,
            )
            self._must_prime = True
        if self._must_prime or primed is None:
            self._must_count = False
            return await self._prime(campaign_id)
        if self._must_count:
            self._must_count = False
            self._show(
                await workflow.execute_activity_method(
                    CampaignActivities.read_progress, campaign_id, summary="count", **SHORT
                )
            )
        return primed

    async def _complete(self, campaign: Enrolled) -> CampaignResult | None:
        """The result, when really no lead is open; leads can have been added meanwhile."""
        self._may_be_over = False
        progress = await workflow.execute_activity_method(
            CampaignActivities.complete_campaign, campaign.campaign_id, summary="no lead is left", **SHORT
        )
        if progress is None:
            return None
        if self._has_event:
            self._may_be_over = True  # hear it out, then look again
            return None
        return self._result(campaign, progress)

    async def _cancel_all(self, campaign: Enrolled, request: CancelRequest) -> CampaignResult:
        progress = await workflow.execute_activity_method(
            CampaignActivities.cancel_campaign,
            Cancelling(campaign.campaign_id, request),
            summary=request.reason,
            **LONG,
        )
        return self._result(campaign, progress)

    def _result(self, campaign: Enrolled, progress: CampaignProgress) -> CampaignResult:
        self._show(progress)
        return CampaignResult(
            campaign_id=campaign.campaign_id,
            status=progress.status,
            leads=sum(progress.leads.values()),
            outcomes=progress.outcomes,
        )

    def _show(self, progress: CampaignProgress) -> None:
        """What the UI shows of a running campaign."""
        self._progress = progress
        counts = " · ".join(f"{status} {count}" for status, count in progress.leads.items())
        outcomes = "".join(f"\n- {outcome}: {count}" for outcome, count in sorted(progress.outcomes.items()))
        reason = f" ({progress.status_reason})" if progress.status_reason else ""
        workflow.set_current_details(
            f"**{progress.status}**{reason}: {counts} · live calls {progress.live_calls}{outcomes}"
        )


def _sentence(error: ActivityError) -> str:
    cause = error.cause
    return cause.message if isinstance(cause, ApplicationError) else str(cause)
