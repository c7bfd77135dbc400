"""Campaigns that recur, and the hourly sweep, on a server that has schedules."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import ScheduleActionExecutionStartWorkflow, WorkflowExecutionStatus
from temporalio.service import RPCError

from breeze_buddy.domain.messages import RETENTION_SCHEDULE_ID, SWEEP_SCHEDULE_ID, campaign_schedule_id
from breeze_buddy.workflows.retention import schedule_retention
from breeze_buddy.workflows.sweep import schedule_sweep

from .rig import Rig

WEEKLY = {"cron": "0 9 * * mon", "time_zone": "Asia/Kolkata"}


async def recurring(rig: Rig, phones: list[str], **pacing: Any) -> str:
    number = await rig.number(channels=2)
    return await rig.created(phones, number=number, pacing={"recurrence": WEEKLY, **pacing}, ring_timeout_s=120)


async def post(rig: Rig, path: str, status: int = 200) -> Any:
    answer = await rig.api.post(path)
    assert answer.status_code == status, answer.text
    return answer.json()


async def read(rig: Rig, path: str, **query: Any) -> Any:
    answer = await rig.api.get(path, params=query)
    assert answer.is_success, answer.text
    return answer.json()


async def copies(rig: Rig, campaign_id: str, count: int) -> list[dict[str, Any]]:
    """Wait until that many copies were run to their end, and Temporal knows; the newest first."""

    async def ended() -> list[dict[str, Any]] | None:
        schedule = await read(rig, f"/campaigns/{campaign_id}/schedule")
        found = await read(rig, "/campaigns", cloned_from=campaign_id)
        over = [one["status"] for one in found] == ["COMPLETED"] * count and len(schedule["last"]) == count
        return found if over and not schedule["running"] else None

    found = await rig.until(ended, 30)
    assert isinstance(found, list)
    return found


async def test_each_time_runs_a_fresh_copy_with_its_leads(real_time_rig: Rig) -> None:
    rig = real_time_rig
    phones = [rig.person(), rig.person()]
    campaign_id = await recurring(rig, phones)
    schedule = await read(rig, f"/campaigns/{campaign_id}/schedule")
    assert schedule["recurrence"] == WEEKLY
    assert not schedule["paused"]
    next_time = datetime.fromisoformat(schedule["next_times"][0]).astimezone(ZoneInfo("Asia/Kolkata"))
    assert (next_time.weekday(), next_time.hour, next_time.minute) == (0, 9, 0)

    for count in (1, 2):
        await post(rig, f"/campaigns/{campaign_id}/start")
        found = await copies(rig, campaign_id, count)
        # Two within a second are one: Temporal names what a schedule starts by the second.
        await asyncio.sleep(1.1)
    assert [len(rig.calls_to(phone)) for phone in phones] == [2, 2]
    # Each has leads of its own, and the name with its time on the clock of the zone.
    today = datetime.now(UTC).astimezone(ZoneInfo("Asia/Kolkata"))
    assert all(one["name"].rpartition(" ")[0].endswith(f"{today:%Y-%m-%d}") for one in found)
    assert all(one["recurrence"] is None for one in found)
    parent = await read(rig, f"/campaigns/{campaign_id}")
    assert (parent["status"], parent["open_leads"]) == ("CREATED", 2)
    assert parent["status_reason"] == "recurs: 0 9 * * mon (Asia/Kolkata)"
    fired = (await read(rig, f"/campaigns/{campaign_id}/schedule"))["last"]
    assert {one["workflow_id"] for one in fired} == {one["workflow_id"] for one in found}
    described = await rig.client.get_workflow_handle(found[0]["workflow_id"]).describe()
    assert described.status is WorkflowExecutionStatus.COMPLETED
    assert described.search_attributes["CampaignId"] == [found[0]["id"]]
    assert [one["id"] for one in await read(rig, "/campaigns", recurring=True)] == [campaign_id]


async def test_a_time_that_finds_the_last_copy_running_is_left_out(real_time_rig: Rig) -> None:
    rig = real_time_rig
    phone = rig.person(ring_s=60)
    campaign_id = await recurring(rig, [phone])
    await post(rig, f"/campaigns/{campaign_id}/start")

    async def rings() -> bool:
        return any(call.status == "ringing" for call in rig.calls_to(phone))

    await rig.until(rings)
    await post(rig, f"/campaigns/{campaign_id}/start")

    async def left_out() -> bool:
        return int((await read(rig, f"/campaigns/{campaign_id}/schedule"))["left_out"]) == 1

    await rig.until(left_out)
    (copy,) = await read(rig, "/campaigns", cloned_from=campaign_id)
    # Deleting the schedule leaves the copy alone; it is cancelled for itself.
    assert (await post(rig, f"/campaigns/{campaign_id}/cancel"))["status"] == "CANCELLED"
    assert (await rig.api.get(f"/campaigns/{campaign_id}/schedule")).status_code == 404
    assert (await read(rig, f"/campaigns/{campaign_id}"))["open_leads"] == 0
    assert (await read(rig, f"/campaigns/{copy['id']}"))["status"] == "RUNNING"
    await post(rig, f"/campaigns/{copy['id']}/cancel")
    assert (await rig.lead_in(phone, "FINISHED"))["outcome"] == "CANCELLED"
    assert (await rig.api.post(f"/campaigns/{campaign_id}/start")).status_code == 409


async def test_a_schedule_is_paused_resumed_and_changed(real_time_rig: Rig) -> None:
    rig = real_time_rig
    campaign_id = await recurring(rig, [rig.person()])
    for verb, status, paused in (("pause", "PAUSED", True), ("resume", "CREATED", False)):
        for _ in range(2):
            assert (await post(rig, f"/campaigns/{campaign_id}/{verb}"))["status"] == status
        assert (await read(rig, f"/campaigns/{campaign_id}/schedule"))["paused"] is paused
    begins = datetime.now(UTC) + timedelta(days=40)
    changes = {"recurrence": {"cron": "30 8 1 * *"}, "start_at": begins.isoformat()}
    answer = await rig.api.patch(f"/campaigns/{campaign_id}", json=changes)
    assert answer.json()["status_reason"] == "recurs: 30 8 1 * * (UTC)"
    first = datetime.fromisoformat((await read(rig, f"/campaigns/{campaign_id}/schedule"))["next_times"][0])
    assert first > begins
    assert (first.day, first.hour, first.minute) == (1, 8, 30)
    plain = await rig.created([rig.person()], number=await rig.number())
    for of, body in ((campaign_id, {"recurrence": None}), (plain, {"recurrence": WEEKLY})):
        assert (await rig.api.patch(f"/campaigns/{of}", json=body)).status_code == 409
    assert (await rig.api.get(f"/campaigns/{plain}/schedule")).status_code == 404


async def test_the_sweep_mends_schedules_that_went_missing_or_stayed(real_time_rig: Rig) -> None:
    rig = real_time_rig
    missing, stayed = await recurring(rig, [rig.person()]), await recurring(rig, [rig.person()])
    assert set((await rig.sweep()).values()) == {0}
    handle = rig.client.get_schedule_handle(campaign_schedule_id(missing))
    await handle.delete()
    kept = await rig.client.get_schedule_handle(campaign_schedule_id(stayed)).describe()
    await post(rig, f"/campaigns/{stayed}/cancel")
    await rig.client.create_schedule(campaign_schedule_id(stayed), kept.schedule)
    assert (await rig.sweep())["schedules_mended"] == 2
    assert (await handle.describe()).info.next_action_times
    with pytest.raises(RPCError, match="not found"):
        await rig.client.get_schedule_handle(campaign_schedule_id(stayed)).describe()
    assert set((await rig.sweep()).values()) == {0}


async def test_the_sweep_pauses_a_schedule_that_did_not_hear_of_its_pause(real_time_rig: Rig) -> None:
    rig = real_time_rig
    campaign_id = await recurring(rig, [rig.person()])
    await post(rig, f"/campaigns/{campaign_id}/pause")
    await rig.client.get_schedule_handle(campaign_schedule_id(campaign_id)).unpause()
    await rig.sweep()
    assert (await read(rig, f"/campaigns/{campaign_id}/schedule"))["paused"]


async def test_the_sweep_is_scheduled_hourly_and_only_once(real_time_rig: Rig) -> None:
    rig = real_time_rig
    for _ in range(2):
        await schedule_sweep(rig.client, rig.settings.temporal_task_queue)
        await schedule_retention(rig.client, rig.settings.temporal_task_queue)
    handle = rig.client.get_schedule_handle(SWEEP_SCHEDULE_ID)
    await handle.pause()
    await schedule_sweep(rig.client, rig.settings.temporal_task_queue)
    described = await handle.describe()
    assert described.schedule.state.paused
    await handle.unpause()
    await handle.trigger()

    async def result() -> dict[str, int] | None:
        actions = (await handle.describe()).info.recent_actions
        if not actions:
            return None
        started = actions[0].action
        assert isinstance(started, ScheduleActionExecutionStartWorkflow)
        found: dict[str, int] = await rig.client.get_workflow_handle(started.workflow_id).result()
        return found

    assert set((await rig.until(result)).values()) == {0}
    assert (await rig.client.get_schedule_handle(RETENTION_SCHEDULE_ID).describe()).info.next_action_times


async def test_a_definition_given_to_temporal_cannot_recur(real_time_rig: Rig) -> None:
    rig = real_time_rig
    flow = {"nodes": {"start": {"say": "Hi.", "then": {"action": "end_conversation"}}}}
    definition = {"name": "s", "template": {"name": "s", "flow": flow}, "numbers": [await rig.number()]}
    handle = await rig.client.start_workflow(
        "CampaignWorkflow",
        {**definition, "recurrence": WEEKLY},
        id="recurs",
        task_queue=rig.settings.temporal_task_queue,
    )

    async def failed() -> bool:
        return (await handle.describe()).status is WorkflowExecutionStatus.FAILED

    await rig.until(failed)
    assert await read(rig, "/campaigns") == []
