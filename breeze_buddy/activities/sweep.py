"""The hourly sweep: what only Temporal can tell, or only time brings, is looked for and set right.

A workflow that somebody terminated leaves a lead, and with it a line, to nobody. The sweep asks Temporal for the
workflow of every call that is on and of every cooldown that is over, and starts those that are gone: they go on
from where the lead stands, ask Twilio about the call, and free the line when it is over.
"""

import asyncio
import logging
from datetime import timedelta

from temporalio import activity

from breeze_buddy.activities.expiry import expire
from breeze_buddy.activities.schedules import CampaignSchedules
from breeze_buddy.activities.signals import Signals
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.messages import InboundStart, SweepResult, inbound_workflow_id, lead_workflow_id
from breeze_buddy.store import campaigns, expiry, grants, inbound, numbers
from breeze_buddy.store.database import Database
from breeze_buddy.store.grants import Granted

logger = logging.getLogger(__name__)

_AT_ONCE = 20
_MOST = 10_000
# What happened just now may be between a commit and the signal that follows from it.
_PATIENCE = timedelta(minutes=5)


class SweepActivities:
    """Bound to the clients of one worker process."""

    def __init__(self, database: Database, signals: Signals, schedules: CampaignSchedules) -> None:
        self._database = database
        self._signals = signals
        self._schedules = schedules

    @activity.defn
    async def sweep(self) -> SweepResult:
        """Look for everything once; says what was found and set right."""
        result = SweepResult(
            lines_freed=await self._free_lines(),
            leads_without_workflow=await self._follow_leads(),
            calls_without_workflow=await self._follow_callers(),
            leads_expired=await self._expire(),
            schedules_mended=await self._mend_schedules(),
        )
        if result.found:
            logger.warning("the sweep set right: %s", result)
        return result

    async def _free_lines(self) -> int:
        """Lines that are leased to a call that was settled: there are none, unless we have a bug."""
        async with self._database.write() as tx:
            held = await numbers.held_by_settled_calls(tx)
            for call_id in held:
                logger.error("a line was still leased to a call that is settled", extra={"call_id": call_id})
                await numbers.free_line(tx, call_id)
        return len(held)

    async def _follow_leads(self) -> int:
        """Leads with a call that is on, or a cooldown that is over, whose workflow is gone."""
        gone = await self._gone({lead_workflow_id(one.grant.lead_id) for one in await self._stuck()})
        if not gone:
            return 0
        # Some ended well while we looked.
        lost = [one for one in await self._stuck() if lead_workflow_id(one.grant.lead_id) in gone]
        for one in lost:
            logger.warning(
                "the workflow of this lead is gone: another one goes on",
                extra={"lead_id": one.grant.lead_id, "call_id": one.grant.call_id},
            )
            await self._signals.grant(one)
            activity.heartbeat()
        return len(lost)

    async def _stuck(self) -> list[Granted]:
        before = self._database.now() - _PATIENCE
        async with self._database.read() as tx:
            return await grants.grants_of_stuck_leads(tx, overdue_since=before, on_since=before, limit=_MOST)

    async def _follow_callers(self) -> int:
        """Calls to us that nobody follows any more."""
        gone = await self._gone({inbound_workflow_id(start.call_sid) for start in await self._on_with_us()})
        if not gone:
            return 0
        lost = [start for start in await self._on_with_us() if inbound_workflow_id(start.call_sid) in gone]
        for start in lost:
            logger.warning("the workflow of this call is gone: another one follows", extra={"call_id": start.call_id})
            await self._signals.follow_inbound(start)
            activity.heartbeat()
        return len(lost)

    async def _on_with_us(self) -> list[InboundStart]:
        async with self._database.read() as tx:
            return await inbound.followed(tx, older_than=self._database.now() - _PATIENCE, limit=_MOST)

    async def _expire(self) -> int:
        async with self._database.read() as tx:
            concerned = await expiry.campaigns_with_expired(tx, now=self._database.now())
        total = 0
        for campaign_id in concerned:
            activity.heartbeat()
            total += await expire(self._database, self._signals, campaign_id)
        return total

    async def _mend_schedules(self) -> int:
        """Schedules that could not be made, or deleted, when their campaign was created or cancelled."""
        async with self._database.read() as tx:
            concerned = await campaigns.recurring(tx)
        mended = 0
        for campaign in concerned:
            activity.heartbeat()
            if campaign.status in (CampaignStatus.CREATED, CampaignStatus.PAUSED):
                # Also when it is there: a pause, or other times, may not have reached Temporal.
                mended += await self._schedules.ensure(campaign)
            else:
                mended += await self._schedules.delete(campaign.id)
        return mended

    async def _gone(self, workflow_ids: set[str]) -> set[str]:
        """Those of these workflows that do not run."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(workflow_id: str) -> str | None:
            async with gate:
                activity.heartbeat()
                return None if await self._signals.is_running(workflow_id) else workflow_id

        return {found for found in await asyncio.gather(*(one(each) for each in workflow_ids)) if found is not None}
