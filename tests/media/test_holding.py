"""A caller who asked for a human, as the media server sees it: held, moved, or handed back."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from breeze_buddy.domain.conversation import ConversationReport, ConversationState, Ending, Utterance
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import StreamCall
from tests.media.fakes import BEGINNING, MemoryDirectory, Phone, call_of, in_virtual_time, said, template_of

FLOW: dict[str, Any] = {
    "start": "ask",
    "nodes": {
        "ask": {
            "say": "Hello {name}. How can I help?",
            "functions": [
                {"name": "human", "phrases": ["a human"], "digits": "1", "go": "hand_over"},
                {"name": "nothing", "phrases": ["nothing"], "digits": "2", "go": "bye"},
            ],
        },
        "hand_over": {
            "say": "Please hold.",
            "then": {"action": "transfer_to_agent", "reason": "{name} asked for it.", "failed": "alone"},
        },
        "alone": {
            "say": "It was {transfer_result}. Anything else?",
            "functions": [{"name": "nothing", "phrases": ["nothing"], "digits": "2", "go": "bye"}],
        },
        "bye": {"say": "Goodbye.", "then": {"action": "end_conversation", "result": "helped"}},
    },
}
AGENTS = {"agents": ["+14155550199"], "comfort": "One moment.", "comfort_every_s": 4, "failed_say": "Nobody is free."}
SORRY = "agent: Nobody is free. It was busy. Anything else?"

Story = Callable[[Phone], Coroutine[Any, Any, None]]


def handed(flow: dict[str, Any] | None = None, resume: ConversationState | None = None, **policy: Any) -> StreamCall:
    return call_of(template_of(flow or FLOW, transfer={**AGENTS, **policy}), resume=resume)


def held(story: Story, call: StreamCall | None = None) -> tuple[ConversationReport, Phone]:
    """The report of a conversation in which the caller does `story`, and the phone it was held on."""

    async def whole() -> tuple[ConversationReport, Phone]:
        directory = MemoryDirectory()
        directory.expect(call or handed())
        phone = Phone(directory)
        await phone.answer()
        await story(phone)
        return await phone.ended(), phone

    return in_virtual_time(whole)


async def asks_for_a_human(phone: Phone) -> None:
    await phone.listen()
    phone.press("1")
    await phone.until(lambda: bool(phone.directory.asked_for_humans))


def test_the_human_is_asked_for_when_please_hold_was_heard_and_the_socket_stays_open() -> None:
    heard_until_s: list[float] = []

    async def story(phone: Phone) -> None:
        await asks_for_a_human(phone)
        heard_until_s.extend([phone.frames_s[-1], phone.now_s])
        await phone.wait(2)
        assert phone.closed is None
        phone.hang_up()  # what Twilio's `stop` looks like when it has moved the call

    report, phone = held(story)
    assert phone.directory.asked_for_humans == ["Asha asked for it."]
    last_frame_s, asked_s = heard_until_s
    assert last_frame_s < asked_s < last_frame_s + 0.6
    assert phone.directory.states[-1].node == "hand_over"
    assert said(report)[-1] == "agent: Please hold."
    assert report.ending is Ending.CALLER_HUNG_UP


def test_a_kind_word_now_and_then_and_the_caller_is_not_answered_meanwhile() -> None:
    async def story(phone: Phone) -> None:
        await asks_for_a_human(phone)
        await phone.wait(2)
        await phone.say("a human")
        phone.press("2")
        await phone.wait(11)
        phone.hang_up()

    report, phone = held(story)
    assert said(report)[2:4] == ["agent: Please hold.", "caller: a human"]
    assert set(said(report)[4:-1]) == {"agent: One moment."}
    assert said(report)[-1] in ("agent: One moment.", "agent: One –")
    assert len(phone.directory.asked_for_humans) == 1
    gaps = [late - early for early, late in pairwise(phone.frames_s)]
    assert max(gaps) <= 4.5


def test_without_a_human_the_conversation_goes_on_where_the_flow_says_and_knows_why() -> None:
    async def story(phone: Phone) -> None:
        await asks_for_a_human(phone)
        await phone.wait(3)
        phone.directory.end_transfer(TransferEnding.BUSY)
        await phone.listen()
        phone.press("2")

    report, _ = held(story)
    assert said(report)[-3:] == [SORRY, "caller: 2", "agent: Goodbye."]
    assert (report.ending, report.result, report.answers["transfer_result"]) == (Ending.REACHED_END, "helped", "busy")


def test_a_transfer_that_is_refused_is_no_dead_end() -> None:
    async def story(phone: Phone) -> None:
        phone.directory.transfer_is_refused = True
        await phone.listen()
        phone.press("1")
        await phone.listen()
        await phone.listen()
        phone.press("2")

    report, _ = held(story)
    assert report.answers["transfer_result"] == "provider_error"
    assert report.result == "helped"


def test_a_transfer_that_is_never_heard_of_is_given_up() -> None:
    async def story(phone: Phone) -> None:
        await asks_for_a_human(phone)
        asked_s = phone.now_s
        await phone.until(lambda: any("transfer_result" in state.answers for state in phone.directory.states))
        assert phone.now_s - asked_s == pytest.approx(60 + 30, abs=2)
        phone.hang_up()

    report, _ = held(story, handed(max_wait_s=60))
    assert report.answers["transfer_result"] == "nobody"


def test_a_call_is_promised_when_the_template_says_so() -> None:
    async def story(phone: Phone) -> None:
        await asks_for_a_human(phone)
        phone.directory.end_transfer(TransferEnding.NO_ANSWER)

    report, _ = held(story, handed(on_failure="callback", callback_after=1800, callback_say="We will call you."))
    assert said(report)[-1] == "agent: Nobody is free. We will call you."
    assert (report.ending, report.result) == (Ending.REACHED_END, "callback")
    assert report.callback_at == report.ended_at + timedelta(minutes=30)


def test_without_a_node_for_it_the_agent_says_goodbye() -> None:
    flow = {
        **FLOW,
        "nodes": {**FLOW["nodes"], "hand_over": {"say": "Please hold.", "then": {"action": "transfer_to_agent"}}},
    }

    async def story(phone: Phone) -> None:
        await asks_for_a_human(phone)
        phone.directory.end_transfer(TransferEnding.CLOSED)

    report, _ = held(story, handed(flow))
    assert said(report)[-1] == "agent: Nobody is free. Goodbye."
    assert report.result == "not_transferred"


def came_back(node: str) -> ConversationState:
    said_before = (Utterance(speaker="agent", text="Please hold.", at_s=1),)
    began_at = BEGINNING - timedelta(minutes=9, seconds=50)
    return ConversationState(node=node, began_at=began_at, transcript=said_before, returned=TransferEnding.BUSY)


def test_a_caller_who_comes_back_on_another_stream_is_not_told_of_an_interruption_and_has_time() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.wait(3)
        phone.press("2")

    report, _ = held(story, handed(resume=came_back("hand_over")))
    assert said(report)[1:] == [SORRY, "caller: 2", "agent: Goodbye."]


def test_after_an_operators_transfer_the_last_question_is_asked_again() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        phone.press("2")

    report, _ = held(story, handed(resume=came_back("ask")))
    assert said(report)[1] == "agent: Nobody is free. Hello Asha. How can I help?"


def test_that_the_caller_is_back_is_remembered_until_the_agent_has_said_something() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(0.5)
        assert phone.directory.states[-1].returned is TransferEnding.BUSY
        await phone.listen()
        phone.press("2")

    _, phone = held(story, handed(resume=came_back("ask")))
    assert phone.directory.states[-1].returned is None


def test_a_conversation_at_its_end_waits_for_an_operators_transfer() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        phone.directory.open_transfer = True
        phone.press("2")
        await phone.wait(8)
        assert phone.closed is None, "the call would be lost to the human"
        phone.hang_up()

    report, _ = held(story)
    assert (report.ending, report.result) == (Ending.REACHED_END, "helped")
    assert said(report)[-1] == "agent: One moment."
