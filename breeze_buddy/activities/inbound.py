"""Activities of an inbound call: take it up, free its line, settle what became of it."""

from temporalio import activity

from breeze_buddy.activities.calls import tell_campaign
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.signals import Signals
from breeze_buddy.domain import messages
from breeze_buddy.domain.messages import CallEvent, CancelRequest, InboundEnd, InboundTaken, Waits
from breeze_buddy.store import callers, inbound, leads
from breeze_buddy.store.database import Database


class InboundActivities:
    """Bound to the clients of one worker process. `waits` are those of a call that takes no time."""

    def __init__(self, database: Database, dispatcher: Dispatcher, signals: Signals, waits: Waits) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._signals = signals
        self._waits = waits

    @activity.defn
    async def follow_inbound(self, event: CallEvent) -> InboundTaken:
        """Note that the call's workflow is there; the relay starts it no more."""
        async with self._database.write() as tx:
            call = await inbound.mark_followed(tx, event.call_id, now=self._database.now())
        longest_call_s = self._waits.longest_call_s + call.template.max_call_s
        return InboundTaken(waits=self._waits.model_copy(update={"longest_call_s": longest_call_s}), status=call.status)

    @activity.defn
    async def end_inbound(self, event: CallEvent) -> InboundEnd:
        """Free the line and give it to the next lead; settle the call, unless its conversation is still to come."""
        async with self._database.write() as tx:
            end = await inbound.end(tx, event.call_id, now=self._database.now())
        await self._dispatcher.dispatch()
        return end if end.awaiting_conversation else await self._settle(event.call_id)

    @activity.defn
    async def settle_inbound(self, event: CallEvent) -> InboundEnd:
        """Settle the call, whether its conversation has come or not."""
        return await self._settle(event.call_id)

    async def _settle(self, call_id: str) -> InboundEnd:
        """Run twice it decides once and sends its signals again."""
        now = self._database.now()
        async with self._database.write() as tx:
            end = await inbound.settle(tx, call_id, now=now)
            lead_id = await callers.spare_caller(tx, call_id, now=now)
            lead = await leads.get(tx, lead_id) if lead_id is not None else None
        if lead is not None:
            # The lead is finished already: this only wakes its workflow, which finds it so.
            request = CancelRequest(hang_up=False, reason="the lead called us")
            await self._signals.to_lead(lead.id, messages.CANCEL, request)
            await tell_campaign(self._database, self._signals, lead.campaign_id)
        return end
