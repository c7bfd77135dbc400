"""The end of an ordinary lead: its recording is kept and its webhook told in one step, and neither is lost without."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.media.vendors.serving import serving

from .hook import Hook
from .rig import Rig


async def ended(rig: Rig, hook: Hook, *, told: int) -> tuple[dict[str, Any], list[str], Any]:
    """A recorded call to its end, when the hook has been told so often: the lead, the steps of its workflow that were
    activities of their own, and the workflow's result."""
    async with serving(hook.app) as address:
        phone = rig.person(talk_s=0.3)
        await rig.campaign([phone], record=True, webhook_url=f"http://{address}/hook")
        lead = await rig.lead_in(phone, "FINISHED")

        async def heard() -> bool:
            if hook.told and len(hook.told) < told:
                await rig.skip(timedelta(seconds=3))
            return len(hook.told) >= told

        await rig.until(heard)
        result = await rig.result(lead)
    assert len(hook.told) == told
    return await rig.lead(phone), await rig.activities(lead), result


def recording(lead: dict[str, Any]) -> Any:
    (call,) = lead["calls"]
    return call["recording"]


async def test_an_ordinary_lead_takes_no_activity_of_its_own_and_its_report_has_the_recording(rig: Rig) -> None:
    hook = Hook()
    lead, activities, result = await ended(rig, hook, told=1)
    assert activities == []
    await rig.save_lead("kept_and_reported", lead)
    (reported,) = hook.told
    assert (reported["event"], reported["lead"]["id"]) == ("lead.finished", lead["id"])
    assert recording(reported)["stored"]
    assert recording(lead)["stored"]
    assert [call["recording"] for call in result["calls"]] == [True]


@pytest.mark.parametrize(("status", "told", "again"), [(503, 2, ["notify"]), (410, 1, [])])
async def test_a_webhook_that_is_away_is_told_again_and_one_that_refuses_is_not(
    rig: Rig, status: int, told: int, again: list[str]
) -> None:
    lead, activities, result = await ended(rig, Hook(status), told=told)
    assert activities == again
    assert recording(lead)["stored"]
    assert [call["recording"] for call in result["calls"]] == [True]


async def test_when_the_worker_dies_after_the_report_it_is_sent_once_more_and_the_recording_is_kept_once(
    rig: Rig,
) -> None:
    rig.lose_result("keep_and_report")
    hook = Hook()
    lead, activities, _ = await ended(rig, hook, told=2)
    assert activities == ["notify"]
    await rig.save_lead("reported_twice", lead)
    assert hook.told[0]["lead"]["id"] == hook.told[1]["lead"]["id"]
    assert recording(lead)["stored"]


async def test_while_the_recording_cannot_be_kept_the_webhook_is_not_told(rig: Rig) -> None:
    in_the_way = Path(rig.settings.recordings_url.removeprefix("file://"))
    in_the_way.write_text("no folder")
    hook = Hook()

    async with serving(hook.app) as address:
        phone = rig.person(talk_s=0.3)
        await rig.campaign([phone], record=True, webhook_url=f"http://{address}/hook")
        lead = await rig.lead_in(phone, "FINISHED")
        await rig.until(lambda: failing(rig, lead))
        assert hook.told == []
        in_the_way.unlink()
        await rig.skip(timedelta(seconds=10))
        await rig.result(lead)
    assert await rig.activities(lead) == ["store_recording", "notify"]
    assert recording(hook.told[0])["stored"]


async def failing(rig: Rig, lead: dict[str, Any]) -> bool:
    described = await rig.workflow(lead).describe()
    return any(one.attempt > 1 for one in described.raw_description.pending_activities)
