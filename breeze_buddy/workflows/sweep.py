"""Once an hour: what lost its workflow, or its time, is set right. Started by a Temporal Schedule; there is one."""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

with workflow.unsafe.imports_passed_through():
    from breeze_buddy.activities.sweep import SweepActivities
    from breeze_buddy.domain import messages
    from breeze_buddy.domain.messages import SweepResult
    from breeze_buddy.workflows.options import LONG
    from breeze_buddy.workflows.standing_schedule import keep_schedule

EVERY = timedelta(hours=1)


@workflow.defn(name=messages.SWEEP_WORKFLOW)
class SweepWorkflow:
    """One run; its result says what was found. Zeros are health."""

    @workflow.run
    async def run(self) -> SweepResult:
        result: SweepResult = await workflow.execute_activity_method(
            SweepActivities.sweep, summary="look for what nobody would wake", **LONG
        )
        found = [f"{name.replace('_', ' ')}: {count}" for name, count in result.model_dump().items() if count]
        workflow.set_current_details("\n".join(f"- {line}" for line in found) or "nothing to set right")
        return result


async def schedule_sweep(client: Client, task_queue: str) -> None:
    """Have the sweep run hourly. Any number of workers may ask, at once and again. Raises RPCError."""
    hourly = Schedule(
        action=ScheduleActionStartWorkflow(
            messages.SWEEP_WORKFLOW, id=messages.SWEEP_SCHEDULE_ID, task_queue=task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)], jitter=timedelta(minutes=5)),
        # One that was missed is made up for by the next.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=EVERY),
    )
    await keep_schedule(client, messages.SWEEP_SCHEDULE_ID, hourly)
