"""Following one call after another: what a lead's workflow and an inbound call's workflow have in common.

News of a call comes by signals, in any order and sometimes before the activity that caused it has returned,
so it is kept by attempt. When nothing is heard, Twilio is asked.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, FailureError
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.analysis import AnalysisActivities
    from breeze_buddy.activities.calls import CallActivities
    from breeze_buddy.activities.recordings import RecordingActivities
    from breeze_buddy.activities.telephony import TelephonyActivities
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.call import CallStatus
    from breeze_buddy.domain.messages import (
        AttemptEnd,
        CallEvent,
        CancelRequest,
        TransferResult,
        TransferStart,
        Waits,
        transfer_workflow_id,
    )
    from breeze_buddy.workflows.options import ANALYSIS, BOUNDED, RECORDING, SHORT
    from breeze_buddy.workflows.steps import step

# Of a longer call the recording takes more than a moment to fetch, or might.
_BRIEF_S = 300
KEEP_RECORDING = "keep the recording"


class CallFollower:
    """Signals about calls, and the steps from a call that is on to its recording."""

    def __init__(self) -> None:
        self._ended: dict[str, CallStatus | None] = {}
        self._machines: set[str] = set()
        self._reported: set[str] = set()
        self._recorded: set[str] = set()
        self._transfers_wanted: list[TransferStart] = []
        self._transfer: ChildWorkflowHandle[None, TransferResult] | None = None
        self._cancel: CancelRequest | None = None
        self._withdrawn = False
        self._keeping: list[asyncio.Task[bool]] = []
        self._analyses: list[asyncio.Task[bool]] = []

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

    @workflow.signal(name=messages.TRANSFER_REQUESTED)
    def on_transfer_requested(self, start: TransferStart) -> None:
        """The caller is to be handed to a human. The database lets one transfer a call be open at a time."""
        self._transfers_wanted.append(start)

    @workflow.signal(name=messages.CANCEL)
    def on_cancel(self, request: CancelRequest | None = None) -> None:
        """Somebody wants this over, and no more calls."""
        request = request or CancelRequest()
        if self._cancel is None or request.hang_up:  # a milder one does not soften what was asked
            self._cancel = request

    @property
    def _must_withdraw(self) -> bool:
        return self._cancel is not None and not self._withdrawn

    @property
    def _wants_hang_up(self) -> bool:
        return self._must_withdraw and self._cancel is not None and self._cancel.hang_up

    async def _call_end(self, event: CallEvent, waits: Waits) -> None:
        """Wait for the terminal status; ask Twilio when nothing is heard; hang up or hand over when that is wanted."""
        patience_s = waits.first_word_s
        while event.call_id not in self._ended:
            if await self._wait(lambda: self._news_of(event), patience_s, "for the end of the call"):
                await self._hang_up_if_wanted(event)
                await self._hand_over_if_wanted()
                continue
            known = await self._ask(event)
            if known.status is not None and known.status.is_terminal:
                break
            answered = known.status is CallStatus.IN_PROGRESS
            patience_s = waits.longest_call_s if answered else min(patience_s * 2, 3600)
        await self._end_transfer()

    async def _ask(self, event: CallEvent) -> CallEvent:
        """How the call stands, from Twilio; without an answer in time, as unknown as before."""
        try:
            return await workflow.execute_activity_method(
                TelephonyActivities.check_call, event, summary="no word from Twilio: asking", **BOUNDED
            )
        except ActivityError as error:
            workflow.logger.error("Twilio did not say how call %s stands: %s", event.call_id, error.cause)
            return event

    def _news_of(self, event: CallEvent) -> bool:
        return (
            event.call_id in self._ended
            or event.call_id in self._machines
            or self._wants_hang_up
            or bool(self._transfers_wanted)
        )

    async def _hang_up_if_wanted(self, event: CallEvent) -> None:
        cancelled = self._wants_hang_up
        if event.call_id in self._ended or not (cancelled or event.call_id in self._machines):
            return
        self._machines.discard(event.call_id)
        self._withdrawn = self._withdrawn or cancelled
        try:
            await workflow.execute_activity_method(
                TelephonyActivities.hang_up,
                args=[event, cancelled],
                summary="cancelled" if cancelled else "a machine answered",
                **BOUNDED,
            )
        except ActivityError as error:  # the call goes on to its own end, which is waited for
            workflow.logger.error("call %s could not be hung up: %s", event.call_id, error.cause)

    async def _hand_over_if_wanted(self) -> None:
        """Start the transfer as a child, so that the UI shows it; the call is followed meanwhile."""
        while self._transfers_wanted:
            start = self._transfers_wanted.pop(0)
            if self._transfer is not None and not self._transfer.done():
                continue
            try:
                self._transfer = await workflow.start_child_workflow(
                    messages.TRANSFER_WORKFLOW,
                    start,
                    id=transfer_workflow_id(start.call_sid),
                    result_type=TransferResult,
                    # A transfer looks after people on the phone: it goes on if this workflow is terminated.
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    static_summary=start.reason or "transfer to a human",
                )
            except FailureError as error:  # one is open already: it has the customer
                workflow.logger.warning("no second transfer of %s: %s", start.call_sid, error)

    async def _end_transfer(self) -> None:
        """The caller's call is over: tell the transfer, and wait until nobody is left on the phone."""
        transfer, self._transfer = self._transfer, None
        if transfer is None:
            return
        try:
            if not transfer.done():
                await transfer.signal(messages.CUSTOMER_GONE)
        except FailureError as error:  # it closed at the same moment
            workflow.logger.info("the transfer was over already: %s", error)
        try:
            await transfer
        except ChildWorkflowError as error:
            workflow.logger.error("the transfer failed: %s", error.cause)

    async def _finish(self, event: CallEvent, waits: Waits) -> AttemptEnd:
        """Free the line and decide; wait for the conversation's report if the call had one."""
        end = await self._decide(event, wait_for_conversation=True)
        if end.awaiting_conversation:
            await self._wait(lambda: event.call_id in self._reported, waits.conversation_s, "for the conversation")
            end = await self._decide(event, wait_for_conversation=False)
        if end.recording_ready:
            self._recorded.add(event.call_id)
        return end

    async def _decide(self, event: CallEvent, *, wait_for_conversation: bool) -> AttemptEnd:
        end: AttemptEnd = await step(
            CallActivities.finish_attempt,
            args=[event, wait_for_conversation],
            summary="free the line and decide",
            otherwise=SHORT,
        )
        return end

    def _keep_recording(self, call_id: str, waits: Waits, duration_s: int | None) -> None:
        """Fetch a recording in the background; `_kept` says in the end whether we hold it."""
        brief = duration_s is not None and duration_s <= _BRIEF_S
        self._keeping.append(asyncio.create_task(self._fetch_recording(call_id, waits, brief=brief)))

    def _analyse(self, call_id: str) -> None:
        """Have the transcript read in the background; `_analysed` waits for it."""
        self._analyses.append(asyncio.create_task(self._read_transcript(call_id)))

    async def _read_transcript(self, call_id: str) -> bool:
        try:
            found: bool = await workflow.execute_activity_method(
                AnalysisActivities.analyse_call, CallEvent(call_id=call_id), summary="read the transcript", **ANALYSIS
            )
        except ActivityError as error:
            workflow.logger.error("the transcript was not analysed: %s", error.cause or error)
            return False
        return found

    @property
    def _still_reading(self) -> list[asyncio.Task[bool]]:
        """The analyses that are not there yet."""
        return [one for one in self._analyses if not one.done()]

    async def _analysed(self) -> None:
        """Wait for all transcripts to be read, or given up."""
        await asyncio.gather(*self._analyses)

    async def _kept(self) -> list[bool]:
        """For each call of `_keep_recording`, in order, whether we hold its recording; waits for all."""
        return list(await asyncio.gather(*self._keeping))

    async def _fetch_recording(self, call_id: str, waits: Waits, *, brief: bool) -> bool:
        await self._wait(lambda: call_id in self._recorded, waits.recording_s, "for the recording")
        event = CallEvent(call_id=call_id)
        try:
            held = await (self._keep_brief_recording(event) if brief else self._keep_long_recording(event))
        except FailureError as error:
            workflow.logger.error("the recording of call %s was given up: %s", call_id, error.cause or error)
            return False
        return held > 0

    async def _keep_brief_recording(self, event: CallEvent) -> int:
        held: int = await step(
            RecordingActivities.store_recording, args=[event], summary=KEEP_RECORDING, otherwise=RECORDING
        )
        return held

    async def _keep_long_recording(self, event: CallEvent) -> int:
        return await workflow.execute_activity_method(
            RecordingActivities.store_recording, event, summary=KEEP_RECORDING, **RECORDING
        )

    async def _wait(self, done: Callable[[], bool], for_s: float, what: str) -> bool:
        """Wait until `done`; False when that took longer than `for_s` seconds."""
        try:
            await workflow.wait_condition(done, timeout=timedelta(seconds=for_s), timeout_summary=what)
        except TimeoutError:
            return False
        return True
