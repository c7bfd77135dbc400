"""After a failed transfer; callers who ask for a human; and a media server that dies while callers are held."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from .listening import Story, phone_of, story_of
from .stack import Stack
from .test_inbound import call_us, followed, hotline, our_call, seen
from .test_transfer import ALONE_S, ANSWERS, ASKS, BUSY, COMFORT_EVERY_S, FAR_DAY, FLOW, ONCE, SLOW_S, policy

pytestmark = pytest.mark.asyncio(loop_scope="session")

ORDERS = ("customer_first", "agent_first")
MEDIA_BACK_S = 12
"""The longest silence of who goes back to the agent while its media server still starts anew, on a busy machine."""


async def test_a_caller_who_asks_for_a_human_is_handed_over_on_the_line_they_called(stack: Stack) -> None:
    async def tell(order: str) -> None:
        human, caller = await stack.person(**ANSWERS), await stack.person(script=ASKS)
        number = await hotline(
            stack,
            channels=1,
            changes={"flow": FLOW, "transfer": policy(order, [human])},
            when_full={"action": "refuse"},
        )
        [sid] = await call_us(stack, number, caller)

        async def they_talk() -> bool:
            calls = (await stack.get(f"/calls?phone={caller.replace('+', '%2B')}"))["items"]
            return [one["status"] for call in calls for one in call["transfers"]] == ["connected"]

        await stack.until(they_talk)
        other = await stack.person()
        [late] = await call_us(stack, number, other)
        assert (await seen(stack, late))["times"]["answered"] is None
        assert (await our_call(stack, other))["refusal"] == "full", "the line is taken while they talk"

        result = await followed(stack, sid)
        assert (result["outcome"], result["result"]) == ("TRANSFERRED", "transferred"), (order, result)
        [leg] = await stack.witness(human)
        assert leg["from"] == number, "the team sees which number was called"
        story = Story(await phone_of(stack, await seen(stack, sid)), [await phone_of(stack, leg)])
        assert story.human is not None
        assert sum(sounding for _, _, sounding in story.customer.hearing(story.human.sid)) >= 0.5
        assert story.human.hearing(sid)
        assert story.human_alone_s() <= ALONE_S
        assert story.forsaken_s() <= ALONE_S

    await asyncio.gather(*(tell(order) for order in ORDERS))


async def test_a_promised_call_is_made_when_it_was_promised(stack: Stack) -> None:
    human = await stack.person(**BUSY)
    customer = await stack.person(behaviour="busy", attempts=[{"behaviour": "answers", "script": ASKS}])
    campaign_id = await stack.campaign(
        [customer],
        flow=FLOW,
        transfer=policy("customer_first", [human], on_failure={"busy": "callback"}, callback_after=4),
        retry={"max_retries": 1, "cooldown": 3600},
    )
    [waiting] = (await stack.get(f"/campaigns/{campaign_id}/leads"))["items"]

    async def waits() -> Any:
        lead = await stack.get(f"/leads/{waiting['id']}")
        return lead if lead["status"] == "RETRY" else None

    lead = await stack.until(waits)
    [first] = lead["calls"]
    assert (first["conversation"]["result"], first["conversation"]["answers"]["transfer_result"]) == (
        "callback",
        "busy",
    )
    promised = datetime.fromisoformat(first["conversation"]["callback_at"])
    assert datetime.fromisoformat(lead["due_at"]) == promised

    done = (await stack.finished(campaign_id))[customer]
    assert done["outcome"] == "BUSY"
    _, second = await stack.witness(customer)
    called = datetime.fromisoformat(second["times"]["created"])
    assert promised <= called <= promised + timedelta(seconds=5)


async def test_a_message_for_the_team_is_kept_with_the_call(stack: Stack) -> None:
    message = {"say": "Please call me back about my order.", "unprompted": False}
    patient = await stack.person(script=[*ASKS, message])
    hasty = await stack.person(script=[*ASKS, message, {"hang_up": True, "unprompted": True, "after_s": 0.5}])
    mute = await stack.person(script=ASKS)
    team = policy(
        "customer_first",
        [await stack.person(**ANSWERS)],
        business_hours={"days": [FAR_DAY]},
        on_failure={"closed": "voicemail"},
        failed_say="We are closed.",
        voicemail_say="Please leave a message.",
        voicemail_pause_s=2,
    )
    campaign_id = await stack.campaign([patient, hasty, mute], flow=FLOW, transfer=team, **ONCE)
    leads = await stack.finished(campaign_id)
    for phone in (patient, hasty):
        call = leads[phone]["calls"][0]
        assert leads[phone]["outcome"] == "COMPLETED", call
        assert call["conversation"]["result"] == "voicemail", call
        assert call["conversation"]["answers"]["transfer_result"] == "closed"
        assert "call me back" in call["conversation"]["answers"]["voicemail"].lower()
        assert (await stack.api.get(f"/calls/{call['id']}/recording")).is_success
    assert leads[mute]["calls"][0]["conversation"]["result"] == "not_transferred"


# What the team does; the outcome and the result that it comes to.
HELD = {
    "a human comes": ({**ANSWERS, "ring_s": 10, "talk_s": 8}, "TRANSFERRED", "transferred"),
    "nobody comes": ({"behaviour": "no_answer", "ring_s": 10}, "COMPLETED", "helped"),
}


async def test_a_media_server_killed_while_callers_are_held_loses_none_and_leaves_none_alone(stack: Stack) -> None:
    stories = [
        (order, name, await stack.person(**human), await stack.person(script=ASKS), outcome, result)
        for order in ORDERS
        for name, (human, outcome, result) in HELD.items()
    ]
    running = [
        await stack.campaign(
            [customer], flow=FLOW, transfer=policy(order, [human], ring_timeout_s=12, alone_s=ALONE_S), **ONCE
        )
        for order, _, human, customer, _, _ in stories
    ]

    async def all_are_held() -> bool:
        legs = [await stack.witness(human) for _, _, human, *_ in stories]
        return [leg[-1]["status"] for leg in legs if leg] == ["ringing"] * len(stories)

    await stack.until(all_are_held)
    killed = stack.kill("media")
    for campaign_id, (order, name, human, customer, outcome, result) in zip(running, stories, strict=True):
        lead = (await stack.finished(campaign_id, timeout_s=90))[customer]
        [call] = lead["calls"]
        assert (lead["outcome"], call["conversation"]["result"]) == (outcome, result), (order, name, lead)
        assert len(call["transfers"]) == 1, (order, name)
        story = await story_of(stack, customer, [human])
        assert len(story.humans) == 1, "rung once"
        assert (story.human is not None) == (outcome == "TRANSFERRED"), (order, name)
        assert story.human_alone_s() <= ALONE_S, (order, name)
        assert story.forsaken_s() <= ALONE_S, (order, name)
        held = story.human is not None  # all the time, until the human came
        assert story.longest_silence_s() <= (COMFORT_EVERY_S + SLOW_S if held else MEDIA_BACK_S), (order, name)
        print(
            f"\n{order}, {name}: human alone {story.human_alone_s():.2f} s, customer alone and nobody rung "
            f"{story.forsaken_s():.2f} s, longest silence {story.longest_silence_s():.2f} s"
        )
    assert stack.state["processes"]["media"]["pid"] not in (None, killed)
