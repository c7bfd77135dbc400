"""A campaign's life: started by the clock, paused, resumed, paced and cancelled in the middle of live calls, gone on
with after its end, and paused by itself."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from breeze_buddy.domain.messages import campaign_workflow_id

from .rig import Rig


async def read(rig: Rig, campaign_id: str) -> dict[str, Any]:
    found = (await rig.api.get(f"/campaigns/{campaign_id}")).json()
    assert isinstance(found, dict)
    return found


async def do(rig: Rig, campaign_id: str, verb: str, body: Any = None) -> dict[str, Any]:
    answer = await rig.api.post(f"/campaigns/{campaign_id}/{verb}", json=body)
    assert answer.is_success, answer.text
    done = answer.json()
    assert isinstance(done, dict)
    return done


async def change(rig: Rig, campaign_id: str, **changes: Any) -> dict[str, Any]:
    answer = await rig.api.patch(f"/campaigns/{campaign_id}", json=changes)
    assert answer.is_success, answer.text
    changed = answer.json()
    assert isinstance(changed, dict)
    return changed


async def in_status(rig: Rig, campaign_id: str, wanted: str) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        campaign = await read(rig, campaign_id)
        return campaign if campaign["status"] == wanted else None

    found = await rig.until(there)
    assert isinstance(found, dict)
    return found


async def details(rig: Rig, campaign_id: str, *words: str) -> None:
    """Wait until what Temporal's UI shows of the campaign has these words."""
    handle = rig.client.get_workflow_handle(campaign_workflow_id(campaign_id))

    async def shown() -> bool:
        progress = await handle.query("progress")
        return progress is not None and all(word in str(progress) for word in words)

    await rig.until(shown)


async def ringing(rig: Rig, phones: Iterable[str], count: int) -> list[Any]:
    """Wait until so many of these phones ring at once, and see that no more do."""

    async def ring() -> list[Any] | None:
        calls = [call for phone in phones for call in rig.calls_to(phone) if call.status in ("queued", "ringing")]
        return calls if len(calls) >= count and all(call.status == "ringing" for call in calls) else None

    calls = await rig.until(ring)
    assert isinstance(calls, list)
    assert len(calls) == count
    return calls


def rang(rig: Rig, phones: Iterable[str]) -> list[int]:
    return [len(rig.calls_to(phone)) for phone in phones]


async def workflow_closed(rig: Rig, campaign_id: str) -> WorkflowExecutionStatus:
    handle = rig.client.get_workflow_handle(campaign_workflow_id(campaign_id))

    async def over() -> WorkflowExecutionStatus | None:
        described = await handle.describe()
        return described.status if described.status is not WorkflowExecutionStatus.RUNNING else None

    found = await rig.until(over)
    assert isinstance(found, WorkflowExecutionStatus)
    return found


# Started by the clock


async def scheduled(rig: Rig, phone: str, **ahead: float) -> str:
    start_at = rig.clock() + timedelta(**ahead)
    return await rig.created([phone], number=await rig.number(), pacing={"start_at": start_at.isoformat()})


async def test_a_campaign_starts_at_its_time(rig: Rig) -> None:
    phone = rig.person()
    campaign_id = await scheduled(rig, phone, hours=6)
    campaign = await read(rig, campaign_id)
    assert campaign["status"] == "CREATED"
    assert campaign["status_reason"].startswith("starts at ")
    await details(rig, campaign_id, "CREATED", "starts at")
    await rig.skip(timedelta(hours=5, minutes=55))
    assert (await read(rig, campaign_id))["status"] == "CREATED"
    assert rig.calls_to(phone) == []
    await rig.skip(timedelta(minutes=6))
    await rig.lead_in(phone, "FINISHED")
    assert (await in_status(rig, campaign_id, "COMPLETED"))["status_reason"] is None
    assert await workflow_closed(rig, campaign_id) is WorkflowExecutionStatus.COMPLETED
    await rig.save_campaign("started_by_the_clock", campaign_id)


async def test_a_campaign_with_a_time_can_be_started_now(rig: Rig) -> None:
    phone = rig.person()
    campaign_id = await scheduled(rig, phone, days=3)
    await details(rig, campaign_id, "CREATED")
    assert (await do(rig, campaign_id, "start"))["status"] == "RUNNING"
    await rig.lead_in(phone, "FINISHED")
    await in_status(rig, campaign_id, "COMPLETED")


async def test_a_campaign_with_a_time_can_be_cancelled(rig: Rig) -> None:
    phone = rig.person()
    campaign_id = await scheduled(rig, phone, hours=1)
    await do(rig, campaign_id, "cancel")
    assert (await rig.lead_in(phone, "FINISHED"))["outcome"] == "CANCELLED"
    assert await workflow_closed(rig, campaign_id) is WorkflowExecutionStatus.COMPLETED
    await rig.skip(timedelta(hours=2))
    assert rig.calls_to(phone) == []


async def test_the_time_can_be_changed_and_taken_away(rig: Rig) -> None:
    phone = rig.person()
    campaign_id = await scheduled(rig, phone, hours=1)
    assert (await change(rig, campaign_id, start_at=None))["status_reason"] is None
    await rig.skip(timedelta(hours=2))
    assert (await read(rig, campaign_id))["status"] == "CREATED"
    later = rig.clock() + timedelta(hours=3)
    assert "starts at" in (await change(rig, campaign_id, start_at=later.isoformat()))["status_reason"]
    await rig.skip(timedelta(hours=2, minutes=50))
    assert rig.calls_to(phone) == []
    await rig.skip(timedelta(minutes=11))
    await rig.lead_in(phone, "FINISHED")
    refused = await rig.api.patch(f"/campaigns/{campaign_id}", json={"start_at": later.isoformat()})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


async def test_a_campaign_whose_workflow_was_lost_starts_all_the_same(rig: Rig) -> None:
    phone = rig.person()
    campaign_id = await scheduled(rig, phone, hours=1)
    await details(rig, campaign_id, "CREATED")
    await rig.client.get_workflow_handle(campaign_workflow_id(campaign_id)).terminate("by an operator")
    await rig.skip(timedelta(minutes=59))
    assert await rig.relay.nudge() == 0
    await rig.skip(timedelta(minutes=3))
    assert await rig.relay.nudge() == 1
    await rig.lead_in(phone, "FINISHED")


async def test_a_definition_given_to_temporal_waits_for_its_time_too(rig: Rig) -> None:
    phone = rig.person()
    name = "by-hand"
    definition = {
        "name": name,
        "template": {
            "name": name,
            "flow": {"nodes": {"start": {"say": "Hi.", "then": {"action": "end_conversation"}}}},
        },
        "numbers": [await rig.number()],
        "leads": [{"phone": phone}],
        "start_at": (rig.clock() + timedelta(hours=1)).isoformat(),
    }
    handle = await rig.client.start_workflow(
        "CampaignWorkflow", definition, id=name, task_queue=rig.settings.temporal_task_queue
    )

    async def waits() -> bool:
        progress = await handle.query("progress")
        return bool(progress) and str(progress["status"]) == "CREATED"

    await rig.until(waits)
    await handle.signal("update_pacing", {"calls_per_second": 3})
    await handle.signal("resume")
    await rig.lead_in(phone, "FINISHED")
    assert (await rig.api.get("/campaigns")).json()[0]["calls_per_second"] == 3


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ({"start_at": "2020-01-01T00:00:00Z"}, "start_in_the_past"),
        ({"start_at": "2099-01-01T00:00:00"}, "timezone_aware"),
    ],
)
async def test_a_time_that_is_none_is_refused(rig: Rig, when: dict[str, str], code: str) -> None:
    flow = {"nodes": {"start": {"say": "Hi.", "then": {"action": "end_conversation"}}}}
    body = {"name": "s", "template": {"name": "s", "flow": flow}, "numbers": [await rig.number()], **when}
    answer = await rig.api.post("/campaigns", json=body)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert (problem["loc"][-1], problem["type"]) == ("start_at", code)


# In the middle of live calls


async def test_a_pause_lets_live_calls_go_on_and_dials_nobody(rig: Rig) -> None:
    phones = [rig.person(ring_s=60) for _ in range(4)]
    campaign_id = await rig.created(phones, number=await rig.number(channels=2), ring_timeout_s=120)
    await do(rig, campaign_id, "start")
    calls = await ringing(rig, phones, 2)
    await do(rig, campaign_id, "pause")
    await details(rig, campaign_id, "PAUSED", "paused by request")
    for call in calls:
        assert call.status == "ringing"
        await rig.simulator.exchange.hang_up(call)

    async def settled() -> bool:
        return bool((await rig.api.get(f"/campaigns/{campaign_id}/progress")).json()["live_calls"] == 0)

    await rig.until(settled)
    assert sum(rang(rig, phones)) == 2
    await do(rig, campaign_id, "resume")
    await ringing(rig, phones, 2)
    assert sum(rang(rig, phones)) == 4
    await do(rig, campaign_id, "cancel")
    await in_status(rig, campaign_id, "CANCELLED")
    assert await workflow_closed(rig, campaign_id) is WorkflowExecutionStatus.COMPLETED
    await rig.save_campaign("paused_and_cancelled", campaign_id)


@pytest.mark.parametrize(("hang_up", "ended"), [(True, "canceled"), (False, "ringing")])
async def test_a_cancel_hangs_up_or_lets_calls_finish(rig: Rig, hang_up: bool, ended: str) -> None:
    phones = [rig.person(ring_s=60) for _ in range(3)]
    campaign_id = await rig.created(phones, number=await rig.number(channels=2), ring_timeout_s=120)
    await do(rig, campaign_id, "start")
    calls = await ringing(rig, phones, 2)
    assert (await do(rig, campaign_id, "cancel", {"hang_up": hang_up}))["status"] == "CANCELLED"
    called = [phone for phone in phones if rig.calls_to(phone)]
    (waiting,) = [phone for phone in phones if phone not in called]
    assert (await rig.lead_in(waiting, "FINISHED"))["outcome"] == "CANCELLED"
    if hang_up:
        for phone in called:
            assert (await rig.lead_in(phone, "FINISHED"))["outcome"] == "CANCELLED"
    assert [call.status for call in calls] == [ended, ended]
    for call in calls:
        if call.status == "ringing":
            assert (await rig.lead(call.to))["status"] == "PROCESSING"
            await rig.simulator.exchange.hang_up(call)
    for phone in called:
        await rig.lead_in(phone, "FINISHED")
    assert await workflow_closed(rig, campaign_id) is WorkflowExecutionStatus.COMPLETED
    assert sum(rang(rig, phones)) == 2


async def test_a_cancel_that_let_calls_finish_can_be_made_one_that_hangs_up(rig: Rig) -> None:
    phone = rig.person(ring_s=60)
    campaign_id = await rig.created([phone], number=await rig.number(), ring_timeout_s=120)
    await do(rig, campaign_id, "start")
    (call,) = await ringing(rig, [phone], 1)
    await do(rig, campaign_id, "cancel", {"hang_up": False})
    await do(rig, campaign_id, "cancel", {"hang_up": True})
    assert (await rig.lead_in(phone, "FINISHED"))["outcome"] == "CANCELLED"
    assert call.status == "canceled"
    assert await workflow_closed(rig, campaign_id) is WorkflowExecutionStatus.COMPLETED


async def test_other_pacing_is_used_while_calls_are_on(rig: Rig) -> None:
    phones = [rig.person(ring_s=60) for _ in range(5)]
    number = await rig.number(channels=5)
    campaign_id = await rig.created(phones, number=number, pacing={"max_concurrent_calls": 1}, ring_timeout_s=120)
    await do(rig, campaign_id, "start")
    await ringing(rig, phones, 1)
    await change(rig, campaign_id, max_concurrent_calls=3)
    await ringing(rig, phones, 3)
    # Fewer than are on: those go on, and none follows until they are fewer.
    await change(rig, campaign_id, max_concurrent_calls=2)
    first, second, _ = await ringing(rig, phones, 3)
    await rig.simulator.exchange.hang_up(first)
    await ringing(rig, phones, 2)
    await rig.simulator.exchange.hang_up(second)
    await rig.until(lambda: _is(sum(rang(rig, phones)) == 4))
    await do(rig, campaign_id, "cancel")


async def _is(value: bool) -> bool:
    return value


async def add(rig: Rig, campaign_id: str, phone: str) -> None:
    answer = await rig.api.post(f"/campaigns/{campaign_id}/leads", json={"leads": [{"phone": phone}]})
    assert answer.is_success, answer.text


async def test_leads_are_added_while_calls_are_on_and_after_the_end(rig: Rig) -> None:
    first, second, third = rig.person(ring_s=60), rig.person(), rig.person()
    campaign_id = await rig.created([first], number=await rig.number(channels=3), ring_timeout_s=120)
    await do(rig, campaign_id, "start")
    (call,) = await ringing(rig, [first], 1)
    await add(rig, campaign_id, second)
    await rig.lead_in(second, "FINISHED")
    assert call.status == "ringing"
    await do(rig, campaign_id, "pause")
    await add(rig, campaign_id, third)
    await rig.simulator.exchange.hang_up(call)
    await do(rig, campaign_id, "resume")
    await rig.lead_in(third, "FINISHED")
    lead = await rig.lead_in(first, "RETRY")
    await rig.api.post(f"/leads/{lead['id']}/cancel")
    await in_status(rig, campaign_id, "COMPLETED")
    await workflow_closed(rig, campaign_id)
    fourth = rig.person()
    await add(rig, campaign_id, fourth)
    await rig.lead_in(fourth, "FINISHED")
    ended = await in_status(rig, campaign_id, "COMPLETED")
    assert ended["resumed_at"] > ended["started_at"]


# Called again


async def test_a_redial_calls_those_with_an_outcome_again_and_once(rig: Rig) -> None:
    busy, reached = rig.person(attempts=["busy"]), rig.person()
    campaign_id = await rig.campaign([busy, reached], retry={"max_retries": 0})
    await in_status(rig, campaign_id, "COMPLETED")
    first = await rig.lead(busy)
    assert first["outcome"] == "BUSY"
    answer = await do(rig, campaign_id, "redial", {"outcomes": ["BUSY", "NO_ANSWER"]})
    assert (answer["redialled"], answer["campaign"]["status"]) == (1, "RUNNING")
    assert (await do(rig, campaign_id, "redial", {"outcomes": ["BUSY"]}))["redialled"] == 0
    await in_status(rig, campaign_id, "COMPLETED")
    again = await rig.lead(busy)
    assert again["id"] != first["id"]
    assert (again["request_id"], again["attempts"]) == (f"redial of {first['id']}", 1)
    assert rang(rig, [busy, reached]) == [2, 1]
    assert (await rig.api.get(f"/leads/{first['id']}")).json()["outcome"] == "BUSY"


async def test_a_clone_is_a_campaign_of_its_own(rig: Rig) -> None:
    busy, reached = rig.person(attempts=["busy", "busy"]), rig.person()
    campaign_id = await rig.campaign([busy, reached], retry={"max_retries": 0})
    await in_status(rig, campaign_id, "COMPLETED")
    clone = await do(rig, campaign_id, "clone", {"name": "second try", "leads": ["BUSY"], "request_id": "again"})
    assert (clone["name"], clone["status"], clone["cloned_from"]) == ("second try", "CREATED", campaign_id)
    assert clone["open_leads"] == 1
    assert (await do(rig, campaign_id, "clone", {"leads": ["BUSY"], "request_id": "again"}))["id"] == clone["id"]
    await do(rig, clone["id"], "start")
    ended = await in_status(rig, clone["id"], "COMPLETED")
    assert ended["open_leads"] == 0
    assert rang(rig, [busy, reached]) == [2, 1]


# Paused by itself


async def test_a_campaign_whose_calls_fail_is_paused_and_says_so_in_temporal(rig: Rig) -> None:
    phones = [rig.person(attempts=["failed"]) for _ in range(8)]
    breaker = {"circuit_breaker": {"window_calls": 5, "failure_share": 0.5}}
    campaign_id = await rig.created(
        phones, number=await rig.number(channels=1), pacing=breaker, retry={"max_retries": 0}
    )
    await do(rig, campaign_id, "start")
    paused = await in_status(rig, campaign_id, "PAUSED")
    assert "5 of the last 5 calls failed" in paused["status_reason"]
    await details(rig, campaign_id, "PAUSED", "5 of the last 5 calls failed")
    assert sum(rang(rig, phones)) == 5
    await change(rig, campaign_id, circuit_breaker=None)
    await do(rig, campaign_id, "resume")
    await in_status(rig, campaign_id, "COMPLETED")
    assert sum(rang(rig, phones)) == 8


async def test_a_misconfigured_account_pauses_at_once_and_says_so_in_temporal(rig: Rig) -> None:
    await rig.number()
    number = "+14159990000"  # registered here, and no number of the account
    (await rig.api.post("/numbers", json={"phone": number})).raise_for_status()
    campaign_id = await rig.created([rig.person()], number=number)
    await do(rig, campaign_id, "start")
    paused = await in_status(rig, campaign_id, "PAUSED")
    assert paused["status_reason"]
    await details(rig, campaign_id, "PAUSED")


# Leads whose time is over


async def test_leads_expire_in_the_backlog_and_in_their_cooldown(rig: Rig) -> None:
    soon = (rig.clock() + timedelta(hours=1)).isoformat()
    cooling, waiting, later = rig.person(attempts=["busy"]), rig.person(), rig.person(ring_s=60)
    campaign_id = await rig.created(
        [{"phone": cooling, "expires_at": soon}],  # type: ignore[list-item]
        number=await rig.number(channels=1),
        retry={"max_retries": 1, "cooldown": "P1D"},
        ring_timeout_s=120,
    )
    await do(rig, campaign_id, "start")
    await rig.lead_in(cooling, "RETRY")
    await add(rig, campaign_id, later)
    (call,) = await ringing(rig, [later], 1)
    answer = await rig.api.post(
        f"/campaigns/{campaign_id}/leads", json={"leads": [{"phone": waiting, "expires_at": soon}]}
    )
    answer.raise_for_status()
    await rig.skip(timedelta(minutes=61))
    for phone in (cooling, waiting):
        assert (await rig.lead_in(phone, "FINISHED"))["outcome"] == "EXPIRED"
    lead = await rig.lead(cooling)
    assert (await rig.result(lead))["outcome"] == "EXPIRED"
    assert rang(rig, [cooling, waiting]) == [1, 0]
    assert call.status != "canceled"
    await do(rig, campaign_id, "cancel")


async def test_the_sweep_finishes_what_expired_where_nobody_looks(rig: Rig) -> None:
    soon = (rig.clock() + timedelta(hours=1)).isoformat()
    phones = [rig.person() for _ in range(3)]
    campaign_id = await rig.created(
        [{"phone": phone, "expires_at": soon} for phone in phones],  # type: ignore[misc]
        number=await rig.number(),
    )
    assert (await rig.sweep())["leads_expired"] == 0
    await rig.skip(timedelta(minutes=61))
    assert (await rig.sweep())["leads_expired"] == 3
    progress = (await rig.api.get(f"/campaigns/{campaign_id}/progress")).json()
    assert progress["outcomes"] == {"EXPIRED": 3}
    assert set((await rig.sweep()).values()) == {0}


async def test_the_sweep_finds_nothing_in_a_healthy_run(rig: Rig) -> None:
    cooling, live, done = rig.person(attempts=["busy"]), rig.person(ring_s=60), rig.person()
    campaign_id = await rig.created(
        [cooling, live, done],
        number=await rig.number(channels=3),
        retry={"max_retries": 1, "cooldown": "P1D"},
        ring_timeout_s=120,
    )
    await do(rig, campaign_id, "start")
    await ringing(rig, [live], 1)
    await rig.lead_in(cooling, "RETRY")
    await rig.lead_in(done, "FINISHED")
    await rig.skip(timedelta(minutes=10))
    assert set((await rig.sweep()).values()) == {0}
    await do(rig, campaign_id, "cancel")


async def test_the_sweep_says_which_leads_lost_their_workflow(rig: Rig) -> None:
    live, well = rig.person(ring_s=60), rig.person(ring_s=60)
    campaign_id = await rig.created([live, well], number=await rig.number(channels=2), ring_timeout_s=120)
    await do(rig, campaign_id, "start")
    first, second = await ringing(rig, [live, well], 2)
    lead = await rig.lead(live)
    await rig.terminate(lead)
    await rig.skip(timedelta(minutes=10))
    found = await rig.sweep()
    assert (found["leads_without_workflow"], found["lines_freed"]) == (1, 0)
    for call in (first, second):
        await rig.simulator.exchange.hang_up(call)
    await rig.lead_in(live, "RETRY")

    async def free() -> bool:
        return bool((await rig.api.get(f"/campaigns/{campaign_id}/progress")).json()["live_calls"] == 0)

    await rig.until(free)
    assert rang(rig, [live, well]) == [1, 1]
    assert set((await rig.sweep()).values()) == {0}
    await do(rig, campaign_id, "cancel")
