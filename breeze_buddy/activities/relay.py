"""The relay: sends again what a process committed and could not deliver before it stopped.

It looks at partial indexes that are empty in health: grants not accepted, inbound calls not followed, callbacks
not delivered, transfers not taken up, leads asked to cancel. What it sends twice is recognised by its receiver.
"""

import asyncio
import logging
from datetime import timedelta

from breeze_buddy.activities.campaigns import tell_cancelled
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.signals import Signals, Unreachable
from breeze_buddy.domain.messages import TRANSFER_REQUESTED
from breeze_buddy.store import backlog, callbacks, cancelling, inbound, transfers
from breeze_buddy.store.callbacks import Delivery
from breeze_buddy.store.database import Database

logger = logging.getLogger(__name__)

_EVERY_S = 2.0
_PATIENCE = timedelta(seconds=5)
_CANCEL_PATIENCE = timedelta(seconds=30)


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

    async def run(self) -> None:
        """Until cancelled. A pass that fails is logged and made again."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                sent = await self.pass_once()
            except Unreachable as error:
                logger.warning("the relay could not deliver and tries again: %s", error)
            except Exception:
                logger.exception("the relay failed and tries again")
            else:
                if sent:
                    logger.info("the relay delivered %d again", sent)

    async def pass_once(self) -> int:
        """Deliver what is due; returns how much."""
        now = self._database.now()
        async with self._database.read() as tx:
            grants = await backlog.unaccepted_grants(tx, older_than=now - _PATIENCE)
            unfollowed = await inbound.unfollowed(tx, older_than=now - _PATIENCE)
            waiting = await callbacks.undelivered(tx, older_than=now - _PATIENCE)
            unheard = await transfers.waiting_for_a_workflow(tx, older_than=now - _PATIENCE)
            leads = await cancelling.asked_to_cancel(tx, older_than=now - _CANCEL_PATIENCE)
        await self._dispatcher.send(grants)
        for start in unfollowed:
            await self._signals.follow_inbound(start)
        for delivery in waiting:
            await deliver(self._database, self._signals, delivery)
        for requested in unheard:
            await self._signals.to_workflow(requested.workflow_id, TRANSFER_REQUESTED, requested.start)
        for lead_id, hang_up in leads:
            await tell_cancelled(self._database, self._signals, lead_id, hang_up=hang_up, reason="cancelled by request")
        return len(grants) + len(unfollowed) + len(waiting) + len(unheard) + len(leads)
