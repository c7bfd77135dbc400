"""A lead is called by request while its workflow sleeps out a cooldown."""

from datetime import timedelta
from typing import Any

from .rig import Rig

THRICE = ["BACKLOG", "PROCESSING", "RETRY", "BACKLOG", "PROCESSING", "RETRY", "BACKLOG", "PROCESSING", "FINISHED"]


async def dispatch_now(rig: Rig, lead: dict[str, Any]) -> None:
    (await rig.api.post(f"/leads/{lead['id']}/dispatch-now")).raise_for_status()


async def add(rig: Rig, campaign_id: str, lead: dict[str, Any]) -> None:
    (await rig.api.post(f"/campaigns/{campaign_id}/leads", json={"leads": [lead]})).raise_for_status()


async def calls(rig: Rig, phone: str, count: int) -> None:
    async def placed() -> bool:
        return len(rig.calls_to(phone)) == count

    await rig.until(placed)


async def in_cooldown(rig: Rig, phone: str, *, attempts: int) -> dict[str, Any]:
    async def sleeps() -> dict[str, Any] | None:
        lead = await rig.lead(phone)
        return lead if (lead["status"], lead["attempts"]) == ("RETRY", attempts) else None

    found = await rig.until(sleeps)
    assert isinstance(found, dict)
    return found


async def test_the_cooldown_that_was_cut_short_is_over_and_the_next_one_is_whole(rig: Rig) -> None:
    phone = rig.person(attempts=["busy", "no_answer"])
    await rig.campaign([phone], retry={"max_retries": 2, "cooldown": "P3D", "jitter": 0})
    await in_cooldown(rig, phone, attempts=1)
    await rig.skip(timedelta(days=1))
    await dispatch_now(rig, await rig.lead(phone))
    await in_cooldown(rig, phone, attempts=2)
    assert len(rig.calls_to(phone)) == 2
    # Three days after the first call nothing happens; three days after the second the lead is called.
    await rig.skip(timedelta(days=2, hours=12))
    assert ((await rig.lead(phone))["status"], len(rig.calls_to(phone))) == ("RETRY", 2)
    await rig.skip(timedelta(hours=13))
    lead = await rig.lead_in(phone, "FINISHED")
    assert [change["status"] for change in lead["history"]] == THRICE
    assert [call["status"] for call in lead["calls"]] == ["busy", "no-answer", "completed"]
    assert [call["attempt"] for call in (await rig.result(lead))["calls"]] == [1, 2, 3]


async def test_without_a_free_line_it_gets_the_next_one_and_the_old_timer_changes_nothing(rig: Rig) -> None:
    number = await rig.number(channels=1)
    tried, talker, patient = rig.person(attempts=["busy"]), rig.person(ring_s=600), rig.person()
    campaign_id = await rig.created(
        [tried], number=number, retry={"max_retries": 1, "cooldown": 60, "jitter": 0}, ring_timeout_s=600
    )
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    await in_cooldown(rig, tried, attempts=1)
    await add(rig, campaign_id, {"phone": talker})
    await calls(rig, talker, 1)
    await add(rig, campaign_id, {"phone": patient, "priority": 100})
    await dispatch_now(rig, await rig.lead(tried))
    await dispatch_now(rig, await rig.lead(tried))
    assert (await rig.lead(tried))["status"] == "BACKLOG"
    await rig.skip(timedelta(seconds=90))  # the timer of its cooldown ends
    assert ((await rig.lead(tried))["status"], len(rig.calls_to(tried))) == ("BACKLOG", 1)
    for call in rig.calls_to(talker):
        await rig.simulator.exchange.hang_up(call)
    lead = await rig.lead_in(tried, "FINISHED")
    later = await rig.lead_in(patient, "FINISHED")
    assert [len(rig.calls_to(phone)) for phone in (tried, talker, patient)] == [2, 1, 1]
    # Before the one whose priority is the highest that can be given.
    assert lead["calls"][1]["granted_at"] < later["calls"][0]["granted_at"]
    assert lead["priority"] == 0
