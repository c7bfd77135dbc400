"""Each node says how it may be interrupted: by speech of a length, by a number of words, or not at all."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from breeze_buddy.domain.conversation import ConversationReport
from breeze_buddy.domain.flow import HttpRequest
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.scripted import ScriptedDialogue
from tests.media.fakes import MemoryDirectory, Phone, call_of, in_virtual_time, said, template_of

LONG = "This is a rather long question that takes a while to say, is it right?"
BYE = {"say": "Goodbye.", "then": {"action": "end_conversation"}}
YES = {"name": "yes", "phrases": ["yes", "it is right"], "go": "bye"}

Story = Callable[[Phone], Coroutine[Any, Any, None]]


def call(turns: dict[str, Any] | None = None, **node: Any) -> StreamCall:
    flow = {"nodes": {"start": {"say": LONG, "functions": [YES], "reprompt": "Well?", **node}, "bye": BYE}}
    return call_of(template_of(flow, turns={"no_input_s": 5, **(turns or {})}))


def held(given: StreamCall, story: Story) -> tuple[ConversationReport, Phone]:
    async def whole() -> tuple[ConversationReport, Phone]:
        directory = MemoryDirectory()
        directory.expect(given)
        phone = Phone(directory)
        await phone.answer()
        await story(phone)
        return await phone.ended(), phone

    return in_virtual_time(whole)


async def _says_yes_after_two_seconds(phone: Phone) -> None:
    await phone.wait(2)
    await phone.say("yes")
    await phone.listen()
    await phone.wait(0.5)
    if not phone.over.is_set():
        await phone.say("it is right")


@pytest.mark.parametrize(
    ("turns", "interruption", "interrupts"),
    [
        ({}, {}, True),
        ({}, {"barge_in": False}, False),
        ({"barge_in": False}, {}, False),
        ({"barge_in": False}, {"barge_in": True}, True),
        ({}, {"min_words": 2}, False),
        ({"barge_in_min_words": 2}, {}, False),
        ({"barge_in_min_words": 2}, {"min_words": 0}, True),
        ({}, {"min_ms": 3000}, False),
    ],
)
def test_one_word_interrupts_where_the_node_lets_it(
    turns: dict[str, Any], interruption: dict[str, Any], interrupts: bool
) -> None:
    report, phone = held(call(turns, interruption=interruption), _says_yes_after_two_seconds)
    first, answer = said(report)[:2]
    assert first.endswith("–") is interrupts or answer.endswith("–") is interrupts
    assert bool(phone.clears_s) is interrupts
    assert report.result == "done"


def test_as_many_words_as_are_wanted_interrupt_and_are_the_answer() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        await phone.say("it is right")

    report, phone = held(call(interruption={"min_words": 3}), story)
    assert said(report)[-2:] == ["caller: it is right", "agent: Goodbye."]
    assert len(phone.clears_s) == 1


def test_speech_of_the_length_that_is_wanted_interrupts() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        began_s.append(phone.now_s)
        await phone.say("it is right")

    began_s: list[float] = []
    report, phone = held(call(interruption={"min_ms": 600}), story)
    assert said(report)[-1] == "agent: Goodbye."
    assert 0.55 < phone.clears_s[0] - began_s[0] < 0.75


def test_silence_is_as_long_as_the_node_says() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        heard_s.append(phone.now_s)
        await phone.listen()
        await phone.say("yes")

    heard_s: list[float] = []
    report, _ = held(call(no_input_s=12), story)
    well = next(one for one in report.transcript if one.text == "Well?")
    assert 11.5 < well.at_s - heard_s[0] < 12.5


class _Slow:
    """A server that answers after ten seconds."""

    async def send(self, request: HttpRequest, values: Any, *, key: str) -> dict[str, str] | None:
        await asyncio.sleep(10)
        return {"state": "sent"}


def test_a_caller_who_waits_for_a_server_hears_a_word_and_may_press_ahead() -> None:
    look = {"action": "http_request", "url": "https://shop.example/", "save": {"state": "s"}, "go": "ask"}
    nodes = {
        "start": {"say": "I will look.", "then": look},
        "ask": {"say": "It is {state}. Is that all?", "functions": [{**YES, "digits": "1"}]},
        "bye": BYE,
    }

    async def whole() -> ConversationReport:
        directory = MemoryDirectory()
        directory.expect(call_of(template_of({"nodes": nodes}, turns={"no_input_s": 2})))
        phone = Phone(directory)
        phone.session._engines = replace(phone.session._engines, dialogue=ScriptedDialogue(_Slow()))
        await phone.answer()
        await phone.wait(4)
        await phone.say("hello")  # is not an answer to anything
        phone.press("1")
        return await phone.ended()

    report = in_virtual_time(whole)
    assert [line for line in said(report) if line.startswith("agent")] == [
        "agent: I will look. One moment, please. It is sent. Is that all?",
        "agent: Goodbye.",
    ]
    assert report.result == "done"
