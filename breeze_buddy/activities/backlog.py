"""Activities that move a lead while no call is on: back to the backlog, or out of it."""

from temporalio import activity

from breeze_buddy.activities.calls import tell_campaign
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.signals import Signals
from breeze_buddy.activities.waking import wait_for_next_day
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import Standing
from breeze_buddy.store import backlog, expiry, leads
from breeze_buddy.store.database import Database
from breeze_buddy.store.standing import standing_of, withdraw


class BacklogActivities:
    """Bound to the clients of one worker process."""

    def __init__(self, database: Database, dispatcher: Dispatcher, signals: Signals) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._signals = signals

    @activity.defn
    async def rejoin_backlog(self, lead_id: str) -> Standing:
        """The cooldown is over: RETRY to BACKLOG, and a line at once if one is free; the end, if its time is over."""
        now = self._database.now()
        async with self._database.write() as tx:
            status = await backlog.rejoin(tx, lead_id, now=now)
            lead = await leads.get(tx, lead_id)
            over = status is LeadStatus.BACKLOG and lead.expires_at is not None and lead.expires_at <= now
            if over:
                await withdraw(tx, lead_id, now=now, reason=expiry.OVER)
        if over:
            await tell_campaign(self._database, self._signals, lead.campaign_id)
        else:
            await self._dispatcher.dispatch()
        async with self._database.read() as tx:
            standing = await standing_of(tx, lead_id)
        if standing.status is LeadStatus.BACKLOG:
            await wait_for_next_day(self._database, self._signals, lead_id)
        return standing

    @activity.defn
    async def withdraw_lead(self, lead_id: str, reason: str) -> Standing:
        """Finish a lead that was cancelled while no call was on."""
        async with self._database.write() as tx:
            standing = await withdraw(tx, lead_id, now=self._database.now(), reason=reason)
            lead = await leads.get(tx, lead_id)
        if standing.status is LeadStatus.FINISHED:
            await tell_campaign(self._database, self._signals, lead.campaign_id)
        return standing
