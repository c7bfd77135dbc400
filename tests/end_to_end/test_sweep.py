"""The hourly sweep in a whole stack: nothing to find after a healthy run, and a campaign that ran on a schedule."""

from typing import Any

import pytest
from temporalio.client import ScheduleActionExecutionStartWorkflow

from breeze_buddy.domain.messages import SWEEP_SCHEDULE_ID

from .stack import Stack, template

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def swept(stack: Stack) -> dict[str, int]:
    """The result of a run of the sweep that begins now."""
    schedule = stack.temporal.get_schedule_handle(SWEEP_SCHEDULE_ID)
    before = (await schedule.describe()).info.num_actions
    await schedule.trigger()

    async def done() -> Any:
        info = (await schedule.describe()).info
        return info.recent_actions[-1].action if info.num_actions > before else None

    action = await stack.until(done)
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)
    result: dict[str, int] = await stack.temporal.get_workflow_handle(action.workflow_id).result()
    return result


async def test_the_sweep_finds_nothing_after_a_campaign_that_recurs(stack: Stack) -> None:
    phones = [await stack.person(script=[{"press": "1"}]), await stack.person(behaviour="busy")]
    made = await stack.post(
        "/campaigns",
        {
            "name": "every week",
            "template": template("every week"),
            "numbers": [await stack.number()],
            "leads": [{"phone": phone, "variables": {"name": "Ada", "item": "a lamp"}} for phone in phones],
            "recurrence": {"cron": "0 9 * * mon", "time_zone": "Europe/Berlin"},
        },
    )
    campaign_id = made["campaign"]["id"]
    await stack.post(f"/campaigns/{campaign_id}/start")

    async def ended() -> Any:
        found = await stack.get(f"/campaigns?cloned_from={campaign_id}")
        return found if [one["status"] for one in found] == ["COMPLETED"] else None

    (copy,) = await stack.until(ended)
    progress = await stack.get(f"/campaigns/{copy['id']}/progress")
    assert progress["outcomes"] == {"COMPLETED": 1, "BUSY": 1}
    assert set((await swept(stack)).values()) == {0}
    await stack.post(f"/campaigns/{campaign_id}/cancel")
