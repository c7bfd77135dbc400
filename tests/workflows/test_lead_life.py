"""The life of a lead through days: cooldowns, windows, lost callbacks, requests without an answer, cancelling."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from .rig import Rig

STATUSES = {"once": ["BACKLOG", "PROCESSING", "FINISHED"]}
TWICE = ["BACKLOG", "PROCESSING", "RETRY", "BACKLOG", "PROCESSING", "FINISHED"]


def statuses(lead: dict[str, Any]) -> list[str]:
    return [change["status"] for change in lead["history"]]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_cooldown_of_three_days_is_slept_out(rig: Rig) -> None:
    phone = rig.person(attempts=["no_answer"])
    campaign_id = await rig.campaign([phone], retry={"max_retries": 1, "cooldown": "P3D", "jitter": 0})
    lead = await rig.lead_in(phone, "RETRY")
    assert at(lead["due_at"]) - rig.clock() == pytest.approx(timedelta(days=3), abs=timedelta(minutes=1))

    await rig.skip(timedelta(days=2, hours=23))
    assert (await rig.lead(phone))["status"] == "RETRY"
    assert len(rig.calls_to(phone)) == 1

    await rig.skip(timedelta(hours=1, minutes=1))
    lead = await rig.lead_in(phone, "FINISHED")
    assert statuses(lead) == TWICE
    assert len(rig.calls_to(phone)) == 2
    result = await rig.result(lead)
    assert [call["status"] for call in result["calls"]] == ["no-answer", "completed"]
    await rig.save_lead("retry_dialled_at_once", lead)
    await rig.save_campaign("completed", campaign_id)


async def test_a_cooldown_that_ends_at_night_waits_for_the_morning_of_the_lead(rig: Rig) -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    evening = (rig.clock() + timedelta(days=1)).astimezone(kolkata).replace(hour=20, minute=30, second=0, microsecond=0)
    await rig.skip_to(evening)
    phone = rig.person(attempts=["busy"])
    await rig.campaign(
        [{"phone": phone, "time_zone": "Asia/Kolkata"}],  # type: ignore[list-item]
        retry={"max_retries": 1, "cooldown": 3600},
        calling_window={"start": "09:00", "end": "21:00"},
    )
    lead = await rig.lead_in(phone, "RETRY")
    morning = evening.replace(hour=9, minute=0) + timedelta(days=1)
    assert at(lead["due_at"]) == morning

    await rig.skip_to(morning + timedelta(seconds=5))
    lead = await rig.lead_in(phone, "FINISHED")
    assert len(lead["calls"]) == 2
    assert at(lead["calls"][1]["granted_at"]) >= morning


async def test_a_campaign_started_at_night_dials_when_the_window_opens(rig: Rig) -> None:
    night = (rig.clock() + timedelta(days=1)).astimezone(UTC).replace(hour=2, minute=0, second=0, microsecond=0)
    await rig.skip_to(night)
    phone = rig.person()
    await rig.campaign(
        [{"phone": phone, "time_zone": "UTC"}],  # type: ignore[list-item]
        calling_window={"start": "09:00", "end": "21:00"},
    )
    assert (await rig.lead(phone))["status"] == "BACKLOG"
    await rig.skip_to(night.replace(hour=8, minute=59))
    assert rig.calls_to(phone) == []
    await rig.skip_to(night.replace(hour=9, minute=1))
    lead = await rig.lead_in(phone, "FINISHED")
    assert statuses(lead) == STATUSES["once"]


async def test_a_lost_callback_is_asked_for(rig: Rig) -> None:
    phone = rig.person()
    rig.fault(kind="callback_lost", to=phone, event="completed", count=None)
    await rig.campaign([phone])

    async def over() -> bool:
        return any(call.status == "completed" for call in rig.calls_to(phone))

    await rig.until(over)
    assert (await rig.lead(phone))["status"] == "PROCESSING"
    await rig.skip(timedelta(seconds=rig.settings.status_check_s + 11))
    lead = await rig.lead_in(phone, "FINISHED")
    assert lead["calls"][0]["status"] == "completed"
    await rig.result(lead)
    await rig.save_lead("lost_callback_dialled_at_once", lead)


async def test_repeated_and_reordered_callbacks_change_nothing(rig: Rig) -> None:
    phone = rig.person(attempts=["busy"])
    rig.fault(kind="callback_repeated", to=phone, count=None, times=3)
    rig.fault(kind="callback_reordered", to=phone, count=None, delay_s=0.2)
    await rig.campaign([phone], retry={"max_retries": 1, "cooldown": 0})
    lead = await rig.lead_in(phone, "FINISHED")
    assert statuses(lead) == TWICE
    assert [call["status"] for call in lead["calls"]] == ["busy", "completed"]
    assert len(rig.calls_to(phone)) == 2


@pytest.mark.parametrize("kind", ["create_timeout_after", "create_reset_after"])
async def test_a_call_whose_answer_was_lost_is_found_and_never_placed_twice(rig: Rig, kind: str) -> None:
    phone = rig.person()
    rig.fault(kind=kind, to=phone, count=1, delay_s=12)
    await rig.campaign([phone])
    lead = await rig.lead_in(phone, "FINISHED")
    assert len(rig.calls_to(phone)) == 1
    assert [call["sid"] for call in lead["calls"]] == [rig.calls_to(phone)[0].sid]
    assert lead["attempts"] == 1


async def test_a_request_that_was_lost_is_given_up_and_does_not_count(rig: Rig) -> None:
    phone = rig.person()
    rig.fault(kind="create_5xx", to=phone, count=1)
    await rig.campaign([phone])

    async def looked_for() -> bool:
        return bool((await rig.lead(phone))["calls"])

    await rig.until(looked_for)

    async def given_up() -> bool:
        await rig.skip(timedelta(seconds=20))
        return (await rig.lead(phone))["status"] == "FINISHED"

    await rig.until(given_up)
    lead = await rig.lead(phone)
    assert len(rig.calls_to(phone)) == 1
    assert lead["attempts"] == 1
    assert [call["counted"] for call in lead["calls"]] == [False, True]
    await rig.result(lead)
    await rig.save_lead("lost_request_dialled_at_once", lead)


async def test_too_many_requests_backs_off_without_using_up_an_attempt(rig: Rig) -> None:
    phone = rig.person()
    rig.fault(kind="create_429", to=phone, count=2)
    await rig.campaign([phone], retry={"max_retries": 0})

    async def dialled() -> bool:
        await rig.skip(timedelta(seconds=10))
        return (await rig.lead(phone))["status"] == "FINISHED"

    await rig.until(dialled)
    lead = await rig.lead(phone)
    assert lead["attempts"] == 1
    assert [call["counted"] for call in lead["calls"]] == [False, False, True]
    assert len(rig.calls_to(phone)) == 1


async def test_a_lead_cancelled_in_its_cooldown_is_not_called_again(rig: Rig) -> None:
    phone = rig.person(behaviour="no_answer")
    campaign_id = await rig.campaign([phone], retry={"max_retries": 3, "cooldown": "P1D"})
    lead = await rig.lead_in(phone, "RETRY")
    (await rig.api.post(f"/leads/{lead['id']}/cancel")).raise_for_status()
    lead = await rig.lead_in(phone, "FINISHED")
    assert lead["outcome"] == "CANCELLED"
    await rig.skip(timedelta(days=2))
    assert len(rig.calls_to(phone)) == 1
    await rig.result(lead)
    await rig.save_lead("cancelled_in_cooldown_dialled_at_once", lead)
    progress = (await rig.api.get(f"/campaigns/{campaign_id}/progress")).json()
    assert progress["status"] == "COMPLETED"


async def test_a_cancelled_lead_is_hung_up_on(rig: Rig) -> None:
    phone = rig.person(ring_s=30)
    await rig.campaign([phone])

    async def rings() -> bool:
        return any(call.status == "ringing" for call in rig.calls_to(phone))

    await rig.until(rings)
    lead = await rig.lead(phone)
    (await rig.api.post(f"/leads/{lead['id']}/cancel")).raise_for_status()
    lead = await rig.lead_in(phone, "FINISHED")
    assert lead["outcome"] == "CANCELLED"
    assert rig.calls_to(phone)[0].status in ("canceled", "completed")


async def test_a_cancelled_campaign_hangs_up_and_frees_its_lines(rig: Rig) -> None:
    phones = [rig.person(ring_s=30) for _ in range(7)]
    campaign_id = await rig.campaign(phones)

    async def all_lines_ring() -> bool:
        return sum(call.status == "ringing" for phone in phones for call in rig.calls_to(phone)) == 5

    await rig.until(all_lines_ring)
    (await rig.api.post(f"/campaigns/{campaign_id}/cancel")).raise_for_status()
    leads = [await rig.lead_in(phone, "FINISHED") for phone in phones]
    assert {lead["outcome"] for lead in leads} == {"CANCELLED"}
    progress = (await rig.api.get(f"/campaigns/{campaign_id}/progress")).json()
    assert progress["live_calls"] == 0
    assert progress["status"] == "CANCELLED"
    assert sum(len(rig.calls_to(phone)) for phone in phones) == 5


async def test_a_trial_account_finishes_only_the_unverified_lead(rig: Rig) -> None:
    verified, unknown = rig.person(), rig.person()
    rig.simulator.account.trial = True
    rig.simulator.account.verified.add(verified)
    await rig.campaign([verified, unknown])
    leads = [await rig.lead_in(phone, "FINISHED") for phone in (verified, unknown)]
    assert [lead["outcome"] for lead in leads] == ["HUNG_UP", "NOT_PERMITTED"]
    assert "verif" in leads[1]["calls"][0]["error_message"]


async def test_wrong_credentials_pause_the_campaign_with_the_reason_and_lose_nothing(rig: Rig) -> None:
    phone = rig.person()
    right, rig.simulator.account.auth_token = rig.simulator.account.auth_token, "another"
    campaign_id = await rig.campaign([phone])

    async def paused() -> dict[str, Any] | None:
        campaign = (await rig.api.get(f"/campaigns/{campaign_id}")).json()
        return campaign if campaign["status"] == "PAUSED" else None

    campaign = await rig.until(paused)
    assert "TWILIO_AUTH_TOKEN" in campaign["status_reason"]
    assert (await rig.lead(phone))["status"] == "BACKLOG"
    rig.simulator.account.auth_token = right
    (await rig.api.post(f"/campaigns/{campaign_id}/resume")).raise_for_status()
    await rig.skip(timedelta(minutes=1))
    lead = await rig.lead_in(phone, "FINISHED")
    assert lead["attempts"] == 1
