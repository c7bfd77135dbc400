"""The life of a lead, from its first line to its outcome, as one durable workflow.

It starts with a grant (signal-with-start), so a fresh lead begins with its line, and one that is back from
cooldown gets its line by the same signal. Everything it decides, it decides from the database through
activities; signals only wake it.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.backlog import BacklogActivities
    from breeze_buddy.activities.calls import CallActivities
    from breeze_buddy.activities.notifications import NotificationActivities
    from breeze_buddy.activities.recordings import RecordingActivities
    from breeze_buddy.activities.signals import ATTEMPTS, CALL_OUTCOME, LEAD_STATUS
    from breeze_buddy.activities.telephony import TelephonyActivities
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.call import CallStatus
    from breeze_buddy.domain.lead import LeadStatus
    from breeze_buddy.domain.messages import (
        AttemptEnd,
        CallEvent,
        CallSummary,
        CancelRequest,
        DialResult,
        Grant,
        LeadResult,
        LeadStart,
        Standing,
        Waits,
    )
    from breeze_buddy.workflows.options import RECORDING, SHORT, WEBHOOK


@workflow.defn(name=messages.LEAD_WORKFLOW)
class LeadWorkflow:
    """`lead-{lead_id}`: granted, dialled, followed, retried, finished."""

    @workflow.init
    def __init__(self, start: LeadStart) -> None:
        self._lead = start
        self._standing = Standing(status=LeadStatus.PROCESSING)
        self._grants: list[Grant] = []
        self._seen: set[str] = set()
        self._ended: dict[str, CallStatus | None] = {}
        self._machines: set[str] = set()
        self._reported: set[str] = set()
        self._recorded: set[str] = set()
        self._cancel: CancelRequest | None = None
        self._withdrawn = False
        self._calls: list[CallSummary] = []
        self._stored: dict[int, bool] = {}
        self._keeping: list[asyncio.Task[None]] = []
        self._notify = False
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

    # What others tell us. A call's news can be here before `dial` has returned, so it is kept by attempt.

    @workflow.signal(name=messages.GRANT)
    def on_grant(self, grant: Grant) -> None:
        """A line. The same grant can come twice."""
        if grant.call_id not in self._seen:
            self._seen.add(grant.call_id)
            self._grants.append(grant)

    @workflow.signal(name=messages.CALL_ENDED)
    def on_call_ended(self, event: CallEvent) -> None:
        """Twilio's terminal status."""
        self._ended[event.call_id] = event.status

    @workflow.signal(name=messages.MACHINE_ANSWERED)
    def on_machine_answered(self, event: CallEvent) -> None:
        """Answering machine detection is sure."""
        self._machines.add(event.call_id)

    @workflow.signal(name=messages.CONVERSATION_REPORTED)
    def on_conversation_reported(self, event: CallEvent) -> None:
        """The media server's report is in the database."""
        self._reported.add(event.call_id)

    @workflow.signal(name=messages.RECORDING_READY)
    def on_recording_ready(self, event: CallEvent) -> None:
        """A recording can be fetched, or there will be none."""
        self._recorded.add(event.call_id)

    @workflow.signal(name=messages.CANCEL)
    def on_cancel(self, request: CancelRequest | None = None) -> None:
        """Somebody wants no more calls to this lead."""
        self._cancel = self._cancel or request or CancelRequest()

    # The steps

    async def _next_grant(self) -> Grant | None:
        """The line for the next attempt; None when the lead was withdrawn while it had none."""
        await workflow.wait_condition(lambda: bool(self._grants) or self._must_withdraw)
        if self._grants:
            return self._grants.pop(0)
        await self._withdraw()
        return None

    @property
    def _must_withdraw(self) -> bool:
        return self._cancel is not None and not self._withdrawn

    async def _withdraw(self) -> None:
        """Finish the lead. One that was granted a line meanwhile is finished when that grant is refused."""
        reason = self._cancel.reason if self._cancel else "cancelled"
        self._withdrawn = True
        self._standing = await workflow.execute_activity_method(
            BacklogActivities.withdraw_lead, args=[self._lead.lead_id, reason], summary=reason, **SHORT
        )
        self._show(f"withdrawn: {reason}")

    async def _attempt(self, grant: Grant) -> None:
        """One grant, to the decision about the lead and through the cooldown that may follow."""
        self._standing = Standing(status=LeadStatus.PROCESSING, attempts=grant.attempt)
        if self._calls:
            self._show(f"attempt {grant.attempt}")
        await self._sleep_until(grant.dial_at, "paced by calls per second")
        dialled = await self._dial(grant)
        if dialled.standing is not None:
            self._standing = dialled.standing
            self._show(dialled.reason)
        else:
            end = await self._follow(grant, dialled)
            self._take_down(grant, end, dialled.waits)
        await self._wait_for_turn()

    async def _dial(self, grant: Grant) -> DialResult:
        workflow.set_current_details(f"Attempt {grant.attempt}: dialling {self._lead.masked_phone}")
        return await workflow.execute_activity_method(
            TelephonyActivities.dial, grant, summary=f"attempt {grant.attempt} to {self._lead.masked_phone}", **SHORT
        )

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

    async def _call_end(self, event: CallEvent, waits: Waits) -> None:
        """Wait for the terminal status; ask Twilio when nothing is heard; hang up when that is wanted."""
        patience_s = waits.first_word_s
        while event.call_id not in self._ended:
            if await self._wait(lambda: self._news_of(event), patience_s, "for the end of the call"):
                await self._hang_up_if_wanted(event)
                continue
            known = await workflow.execute_activity_method(
                TelephonyActivities.check_call, event, summary="no word from Twilio: asking", **SHORT
            )
            if known.status is not None and known.status.is_terminal:
                return
            answered = known.status is CallStatus.IN_PROGRESS
            patience_s = waits.longest_call_s if answered else min(patience_s * 2, 3600)

    def _news_of(self, event: CallEvent) -> bool:
        wants_hang_up = self._must_withdraw and self._cancel is not None and self._cancel.hang_up
        return event.call_id in self._ended or event.call_id in self._machines or wants_hang_up

    async def _hang_up_if_wanted(self, event: CallEvent) -> None:
        cancelled = self._must_withdraw and self._cancel is not None and self._cancel.hang_up
        if event.call_id in self._ended or not (cancelled or event.call_id in self._machines):
            return
        self._machines.discard(event.call_id)
        self._withdrawn = self._withdrawn or cancelled
        await workflow.execute_activity_method(
            TelephonyActivities.hang_up,
            args=[event, cancelled],
            summary="cancelled" if cancelled else "a machine answered",
            **SHORT,
        )

    async def _finish(self, event: CallEvent, waits: Waits) -> AttemptEnd:
        """Free the line and decide; wait for the conversation's report if the call had one."""
        end = await self._decide(event, wait_for_conversation=True)
        if end.awaiting_conversation:
            await self._wait(lambda: event.call_id in self._reported, waits.conversation_s, "for the conversation")
            end = await self._decide(event, wait_for_conversation=False)
        return end

    async def _decide(self, event: CallEvent, *, wait_for_conversation: bool) -> AttemptEnd:
        return await workflow.execute_activity_method(
            CallActivities.finish_attempt,
            args=[event, wait_for_conversation],
            summary="free the line and decide",
            **SHORT,
        )

    def _take_down(self, grant: Grant, end: AttemptEnd, waits: Waits) -> None:
        """Keep what the attempt came to, and fetch its recording in the background."""
        place = len(self._calls)
        self._calls.append(end.call)
        self._standing = Standing(status=end.status, outcome=end.outcome, attempts=end.attempts, due_at=end.due_at)
        self._notify, self._result = end.notify, end.result or self._result
        if end.recording_ready:
            self._recorded.add(grant.call_id)
        if end.recording_expected:
            self._keeping.append(asyncio.create_task(self._keep_recording(place, grant.call_id, waits)))
        self._show(end.reason)

    async def _wait_for_turn(self) -> None:
        """Sleep out the cooldown and rejoin the backlog, unless the lead is finished, due or cancelled."""
        standing = self._standing
        later = standing.due_at is not None and standing.due_at > workflow.now()
        if not (standing.status is LeadStatus.RETRY or (standing.status is LeadStatus.BACKLOG and later)):
            return
        if standing.due_at is not None:
            await self._sleep_until(standing.due_at, f"cooldown before attempt {standing.attempts + 1}")
        if self._must_withdraw:
            return
        self._standing = await workflow.execute_activity_method(
            BacklogActivities.rejoin_backlog, self._lead.lead_id, summary="back to the backlog", **SHORT
        )
        if not self._grants:
            self._show("in the backlog, waiting for a line")

    async def _wrap_up(self) -> None:
        """Wait for the recordings to be kept, then report to the webhook."""
        await asyncio.gather(*self._keeping)
        if self._notify:
            try:
                await workflow.execute_activity_method(
                    NotificationActivities.notify, self._lead.lead_id, summary="post-call webhook", **WEBHOOK
                )
            except ActivityError as error:
                workflow.logger.error("the post-call webhook was given up: %s", error.cause)

    async def _keep_recording(self, place: int, call_id: str, waits: Waits) -> None:
        await self._wait(lambda: call_id in self._recorded, waits.recording_s, "for the recording")
        try:
            held = await workflow.execute_activity_method(
                RecordingActivities.store_recording,
                CallEvent(call_id=call_id),
                summary="keep the recording",
                **RECORDING,
            )
        except ActivityError as error:
            workflow.logger.error("the recording of call %s was given up: %s", call_id, error.cause)
            held = 0
        self._stored[place] = held > 0

    # Waiting and showing

    async def _wait(self, done: Callable[[], bool], for_s: float, what: str) -> bool:
        """Wait until `done`; False when that took longer than `for_s` seconds."""
        try:
            await workflow.wait_condition(done, timeout=timedelta(seconds=for_s), timeout_summary=what)
        except TimeoutError:
            return False
        return True

    async def _sleep_until(self, at: datetime, why: str) -> None:
        """A durable timer up to `at`; a cancel ends it."""
        left_s = (at - workflow.now()).total_seconds()
        if left_s > 0:
            await self._wait(lambda: self._must_withdraw, left_s, why)

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
        calls = tuple(
            call.model_copy(update={"recording": self._stored.get(place, False)})
            for place, call in enumerate(self._calls)
        )
        return LeadResult(
            lead_id=self._lead.lead_id,
            status=self._standing.status,
            outcome=self._standing.outcome,
            attempts=self._standing.attempts,
            result=self._result,
            calls=calls,
        )
