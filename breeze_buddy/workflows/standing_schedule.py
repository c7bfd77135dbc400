"""Temporal Schedules that every installation has: made by whichever worker comes first, renewed by the others."""

from temporalio.client import Client, Schedule, ScheduleAlreadyRunningError, ScheduleUpdate, ScheduleUpdateInput


async def keep_schedule(client: Client, schedule_id: str, wanted: Schedule) -> None:
    """Make a schedule, or make the one that is there as wanted; one that somebody paused stays paused.

    Raises RPCError when Temporal refuses.
    """
    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:

        def renewed(there: ScheduleUpdateInput) -> ScheduleUpdate:
            state = there.description.schedule.state
            return ScheduleUpdate(Schedule(action=wanted.action, spec=wanted.spec, policy=wanted.policy, state=state))

        await client.get_schedule_handle(schedule_id).update(renewed)
