"""Three campaigns on two numbers: caps hold at every instant of the run, as the simulator's own record shows."""

import asyncio
from itertools import accumulate
from typing import Any

import pytest

from .stack import Stack, template

pytestmark = pytest.mark.asyncio(loop_scope="session")


def most_at_once(calls: list[dict[str, Any]]) -> int:
    """The most of these calls that were live in the same moment."""
    moments = [(call["times"]["created"], 1) for call in calls] + [(call["times"]["ended"], -1) for call in calls]
    # An end and a beginning in the same moment: the line was free.
    return max(accumulate(step for _, step in sorted(moments)))


async def campaign(stack: Stack, name: str, numbers: list[str], people: int, **pacing: Any) -> tuple[str, list[str]]:
    """A campaign of people who hang up after a moment; its id and their phones."""
    phones = [await stack.person(talk_s=0, ring_s=0.4) for _ in range(people)]
    made = await stack.post(
        "/campaigns",
        {
            "name": f"{name}-sharing",
            "template": template(f"{name}-sharing", record=False),
            "numbers": numbers,
            "leads": [{"phone": phone, "variables": {"name": "Ada", "item": "a lamp"}} for phone in phones],
            **pacing,
        },
    )
    return made["campaign"]["id"], phones


async def test_no_cap_is_exceeded_at_any_instant(stack: Stack) -> None:
    wide, narrow = await stack.number(channels=4), await stack.number(channels=2)
    heavy = await campaign(stack, "heavy", [wide, narrow], 30, weight=3)
    light = await campaign(stack, "light", [wide, narrow], 12)
    capped = await campaign(stack, "capped", [wide, narrow], 8, max_concurrent_calls=1)
    together = (heavy, light, capped)
    for campaign_id, _ in together:
        await stack.post(f"/campaigns/{campaign_id}/start")
    await asyncio.gather(*(stack.finished(campaign_id) for campaign_id, _ in together))
    seen = {c: [(await stack.witness(phone))[0] for phone in phones] for c, phones in together}
    everything = [call for calls in seen.values() for call in calls]
    assert len(everything) == 50
    on_number = {number: [call for call in everything if call["from"] == number] for number in (wide, narrow)}
    assert most_at_once(on_number[wide]) <= 4
    assert most_at_once(on_number[narrow]) <= 2
    assert most_at_once(everything) >= 5, "the lines were hardly used"
    assert most_at_once(seen[capped[0]]) == 1
    summary = (await stack.simulator.get("/simulator/summary")).json()["max_live_by_number"]
    assert summary[wide] <= 4
    assert summary[narrow] <= 2
    # Nobody waited for the heavy one to be through: the light one had its share from the beginning.
    first_half = sorted(everything, key=lambda call: call["times"]["created"])[:24]
    assert sum(call in seen[light[0]] for call in first_half) >= 3
