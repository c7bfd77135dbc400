"""Once a day: recordings whose days are over are deleted. Started by a Temporal Schedule, of which there is one."""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.recordings import RecordingActivities
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.messages import RetentionResult
    from breeze_buddy.workflows.options import LONG
    from breeze_buddy.workflows.standing_schedule import keep_schedule

HOUR_UTC = 3
CATCH_UP = timedelta(days=1)
"""A run that Temporal was not there for is made up for when it is back."""


@workflow.defn(name=messages.RETENTION_WORKFLOW)
class RetentionWorkflow:
    """One run; its result says how many recordings were deleted."""

    @workflow.run
    async def run(self) -> RetentionResult:
        return await workflow.execute_activity_method(
            RecordingActivities.delete_expired_recordings, summary="delete recordings whose days are over", **LONG
        )


def _daily(task_queue: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            messages.RETENTION_WORKFLOW, id=messages.RETENTION_SCHEDULE_ID, task_queue=task_queue
        ),
        spec=ScheduleSpec(
            calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(HOUR_UTC)], comment="daily, UTC")],
            jitter=timedelta(minutes=30),
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
    )


async def schedule_retention(client: Client, task_queue: str) -> None:
    """Have the retention run daily. Any number of workers may ask, at once and again; a schedule that somebody paused
    stays paused. Raises RPCError when Temporal refuses."""
    await keep_schedule(client, messages.RETENTION_SCHEDULE_ID, _daily(task_queue))
