"""The relay: sends again what a process committed and could not deliver before it stopped.

It looks at partial indexes that are empty in health: grants not accepted, inbound calls not followed, callbacks
not delivered, transfers not taken up, leads asked to cancel. Once a minute it also looks for what the database says
should have happened: campaigns whose start or end was not heard, due leads beside free lines. What it sends twice is
recognised by its receiver. It never asks Temporal what runs: that is the hourly sweep's (activities/sweep.py).
"""

import asyncio
import logging
from collections.abc import Awaitable
from datetime import datetime, timedelta

from breeze_buddy.activities.campaigns import tell_cancelled
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.signals import Signals, Unreachable
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.messages import CANCEL, LEADS_FINISHED, TRANSFER_REQUESTED, CancelRequest
from breeze_buddy.store import callbacks, campaigns, cancelling, inbound, transfers
from breeze_buddy.store import grants as grant_rows
from breeze_buddy.store.callbacks import Delivery
from breeze_buddy.store.database import Database
from breeze_buddy.store.grants import Granted

logger = logging.getLogger(__name__)

_EVERY_S = 2.0
_PATIENCE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=5)
_CANCEL_PATIENCE = timedelta(seconds=30)

_NUDGE_EVERY_S = 60.0
_OVERDUE = timedelta(minutes=1)


async def deliver(database: Database, signals: Signals, delivery: Delivery) -> None:
    """Signal what a callback causes, and note that it got through. Raises Unreachable."""
    if not await signals.to_workflow(delivery.workflow_id, delivery.signal, delivery.event):
        logger.info("no workflow %s waits for %s", delivery.workflow_id, delivery.signal)
    async with database.write() as tx:
        await callbacks.mark_delivered(tx, delivery.callback_id, now=database.now())


class Relay:
    """One pass a few seconds; every worker process runs one."""

    def __init__(self, database: Database, dispatcher: Dispatcher, signals: Signals) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._signals = signals
        self._pauses: dict[str, tuple[datetime, timedelta]] = {}

    async def run(self) -> None:
        """Until cancelled. A pass that fails is logged and made again."""
        loop = asyncio.get_running_loop()
        next_nudge_s = loop.time() + _NUDGE_EVERY_S
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                sent = await self.pass_once()
                if loop.time() >= next_nudge_s:
                    next_nudge_s = loop.time() + _NUDGE_EVERY_S
                    sent += await self.nudge()
            except Exception:  # the top of this task: it outlives a database that is away
                logger.exception("the relay failed and tries again")
            else:
                if sent:
                    logger.info("the relay delivered %d again", sent)

    async def pass_once(self) -> int:
        """Deliver what is due; returns how much got through."""
        now = self._database.now()
        async with self._database.read() as tx:
            grants = await grant_rows.unaccepted_grants(tx, older_than=now - _PATIENCE)
            unfollowed = await inbound.unfollowed(tx, older_than=now - _PATIENCE)
            waiting = await callbacks.undelivered(tx, older_than=now - _PATIENCE)
            unheard = await transfers.waiting_for_a_workflow(tx, older_than=now - _PATIENCE)
            leads = await cancelling.asked_to_cancel(tx, older_than=now - _CANCEL_PATIENCE)
        again = self._due_again(grants, now)
        await self._dispatcher.send(again)
        sent = len(again)
        for start in unfollowed:
            sent += await self._try(self._signals.follow_inbound(start))
        for delivery in waiting:
            sent += await self._try(deliver(self._database, self._signals, delivery))
        for requested in unheard:
            signal = self._signals.to_workflow(requested.workflow_id, TRANSFER_REQUESTED, requested.start)
            sent += await self._try(signal)
        for lead_id, hang_up in leads:
            reason = "cancelled by request"
            telling = tell_cancelled(self._database, self._signals, lead_id, hang_up=hang_up, reason=reason)
            sent += await self._try(telling)
        return sent

    async def nudge(self) -> int:
        """Wake campaigns that should have moved, and use lines that are free; returns how much there was. Nothing in a
        healthy run."""
        async with self._database.read() as tx:
            unattended = await campaigns.unattended(tx, overdue_since=self._database.now() - _OVERDUE)
        for campaign in unattended:
            await self._try(self._wake(campaign))
        return len(unattended) + await self._dispatcher.dispatch()

    async def _wake(self, campaign: Campaign) -> None:
        # Whether live calls are hung up was written to the leads when the campaign was cancelled.
        signal, payload = {
            CampaignStatus.CREATED: (None, None),
            CampaignStatus.CANCELLED: (CANCEL, CancelRequest(hang_up=False)),
        }.get(campaign.status, (LEADS_FINISHED, None))
        await self._signals.wake_campaign(campaign, signal, payload)

    async def _try(self, sending: Awaitable[object]) -> int:
        """One failure does not keep the rest from being delivered."""
        try:
            await sending
        except Unreachable as error:
            logger.warning("the relay could not deliver and tries again: %s", error)
            return 0
        return 1

    def _due_again(self, grants: list[Granted], now: datetime) -> list[Granted]:
        """Those to be sent now: a grant that stays unaccepted is sent less and less often."""
        known = {granted.grant.call_id for granted in grants}
        forgotten = [c for c, (at, _) in self._pauses.items() if c not in known and at < now - _LONGEST_PAUSE]
        for call_id in forgotten:
            del self._pauses[call_id]
        due = []
        for granted in grants:
            call_id = granted.grant.call_id
            at, pause = self._pauses.get(call_id, (now, _PATIENCE))
            if at <= now:
                due.append(granted)
                self._pauses[call_id] = (now + pause, min(pause * 2, _LONGEST_PAUSE))
        return due
