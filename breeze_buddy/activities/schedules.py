"""Campaigns that recur, as Temporal Schedules: one a campaign, whose firings are workflows of their own.

The database says which schedules there are to be and whether they are paused; `ensure` makes Temporal agree.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
)
from temporalio.service import RPCError, RPCStatusCode

from breeze_buddy.activities.signals import Unreachable
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.messages import CampaignStart

CATCH_UP = timedelta(hours=1)
"""A time that Temporal was not there for is made up for if it is back by then, and left out otherwise."""

_RPC_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Firing:
    """One time that came, and the workflow that it started."""

    scheduled_at: datetime
    workflow_id: str


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule as Temporal has it. `left_out`: times at which the campaign before was still running."""

    paused: bool
    next_times: list[datetime]
    last: list[Firing]
    running: list[str]
    left_out: int


_P = ParamSpec("_P")
_R = TypeVar("_R")


def _reached(call: Callable[_P, Awaitable[_R]]) -> Callable[_P, Awaitable[_R]]:
    """What Temporal does not answer is Unreachable."""

    @wraps(call)
    async def tried(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return await call(*args, **kwargs)
        except RPCError as error:
            raise Unreachable(f"Temporal did not answer about a schedule: {error.message}") from error

    return tried


class CampaignSchedules:
    """Every method raises Unreachable when Temporal does not answer."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    @_reached
    async def ensure(self, campaign: Campaign) -> bool:
        """Make the schedule of a campaign what the database says, or make it anew. True when it was missing."""
        wanted = self._schedule(campaign)
        try:
            await self._client.create_schedule(self._id(campaign.id), wanted, rpc_timeout=_RPC_TIMEOUT)
        except ScheduleAlreadyRunningError:
            await self._handle(campaign.id).update(lambda _: ScheduleUpdate(wanted), rpc_timeout=_RPC_TIMEOUT)
            return False
        return True

    @_reached
    async def run_now(self, campaign: Campaign) -> None:
        """A firing now, unless the campaign of the last one still runs."""
        await self._handle(campaign.id).trigger(overlap=ScheduleOverlapPolicy.SKIP, rpc_timeout=_RPC_TIMEOUT)

    @_reached
    async def delete(self, campaign_id: str) -> bool:
        """No more firings. False when there was no such schedule."""
        try:
            await self._handle(campaign_id).delete(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return True

    @_reached
    async def read(self, campaign_id: str) -> Scheduled | None:
        """The schedule of a campaign, or None when Temporal has none."""
        described = await self._described(campaign_id)
        if described is None:
            return None
        info = described.info
        return Scheduled(
            paused=described.schedule.state.paused,
            next_times=list(info.next_action_times),
            last=[Firing(done.scheduled_at, _workflow_of(done.action)) for done in info.recent_actions],
            running=[_workflow_of(action) for action in info.running_actions],
            left_out=info.num_actions_skipped_overlap,
        )

    async def _described(self, campaign_id: str) -> ScheduleDescription | None:
        try:
            return await self._handle(campaign_id).describe(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    def _id(self, campaign_id: str) -> str:
        return messages.campaign_schedule_id(campaign_id)

    def _handle(self, campaign_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(self._id(campaign_id))

    def _schedule(self, campaign: Campaign) -> Schedule:
        if campaign.recurrence is None:
            raise ValueError(f"campaign {campaign.id} does not recur")
        return Schedule(
            # Temporal adds the time to the id. The run is the campaign's: it ends with it, so none overlaps.
            action=ScheduleActionStartWorkflow(
                messages.CAMPAIGN_WORKFLOW,
                CampaignStart(clone_of=campaign.id),
                id=messages.campaign_workflow_id(campaign.id),
                task_queue=self._task_queue,
                static_summary=campaign.name,
            ),
            spec=ScheduleSpec(
                cron_expressions=[campaign.recurrence.cron],
                time_zone_name=campaign.recurrence.time_zone,
                start_at=campaign.start_at,
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
            state=ScheduleState(paused=campaign.status is CampaignStatus.PAUSED, note=f"campaign {campaign.name}"),
        )


def _workflow_of(action: Any) -> str:
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)
    return action.workflow_id
