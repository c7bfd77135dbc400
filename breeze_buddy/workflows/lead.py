"""The life of a lead, from its first line to its outcome, as one durable workflow.

It starts with a grant (signal-with-start), so a fresh lead begins with its line, and one that is back from
cooldown gets its line by the same signal. Everything it decides, it decides from the database through
activities; signals only wake it.
"""

import asyncio
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.backlog import BacklogActivities
    from breeze_buddy.activities.notifications import NotificationActivities
    from breeze_buddy.activities.signals import ATTEMPTS, CALL_OUTCOME, LEAD_STATUS
    from breeze_buddy.activities.telephony import TelephonyActivities
    from breeze_buddy.activities.wrapping_up import WrapUpActivities
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.lead import LeadStatus
    from breeze_buddy.domain.messages import (
        AttemptEnd,
        CallEvent,
        CallSummary,
        DialResult,
        Grant,
        LeadResult,
        LeadStart,
        Standing,
        Waits,
        WrappedUp,
    )
    from breeze_buddy.domain.pacing import LONGEST_HOLD
    from breeze_buddy.workflows.call_follower import KEEP_RECORDING, CallFollower
    from breeze_buddy.workflows.options import ONE_REQUEST, SHORT, WEBHOOK
    from breeze_buddy.workflows.steps import AT_ONCE, at_once, is_final, step


# The webhook hears of a lead's end without the analysis, when a model takes longer than this.
ANALYSIS_PATIENCE_S = 120.0


@workflow.defn(name=messages.LEAD_WORKFLOW)
class LeadWorkflow(CallFollower):
    """`lead-{lead_id}`: granted, dialled, followed, retried, finished."""

    @workflow.init
    def __init__(self, start: LeadStart) -> None:
        super().__init__()
        self._lead = start
        self._standing = Standing(status=LeadStatus.PROCESSING)
        self._grants: list[Grant] = []
        self._seen: set[str] = set()
        self._calls: list[CallSummary] = []
        self._recorded_calls: list[int] = []
        self._notify = False
        self._told = False
        self._tried_at_once = False
        self._result: str | None = None

    @workflow.run
    async def run(self, start: LeadStart) -> LeadResult:
        """Until the lead is FINISHED and all that belongs to its calls is kept."""
        while self._standing.status is not LeadStatus.FINISHED:
            grant = await self._next_grant()
            if grant is not None:
                await self._attempt(grant)
        await self._wrap_up()
        return self._summary()

    @workflow.signal(name=messages.GRANT)
    def on_grant(self, grant: Grant) -> None:
        """A line. The same grant can come twice."""
        if grant.call_id not in self._seen:
            self._seen.add(grant.call_id)
            self._grants.append(grant)

    # The steps

    async def _next_grant(self) -> Grant | None:
        """The line for the next attempt; None when the lead was withdrawn while it had none."""
        await workflow.wait_condition(lambda: bool(self._grants) or self._must_withdraw)
        if self._grants:
            return self._grants.pop(0)
        await self._withdraw()
        return None

    async def _withdraw(self) -> None:
        """Finish the lead. One that was granted a line meanwhile is finished when that grant is refused."""
        reason = self._cancel.reason if self._cancel else "cancelled"
        self._withdrawn = True
        self._standing = await workflow.execute_activity_method(
            BacklogActivities.withdraw_lead, args=[self._lead.lead_id, reason], summary=reason, **SHORT
        )
        self._notify = self._standing.notify
        self._show(f"withdrawn: {reason}")

    async def _attempt(self, grant: Grant) -> None:
        """One grant, to the decision about the lead and through the cooldown that may follow."""
        self._standing = Standing(status=LeadStatus.PROCESSING, attempts=grant.attempt)
        if self._calls:
            self._show(f"attempt {grant.attempt}")
        dialled = await self._dial(grant)
        if dialled.standing is not None:
            self._standing = dialled.standing
            self._notify = dialled.standing.notify
            self._show(dialled.reason)
        else:
            end = await self._follow(grant, dialled)
            self._take_down(grant, end, dialled.waits)
        await self._wait_for_turn()

    async def _dial(self, grant: Grant) -> DialResult:
        """Dial when the rates allow it: the activity waits for a turn that is near, and a far one is slept out here."""
        at: datetime | None = grant.dial_at
        while True:
            if at is not None:
                await self._sleep_until(at - LONGEST_HOLD, "paced by calls per second")
            if self._must_withdraw:
                await self._withdraw()  # the grant is refused for it
            workflow.set_current_details(f"Attempt {grant.attempt}: dialling {self._lead.masked_phone}")
            dialled: DialResult = await step(
                TelephonyActivities.dial,
                args=[grant],
                summary=f"attempt {grant.attempt} to {self._lead.masked_phone}",
                otherwise=SHORT,
                at_most=ONE_REQUEST if self._lead.dials_at_once else None,
            )
            if dialled.kind != "later":
                return dialled
            at = dialled.at

    async def _follow(self, grant: Grant, dialled: DialResult) -> AttemptEnd:
        """Wait for the end of the call, if there is one, and for the decision."""
        event = CallEvent(call_id=grant.call_id)
        there = dialled.kind == "dialled"
        if dialled.kind == "unclear":
            there = await self._find(event, dialled.waits)
        if there:
            await self._call_end(event, dialled.waits)
        return await self._finish(event, dialled.waits)

    async def _find(self, event: CallEvent, waits: Waits) -> bool:
        """Whether a request that may have been lost made a call; it is never sent again."""
        workflow.set_current_details("The request to Twilio had no answer: finding out whether there is a call")
        waited_s, pause_s = 0.0, 2.0
        while True:
            if await workflow.execute_activity_method(
                TelephonyActivities.reconcile, event, summary="is there a call?", **SHORT
            ):
                return True
            if waited_s >= waits.lost_request_s:
                break
            await self._wait(lambda: event.call_id in self._ended, pause_s, "for a sign of the call")
            waited_s, pause_s = waited_s + pause_s, min(pause_s * 2, waits.lost_request_s / 2)
        given_up = await workflow.execute_activity_method(
            TelephonyActivities.give_up_dial, event, summary="there is no such call", **SHORT
        )
        return not given_up

    def _take_down(self, grant: Grant, end: AttemptEnd, waits: Waits) -> None:
        """Keep what the attempt came to, and fetch its recording in the background."""
        self._calls.append(end.call)
        self._standing = Standing(status=end.status, outcome=end.outcome, attempts=end.attempts, due_at=end.due_at)
        self._notify, self._result = end.notify, end.result or self._result
        if end.recording_expected:
            self._recorded_calls.append(len(self._calls) - 1)
            self._keep_recording(grant.call_id, waits, end.call.duration_s)
        if end.analyse:
            self._analyse(grant.call_id)
        self._show(end.reason)

    async def _wait_for_turn(self) -> None:
        """Sleep out the cooldown and rejoin the backlog, unless the lead is finished, due or cancelled."""
        standing = self._standing
        if standing.status not in (LeadStatus.RETRY, LeadStatus.BACKLOG) or self._grants:
            return
        if standing.due_at is not None:
            await self._sleep_until(
                standing.due_at, f"cooldown before attempt {standing.attempts + 1}", or_granted=True
            )
        if self._must_withdraw or self._grants:
            return
        self._standing = await step(
            BacklogActivities.rejoin_backlog,
            args=[self._lead.lead_id],
            summary="back to the backlog",
            otherwise=SHORT,
        )
        if not self._grants:
            self._show("in the backlog, waiting for a line")

    async def _wrap_up(self) -> None:
        """Wait for the recordings to be kept, then report to the webhook; of an analysis that is late, once more."""
        kept = await self._kept()
        for place, held in zip(self._recorded_calls, kept, strict=True):
            self._calls[place] = self._calls[place].model_copy(update={"recording": held})
        late = await self._late_analyses()
        if self._notify and not self._told:
            await self._report(self._lead.lead_id)
        await self._analysed()
        if self._notify and any(one.result() for one in late):
            await self._report(self._lead.lead_id, messages.EVENT_ANALYSIS_COMPLETED)

    async def _keep_brief_recording(self, event: CallEvent) -> int:
        """The last that a finished lead's report waits for is kept in one step with the report."""
        if not self._report_is_next:
            return await super()._keep_brief_recording(event)
        self._tried_at_once = True
        try:
            done: WrappedUp = await at_once(
                WrapUpActivities.keep_and_report,
                args=[event, self._lead.lead_id],
                summary=f"{KEEP_RECORDING}, post-call webhook",
            )
        except FailureError as error:
            if is_final(error):
                raise
            return await super()._keep_brief_recording(event)
        self._told = done.told
        return done.held

    @property
    def _report_is_next(self) -> bool:
        """Whether the webhook waits for one recording and nothing else."""
        keeping = sum(not one.done() for one in self._keeping)
        finished = self._standing.status is LeadStatus.FINISHED
        return self._lead.ends_at_once and finished and self._notify and keeping == 1 and not self._analyses

    async def _late_analyses(self) -> list[asyncio.Task[bool]]:
        """Wait for the analyses, but not for a model that is away; those that are not there by then."""
        if not self._still_reading:
            return []
        if not workflow.patched("report-before-late-analysis"):
            await self._analysed()
            return []
        await self._wait(lambda: not self._still_reading, ANALYSIS_PATIENCE_S, "for the analysis")
        return self._still_reading

    async def _report(self, *told: str) -> None:
        """To the webhook: the lead, and the event when it is another than the lead's end."""
        try:
            await step(
                NotificationActivities.notify,
                args=told,
                summary="post-call webhook",
                otherwise=WEBHOOK,
                at_most=None if self._tried_at_once else AT_ONCE,
            )
        except FailureError as error:
            workflow.logger.error("the post-call webhook was given up: %s", error.cause or error)

    # Waiting and showing

    async def _sleep_until(self, at: datetime, why: str, *, or_granted: bool = False) -> None:
        """A durable timer up to `at`; a cancel ends it, and a line that is granted before if that is wanted."""
        left_s = (at - workflow.now()).total_seconds()
        if left_s > 0:
            await self._wait(lambda: self._must_withdraw or (or_granted and bool(self._grants)), left_s, why)

    def _show(self, what: str) -> None:
        """Write where the lead stands into its search attributes and the details that the UI shows."""
        standing = self._standing
        updates: list[SearchAttributeUpdate[Any]] = [
            LEAD_STATUS.value_set(standing.status),
            ATTEMPTS.value_set(standing.attempts),
        ]
        if standing.outcome is not None:
            updates.append(CALL_OUTCOME.value_set(standing.outcome))
        workflow.upsert_search_attributes(updates)
        due = f", due {standing.due_at:%Y-%m-%d %H:%M:%S} UTC" if standing.status is LeadStatus.RETRY else ""
        told = "".join(f"\n- attempt {call.attempt}: {call.status or 'not placed'}" for call in self._calls)
        workflow.set_current_details(f"**{standing.outcome or standing.status}** ({what}{due}){told}")

    def _summary(self) -> LeadResult:
        return LeadResult(
            lead_id=self._lead.lead_id,
            status=self._standing.status,
            outcome=self._standing.outcome,
            attempts=self._standing.attempts,
            result=self._result,
            calls=tuple(self._calls),
        )
