"""Dispatch: free lines to due leads, and each grant to its lead's workflow.

The same function serves a finished call (its line goes to the next lead), a campaign that starts, a lead back
from cooldown, a call that was placed while others waited for a rate, and the API after a push. A grant whose
signal fails stays in the database; the relay sends it again.
"""

import asyncio
import logging

from breeze_buddy.activities.signals import Signals, Unreachable
from breeze_buddy.domain.messages import LEADS_ADDED
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.store import backlog
from breeze_buddy.store.backlog import ToWake
from breeze_buddy.store.database import Database
from breeze_buddy.store.grants import Granted

logger = logging.getLogger(__name__)

_AT_ONCE = 20
_IN_ONE_TRANSACTION = 100


class Dispatcher:
    """Grants lines and sends the grants."""

    def __init__(self, database: Database, signals: Signals, limits: AccountLimits) -> None:
        self._database = database
        self._signals = signals
        self._limits = limits

    async def dispatch(self) -> int:
        """Lease every line that a due lead can use now; returns how many."""
        total = 0
        while True:
            to_wake: list[ToWake] = []
            async with self._database.write() as tx:
                granted = await backlog.grant_lines(
                    tx,
                    now=self._database.now(),
                    limits=self._limits,
                    limit=_IN_ONE_TRANSACTION,
                    to_wake=to_wake,
                )
            await self.send(granted)
            for campaign in to_wake:
                await self._wake(campaign)
            total += len(granted)
            if len(granted) < _IN_ONE_TRANSACTION:
                return total

    async def _wake(self, campaign: ToWake) -> None:
        """Leads of a campaign are due before its workflow would look: it is to look when the next one is."""
        try:
            await self._signals.start_campaign(
                campaign.campaign_id,
                campaign.workflow_id,
                name=campaign.name,
                template_name=campaign.template_name,
                signal=LEADS_ADDED,
            )
        except Unreachable as error:
            logger.warning("the relay will look for due leads: %s", error, extra={"campaign_id": campaign.campaign_id})

    async def send(self, granted: list[Granted]) -> None:
        """Signal each grant to its lead, starting the workflow where there is none."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(item: Granted) -> None:
            async with gate:
                try:
                    await self._signals.grant(item)
                except Unreachable as error:
                    logger.warning("a grant waits for the relay: %s", error, extra={"lead_id": item.grant.lead_id})

        await asyncio.gather(*(one(item) for item in granted))
