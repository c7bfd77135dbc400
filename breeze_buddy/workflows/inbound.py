"""A call to us, from its answer to its recording, as one durable workflow.

The call was answered before this begins, and does not wait for it: the row is in the database and the line
is leased. What follows is the same as for a lead's call.
"""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.inbound import InboundActivities
    from breeze_buddy.activities.signals import CALL_OUTCOME
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.messages import CallEvent, InboundEnd, InboundResult, InboundStart, InboundTaken, Waits
    from breeze_buddy.workflows.call_follower import CallFollower
    from breeze_buddy.workflows.options import SHORT


@workflow.defn(name=messages.INBOUND_WORKFLOW)
class InboundCallWorkflow(CallFollower):
    """`inbound-{CallSid}`: followed, ended, settled, kept."""

    @workflow.init
    def __init__(self, start: InboundStart) -> None:
        super().__init__()
        self._caller = start.masked_phone
        self._event = CallEvent(call_id=start.call_id)

    @workflow.run
    async def run(self, start: InboundStart) -> InboundResult:
        """Until the call is over and all that belongs to it is kept."""
        waits = await self._take_up()
        await self._call_end(self._event, waits)
        end = await self._settle(waits)
        self._show(end)
        if end.recording_expected:
            self._keep_recording(self._event.call_id, waits, end.duration_s)
        if end.analyse:
            self._analyse(start.call_id)
        kept = await self._kept()
        await self._analysed()
        return InboundResult(
            call_id=start.call_id,
            status=end.status,
            outcome=end.outcome,
            duration_s=end.duration_s,
            result=end.result,
            recording=any(kept),
        )

    async def _take_up(self) -> Waits:
        workflow.set_current_details(f"{self._caller} is talking with the agent")
        taken: InboundTaken = await self._do(InboundActivities.follow_inbound, "follow the call")
        if taken.status is not None and taken.status.is_terminal:
            self._ended[self._event.call_id] = taken.status
        return taken.waits

    async def _settle(self, waits: Waits) -> InboundEnd:
        """Free the line at once; wait for the conversation's report if the call had one."""
        end: InboundEnd = await self._do(InboundActivities.end_inbound, "free the line")
        if end.awaiting_conversation:
            reported = self._reported
            await self._wait(lambda: self._event.call_id in reported, waits.conversation_s, "for the conversation")
            end = await self._do(InboundActivities.settle_inbound, "settle the call")
        if end.recording_ready:
            self._recorded.add(self._event.call_id)
        return end

    async def _do(self, step: Any, summary: str) -> Any:
        return await workflow.execute_activity_method(step, self._event, summary=summary, **SHORT)

    def _show(self, end: InboundEnd) -> None:
        workflow.upsert_search_attributes([CALL_OUTCOME.value_set(end.outcome)])
        result = f", result {end.result}" if end.result else ""
        workflow.set_current_details(f"**{end.outcome}** ({end.reason}{result})")
