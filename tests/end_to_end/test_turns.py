"""Turns on the real stack, with offline speech: who interrupts, who only listens, and who is a machine."""

from itertools import pairwise
from typing import Any

import pytest

from .listening import phone_of
from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

TALE = (
    "Hello {name}. This is a long story about {item}, and about everything else that you could wish to know of it, "
    "because we want to be quite sure that you have heard all of it before you say anything at all. "
    "It goes on and on, through the whole of the summer and the autumn, until somebody has had enough of it. "
    "Is that correct?"
)
FRAME_S = 0.02


def flow(say: str = TALE) -> dict[str, Any]:
    return {
        "nodes": {
            "start": {
                "say": say,
                "functions": [
                    {"name": "stop", "phrases": ["stop"], "go": "start"},
                    {"name": "yes", "phrases": ["yes"], "go": "bye"},
                ],
            },
            "bye": {"say": "Goodbye.", "then": {"action": "end_conversation", "result": "agreed"}},
        }
    }


async def said_in(stack: Stack, lead: dict[str, Any]) -> list[dict[str, Any]]:
    """The transcript of a lead's only call."""
    [call] = lead["calls"]
    utterances = (await stack.get(f"/calls/{call['id']}/transcript"))["utterances"]
    assert isinstance(utterances, list)
    return utterances


def interrupter(number: int) -> list[dict[str, Any]]:
    words = ("Stop talking now, please.", "Please stop.", "I want you to stop.", "Can you stop it?")
    pauses = (2.5 + number * 0.13, 4.0, 4.5)
    script: list[dict[str, Any]] = []
    for place, pause_s in enumerate(pauses):
        script += [{"wait": pause_s}, {"say": words[(number + place) % len(words)], "unprompted": True}]
    return [*script, {"hang_up": True, "unprompted": True, "after_s": 2.0}]


@pytest.mark.alone
async def test_an_agent_that_is_interrupted_falls_silent_within_350_ms(stack: Stack) -> None:
    phones = [await stack.person(script=interrupter(number)) for number in range(5)]
    campaign = await stack.campaign(phones, channels=5, flow=flow(), detect_voicemail=False, retry={"max_retries": 0})
    leads = await stack.finished(campaign)
    onset_to_clear_ms = []
    for phone, lead in leads.items():
        [call] = await stack.witness(phone)
        onsets = [one["sounds_at_s"] for one in call["said"] if one["did"] == "say"]
        [stream] = call["streams"]
        assert len(stream["clears_at_s"]) == len(onsets) == 3
        # The clock of a phone ticks every 20 ms: what came after a tick may be as much later.
        onset_to_clear_ms += [
            1000 * (clear - onset + FRAME_S) for onset, clear in zip(onsets, stream["clears_at_s"], strict=True)
        ]
        assert lead["calls"][0]["conversation"]["figures"]["interruptions"] == 3
        cut = [one for one in await said_in(stack, lead) if one["speaker"] == "agent" and one["interrupted"]]
        assert len(cut) >= 3
        assert all(len(one["text"].split()) < len(TALE.split()) for one in cut)
    onset_to_clear_ms.sort()
    p95 = onset_to_clear_ms[round(0.95 * (len(onset_to_clear_ms) - 1))]
    print(
        f"\nonset of the caller to clear at the simulator, {len(onset_to_clear_ms)} interruptions: "
        f"p50 {onset_to_clear_ms[len(onset_to_clear_ms) // 2]:.0f} ms, p95 {p95:.0f} ms"
    )
    assert p95 <= 350


async def test_a_caller_who_only_listens_hears_every_word_once(stack: Stack) -> None:
    script = [
        {"wait": 3.0}, {"say": "Okay.", "unprompted": True},
        {"wait": 4.0}, {"say": "I see.", "unprompted": True},
        {"say": "Yes."},
    ]  # fmt: skip
    phone = await stack.person(script=script, patience_s=1.5)
    campaign = await stack.campaign([phone], flow=flow(), detect_voicemail=False)
    lead = (await stack.finished(campaign))[phone]
    report = lead["calls"][0]["conversation"]
    told = TALE.format(name="Ada", item="a lamp")
    assert [one["text"] for one in await said_in(stack, lead) if one["speaker"] == "agent"] == [told, "Goodbye."]
    assert report["result"] == "agreed"
    assert report["figures"]["interruptions"] == 0
    assert report["figures"]["false_interruptions"] == 2


async def test_a_voicemail_gets_the_message_after_the_beep(stack: Stack) -> None:
    phone = await stack.person(behaviour="voicemail")
    left = "Hello {name}. We called about {item}. Please call us back."
    campaign = await stack.campaign([phone], voicemail={"leave_message": left})
    lead = (await stack.finished(campaign))[phone]
    assert (lead["outcome"], lead["attempts"]) == ("COMPLETED", 1)
    report = lead["calls"][0]["conversation"]
    assert report["result"] == "message_left"
    assert (await said_in(stack, lead))[-1]["text"] == left.format(name="Ada", item="a lamp")
    [call] = await stack.witness(phone)
    [beeped_s] = [one["at_s"] for one in call["said"] if one["did"] == "beep"]
    heard = await phone_of(stack, call)
    sound = [(start - heard.answered_s, end - heard.answered_s) for start, end in heard.sound()]
    message = [span for span in sound if span[1] > beeped_s]
    print(f"\nvoicemail: the beep ended at {beeped_s + 0.5:.1f} s, the message was heard at {message}")
    assert beeped_s + 0.5 <= message[0][0] <= beeped_s + 2.0
    assert all(late[0] - early[1] < 1.5 for early, late in pairwise(message))
    assert 2.0 < message[-1][1] - message[0][0] < 8.0
    assert call["answered_by"] is not None
