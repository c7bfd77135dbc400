"""A process is killed in the middle of a campaign and comes back: every lead still ends, nobody is called twice."""

import asyncio
from typing import Any

import pytest

from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Who is asked again after an interruption answers again.
YES: list[Any] = ["Yes, that is correct."] * 3
ONE: list[Any] = [{"press": "1"}] * 3

PEOPLE: list[tuple[dict[str, Any], set[str], int]] = [
    # person, outcomes, calls: one that is interrupted may be heard again from the last question
    ({"script": YES}, {"COMPLETED"}, 1),
    ({"script": ONE}, {"COMPLETED"}, 1),
    ({"script": [{"wait": 2}, *YES]}, {"COMPLETED"}, 1),
    ({"ring_s": 3, "script": YES}, {"COMPLETED"}, 1),
    ({"attempts": ["no_answer"], "script": YES}, {"COMPLETED"}, 2),
    ({"attempts": ["busy"], "script": ONE}, {"COMPLETED"}, 2),
    ({"behaviour": "no_answer"}, {"NO_ANSWER"}, 2),
    ({"behaviour": "busy", "ring_s": 1}, {"BUSY"}, 2),
]


@pytest.mark.parametrize("process", ["worker", "api", "media", "temporal"])
async def test_a_killed_process_loses_no_lead_and_calls_nobody_twice(stack: Stack, process: str) -> None:
    phones = [await stack.person(**person) for person, *_ in PEOPLE]
    campaign_id = await stack.campaign(phones, channels=5, retry={"max_retries": 1, "cooldown": 2})

    async def somebody_talks() -> bool:
        calls = [call for phone in phones for call in await stack.witness(phone)]
        return any(call["status"] == "in-progress" for call in calls)

    await stack.until(somebody_talks)
    killed = stack.kill(process)
    leads = await stack.finished(campaign_id, timeout_s=180)

    assert stack.state["processes"][process]["pid"] not in (None, killed)
    for phone, (person, outcomes, calls) in zip(phones, PEOPLE, strict=True):
        lead = leads[phone]
        assert lead["outcome"] in outcomes, (person, lead)
        assert len(await stack.witness(phone)) == calls, (person, lead)
        assert await stack.most_calls_at_once(phone) == 1
    lines = await stack.get(f"/campaigns/{campaign_id}/progress")
    assert lines["live_calls"] == 0


async def test_two_kills_at_once_are_survived(stack: Stack) -> None:
    phones = [await stack.person(script=[{"wait": 1}, *YES]) for _ in range(4)]
    campaign_id = await stack.campaign(phones)

    async def all_talk() -> bool:
        calls = [await stack.witness(phone) for phone in phones]
        return all(call and call[-1]["status"] == "in-progress" for call in calls)

    await stack.until(all_talk)
    await asyncio.gather(*(asyncio.to_thread(stack.kill, name) for name in ("worker", "api")))
    leads = await stack.finished(campaign_id, timeout_s=180)
    assert {lead["outcome"] for lead in leads.values()} == {"COMPLETED"}
    assert [len(await stack.witness(phone)) for phone in phones] == [1] * 4
