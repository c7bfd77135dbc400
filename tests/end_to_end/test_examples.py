"""Eight people, eight examples, one stack: each conversation reaches the end that it should, by voice and by key.

`python -m pytest tests/end_to_end/test_examples.py -s` prints who was called, what came of it, and how many succeeded.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from breeze_buddy.cli.template_examples import example_files

from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

Call = dict[str, Any]


def results_in(result: str, **answers: str) -> Callable[[Call], bool]:
    """The conversation reached its end with this result, and these answers among others."""

    def check(call: Call) -> bool:
        talk = call["conversation"] or {}
        same = answers.items() <= (talk.get("answers") or {}).items()
        return talk.get("ending") == "reached_end" and talk.get("result") == result and same

    return check


def was_interrupted(call: Call) -> bool:
    return any(one["interrupted"] for one in call["transcript"] if one["speaker"] == "agent")


@dataclass
class Conversation:
    """One person, the example that calls them, and when the task is done."""

    who: str
    example: str
    behaviour: dict[str, Any]
    done: Callable[[Call], bool]
    variables: dict[str, str] = field(default_factory=dict)
    phone: str = ""
    lead_id: str = ""


CONVERSATIONS = [
    Conversation(
        "confirms the order",
        "order-confirmation",
        {"script": ["Yes, that is correct."]},
        results_in("confirmed", order="confirmed"),
        {"item": "a garden lamp"},
    ),
    Conversation(
        "has moved, hears the address back",
        "address-change",
        {"script": ["No, I have moved.", "Twelve Garden Street.", {"press": "12346"}, "Yes, that is right."]},
        lambda call: (
            results_in("address_changed", post_code="12346", address_is="changed")(call)
            and "garden street" in call["conversation"]["answers"]["new_address"].lower()
        ),
        {"address": "One Old Road"},
    ),
    Conversation(
        "wants a call tomorrow",
        "appointment",
        {"script": ["Please call me back later.", "Tomorrow at five."]},
        lambda call: results_in("callback")(call) and call["conversation"]["callback_at"] is not None,
    ),
    Conversation(
        "refuses all calls",
        "refusal",
        {"script": ["Please do not call me again."]},
        results_in("do_not_call"),
    ),
    Conversation(
        "is angry and interrupts",
        "complaint",
        {
            "script": [
                {"say": "This is terrible, and I am very angry.", "unprompted": True, "after_s": 3},
                "My parcel came a week late.",
                "No, thank you.",
            ]
        },
        lambda call: results_in("complaint_noted")(call) and was_interrupted(call),
    ),
    Conversation("is silent", "reminder", {"behaviour": "silent"}, results_in("reminded_only")),
    Conversation(
        "is a voicemail",
        "voicemail",
        {"behaviour": "voicemail"},
        lambda call: call["answered_by"] == "machine" and not (call["conversation"] or {}).get("result"),
    ),
    Conversation(
        "presses keys only",
        "keypad",
        {"script": [{"press": "1"}, {"press": "80#"}, {"press": "4242424242424242#"}]},
        results_in("paid", amount="80", card="•••4242"),
    ),
]


async def _call(stack: Stack, conversation: Conversation) -> None:
    template = yaml.safe_load(example_files()[conversation.example].read_text("utf-8"))
    conversation.phone = await stack.person(**conversation.behaviour)
    made = await stack.post(
        "/campaigns",
        {
            "name": conversation.example,
            "template": template,
            "numbers": [await stack.number(1)],
            "leads": [{"phone": conversation.phone, "variables": {"name": "Ada", **conversation.variables}}],
        },
    )
    await stack.post(f"/campaigns/{made['campaign']['id']}/start")
    page = await stack.get(f"/campaigns/{made['campaign']['id']}/leads")
    conversation.lead_id = page["items"][0]["id"]


async def _over(stack: Stack, conversation: Conversation) -> Call | None:
    """The call, when it has ended and its conversation is known; there is none with a machine."""
    calls: list[Call] = (await stack.get(f"/leads/{conversation.lead_id}"))["calls"]
    ended = [call for call in calls if call["status"] == "completed"]
    call = next((call for call in ended if call["conversation"] or call["answered_by"] == "machine"), None)
    if call is None:
        return None
    told = await stack.get(f"/calls/{call['id']}/transcript") if call["conversation"] else {"utterances": []}
    return {**call, "transcript": told["utterances"]}


async def _ended(stack: Stack, conversation: Conversation) -> Call:
    deadline_s = time.monotonic() + 90
    while (call := await _over(stack, conversation)) is None:
        assert time.monotonic() < deadline_s, (conversation.who, await stack.get(f"/leads/{conversation.lead_id}"))
        await asyncio.sleep(0.2)
    return call


def _row(conversation: Conversation, call: Call, *, done: bool) -> str:
    talk = call["conversation"] or {}
    what = talk.get("result") or talk.get("ending") or call["answered_by"]
    return (
        f"{'yes' if done else 'NO':<5}{conversation.who:<36}{conversation.example:<20}{what:<18}{call['duration_s']} s"
    )


async def test_eight_people_at_once_are_each_led_to_the_right_end(stack: Stack) -> None:
    began_s = time.monotonic()
    await asyncio.gather(*(_call(stack, one) for one in CONVERSATIONS))
    calls = [await _ended(stack, one) for one in CONVERSATIONS]
    took_s = time.monotonic() - began_s
    done = [one.done(call) for one, call in zip(CONVERSATIONS, calls, strict=True)]
    print("\ndone who                                 example             result            talked")
    for one, call, success in zip(CONVERSATIONS, calls, done, strict=True):
        print(_row(one, call, done=success))
        if not success:
            for said in call["transcript"]:
                print(f"       {said['at_s']:5.1f}  {said['speaker']}: {said['text']}{' –' * said['interrupted']}")
    print(f"task success: {sum(done)} of {len(done)}, in {took_s:.0f} s")
    assert all(done)
    listed = await stack.get(f"/do-not-call/{CONVERSATIONS[3].phone}")
    assert listed, "whoever refuses is on the list"
