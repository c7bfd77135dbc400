"""What dies, or is asked for, between a commit and what follows from it: nothing waits for ever, nobody is lost."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from breeze_buddy.domain.messages import campaign_workflow_id
from breeze_buddy.store import campaigns as campaign_rows

from .rig import Rig


async def status(rig: Rig, campaign_id: str) -> str:
    return str((await rig.api.get(f"/campaigns/{campaign_id}")).json()["status"])


async def live_calls(rig: Rig, campaign_id: str) -> int:
    return int((await rig.api.get(f"/campaigns/{campaign_id}/progress")).json()["live_calls"])


async def in_status(rig: Rig, campaign_id: str, wanted: str) -> None:
    async def there() -> bool:
        return await status(rig, campaign_id) == wanted

    await rig.until(there)


async def closed(rig: Rig, workflow_id: str) -> WorkflowExecutionStatus:
    async def over() -> WorkflowExecutionStatus | None:
        described = await rig.client.get_workflow_handle(workflow_id).describe()
        return described.status if described.status is not WorkflowExecutionStatus.RUNNING else None

    found = await rig.until(over)
    assert isinstance(found, WorkflowExecutionStatus)
    return found


async def test_a_refusal_whose_result_is_lost_does_not_hold_the_line(rig: Rig) -> None:
    rig.lose_result("dial")
    phone = rig.person()
    rig.fault(kind="create_429", to=phone, count=1)
    campaign_id = await rig.campaign([phone])

    async def called() -> bool:
        await rig.skip(timedelta(seconds=5))
        return (await rig.lead(phone))["status"] == "FINISHED"

    await rig.until(called)
    assert len(rig.calls_to(phone)) == 1
    assert await live_calls(rig, campaign_id) == 0


async def test_a_request_that_is_given_up_twice_is_given_up(rig: Rig) -> None:
    rig.lose_result("give_up_dial")
    phone = rig.person()
    rig.fault(kind="create_5xx", to=phone, count=1)
    await rig.campaign([phone])

    async def called() -> bool:
        await rig.skip(timedelta(seconds=20))
        return (await rig.lead(phone))["status"] == "FINISHED"

    await rig.until(called)
    assert rig.losing == []
    assert len(rig.calls_to(phone)) == 1


@pytest.mark.parametrize("lost", ["dial", "finish_attempt", "rejoin_backlog"])
async def test_what_is_repeated_is_done_once(rig: Rig, lost: str) -> None:
    rig.lose_result(lost)
    phone = rig.person(attempts=["busy"])
    await rig.campaign([phone], retry={"max_retries": 1, "cooldown": 0})
    lead = await rig.lead_in(phone, "FINISHED")
    assert rig.losing == []
    assert [call["status"] for call in lead["calls"]] == ["busy", "completed"]
    assert len(rig.calls_to(phone)) == 2


async def test_a_line_that_was_not_used_goes_to_the_next_lead(rig: Rig) -> None:
    first, second, third = (rig.person() for _ in range(3))
    number = await rig.number(channels=1)
    campaign_id = await rig.created([first, second, third], number=number, pacing={"calls_per_second": 0.01})
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    await rig.lead_in(first, "FINISHED")
    granted = await rig.lead_in(second, "PROCESSING")
    (await rig.api.post(f"/leads/{granted['id']}/cancel")).raise_for_status()
    await rig.lead_in(second, "FINISHED")
    await rig.lead_in(third, "PROCESSING", "FINISHED")
    await rig.skip(timedelta(minutes=5))
    await rig.lead_in(third, "FINISHED")
    assert rig.calls_to(second) == []


async def test_cancelling_the_last_granted_lead_completes_its_campaign(rig: Rig) -> None:
    first, second = rig.person(), rig.person()
    campaign_id = await rig.created([first, second], number=await rig.number(), pacing={"calls_per_second": 0.01})
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    await rig.lead_in(first, "FINISHED")
    granted = await rig.lead_in(second, "PROCESSING")
    (await rig.api.post(f"/leads/{granted['id']}/cancel")).raise_for_status()
    await in_status(rig, campaign_id, "COMPLETED")
    assert await closed(rig, campaign_workflow_id(campaign_id)) is WorkflowExecutionStatus.COMPLETED


async def test_starting_a_paused_campaign_dials(rig: Rig) -> None:
    phone = rig.person()
    number = await rig.number(enabled=False)
    campaign_id = await rig.created([phone], number=number)
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    (await rig.api.post(f"/campaigns/{campaign_id}/pause")).raise_for_status()
    (number_row,) = (await rig.api.get("/numbers")).json()
    (await rig.api.patch(f"/numbers/{number_row['id']}", json={"enabled": True})).raise_for_status()
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    await rig.lead_in(phone, "FINISHED")


async def test_leads_whose_workflows_were_terminated_go_on(rig: Rig) -> None:
    cooling, ringing = rig.person(attempts=["no_answer"]), rig.person(ring_s=60)
    campaign_id = await rig.campaign([cooling, ringing], retry={"max_retries": 1, "cooldown": 3600})
    for phone, wanted in ((cooling, "RETRY"), (ringing, "PROCESSING")):
        lead = await rig.lead_in(phone, wanted)

        async def dialled(phone: str = phone) -> bool:
            return bool(rig.calls_to(phone))

        await rig.until(dialled)
        await rig.terminate(lead)
    await rig.skip(timedelta(hours=2))
    for call in rig.calls_to(ringing):
        await rig.simulator.exchange.hang_up(call)
    await rig.sweep()
    await rig.lead_in(cooling, "FINISHED")

    async def noticed() -> bool:
        await rig.skip(timedelta(minutes=5))
        return (await rig.lead(ringing))["status"] != "PROCESSING"

    await rig.until(noticed)
    assert [len(rig.calls_to(phone)) for phone in (cooling, ringing)] == [2, 1]
    assert await live_calls(rig, campaign_id) == 0


async def test_cancelling_a_lead_without_a_workflow_hangs_up(rig: Rig) -> None:
    phone = rig.person(ring_s=60)
    await rig.campaign([phone])

    async def rings() -> bool:
        return any(call.status == "ringing" for call in rig.calls_to(phone))

    await rig.until(rings)
    lead = await rig.lead(phone)
    await rig.workflow(lead).terminate("by an operator")
    (await rig.api.post(f"/leads/{lead['id']}/cancel")).raise_for_status()
    lead = await rig.lead_in(phone, "FINISHED")
    assert lead["outcome"] == "CANCELLED"
    assert [call.status for call in rig.calls_to(phone)] == ["canceled"]


async def test_a_cancel_can_be_made_stronger(rig: Rig) -> None:
    phone = rig.person(ring_s=60)
    await rig.campaign([phone])

    async def rings() -> bool:
        return any(call.status == "ringing" for call in rig.calls_to(phone))

    await rig.until(rings)
    lead = await rig.lead(phone)
    for hang_up in (False, True):
        answer = await rig.api.post(f"/leads/{lead['id']}/cancel", json={"hang_up": hang_up})
        answer.raise_for_status()
    await rig.lead_in(phone, "FINISHED")
    assert [call.status for call in rig.calls_to(phone)] == ["canceled"]


@pytest.mark.parametrize("nonsense", [{"calls_per_second": "fast"}, {"weight": 0}, {"colour": "red"}, ["2"], 7])
async def test_pacing_that_is_none_changes_nothing_and_stops_nothing(rig: Rig, nonsense: Any) -> None:
    phone = rig.person(attempts=["no_answer"])
    campaign_id = await rig.campaign([phone], retry={"max_retries": 1, "cooldown": 60})
    await rig.lead_in(phone, "RETRY")
    before = (await rig.api.get(f"/campaigns/{campaign_id}")).json()
    handle = rig.client.get_workflow_handle(campaign_workflow_id(campaign_id))
    await handle.signal("update_pacing", nonsense)
    await handle.signal("pause")
    await in_status(rig, campaign_id, "PAUSED")
    after = (await rig.api.get(f"/campaigns/{campaign_id}")).json()
    assert [after[name] for name in ("calls_per_second", "weight")] == [
        before[name] for name in ("calls_per_second", "weight")
    ]
    await handle.signal("resume")
    await rig.skip(timedelta(minutes=2))
    await rig.lead_in(phone, "FINISHED")


async def test_a_campaign_started_by_hand_under_another_name_ends(rig: Rig) -> None:
    phone = rig.person()
    campaign_id = await rig.created([phone], number=await rig.number())
    await rig.client.start_workflow(
        "CampaignWorkflow",
        {"campaign_id": campaign_id},
        id=f"by-hand-{campaign_id}",
        task_queue=rig.settings.temporal_task_queue,
    )
    await rig.lead_in(phone, "FINISHED")
    assert await closed(rig, f"by-hand-{campaign_id}") is WorkflowExecutionStatus.COMPLETED


async def test_a_campaign_is_not_run_twice(rig: Rig) -> None:
    phone = rig.person(attempts=["no_answer"])
    campaign_id = await rig.campaign([phone], retry={"max_retries": 1, "cooldown": 600})
    await rig.lead_in(phone, "RETRY")
    await rig.client.start_workflow(
        "CampaignWorkflow",
        {"campaign_id": campaign_id},
        id=f"by-hand-{campaign_id}",
        task_queue=rig.settings.temporal_task_queue,
    )
    assert await closed(rig, f"by-hand-{campaign_id}") is WorkflowExecutionStatus.FAILED


async def test_news_that_comes_while_a_campaign_completes_does_not_keep_it_open(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = rig.person()
    told = []
    original = campaign_rows.set_status

    async def with_news(tx: Any, campaign_id: str, wanted: Any, **more: Any) -> Any:
        result = await original(tx, campaign_id, wanted, **more)
        if wanted == "COMPLETED" and not told:
            told.append(campaign_id)
            await rig.client.get_workflow_handle(campaign_workflow_id(campaign_id)).signal("progressed")
        return result

    monkeypatch.setattr(campaign_rows, "set_status", with_news)
    campaign_id = await rig.campaign([phone])
    assert await closed(rig, campaign_workflow_id(campaign_id)) is WorkflowExecutionStatus.COMPLETED
    assert told == [campaign_id]


async def test_a_lead_that_is_due_before_its_decision_is_heard_is_dialled(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("breeze_buddy.domain.retry.FIRST_BACKOFF", timedelta(0))
    phone = rig.person()
    rig.fault(kind="create_429", to=phone, count=1)
    await rig.campaign([phone])
    lead = await rig.lead_in(phone, "FINISHED")
    assert lead["attempts"] == 1
