"""Card numbers: nothing of them is recorded, kept or logged, and they are not asked for when that cannot be had."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import ValidationError

from breeze_buddy.domain.conversation import ConversationReport, ConversationState, Ending
from tests.media.fakes import BEGINNING, MemoryDirectory, Phone, call_of, in_virtual_time, said, template_of

CARD = "4242424242424242"
CARD_FLOW: dict[str, Any] = {
    "start": "ask",
    "nodes": {
        "ask": {
            "say": "Do you pay by card?",
            "functions": [
                {"name": "yes", "phrases": ["yes"], "digits": "1", "go": "card"},
                {"name": "no", "phrases": ["no"], "go": "later"},
            ],
        },
        "card": {
            "say": "What is your card number?",
            "reprompt": "Sixteen digits please.",
            "sensitive": True,
            "capture": {"name": "card", "kind": "digits", "length": 16, "go": "code"},
            "functions": [{"name": "refuse", "phrases": ["I would rather not"], "go": "later"}],
            "otherwise": "later",
        },
        "code": {
            "say": "And the three digits on its back?",
            "sensitive": True,
            "capture": {"name": "code", "kind": "digits", "length": 3, "go": "thanks"},
        },
        "thanks": {"say": "I have the card ending in {card}.", "go": "anything"},
        "anything": {"say": "Anything else?", "capture": {"name": "anything", "go": "bye"}},
        "later": {"say": "You can pay later.", "then": {"action": "end_conversation", "result": "later"}},
        "bye": {"say": "Thank you. Goodbye.", "then": {"action": "end_conversation", "result": "paid"}},
    },
}

Story = Callable[[Phone], Coroutine[Any, Any, None]]


def held(story: Story, *, expected: Any = None) -> tuple[ConversationReport, Phone]:
    async def whole() -> tuple[ConversationReport, Phone]:
        directory = MemoryDirectory()
        directory.expect(expected or call_of(template_of(CARD_FLOW)))
        phone = Phone(directory)
        await phone.answer()
        await story(phone)
        report = await phone.ended()
        for task in phone.background:
            await task
        return report, phone

    return in_virtual_time(whole)


def changes(phone: Phone) -> list[str]:
    return [status for _, status in phone.directory.recording.changes]


async def pays(phone: Phone, *, hears: list[bool] | None = None) -> None:
    """The whole way, by keys; `hears` gets whether the recording heard each number, and what came after."""
    hears = hears if hears is not None else []
    tape = phone.directory.recording
    await phone.listen()
    await phone.say("yes")
    await phone.listen()
    hears.append(tape.hears(phone.now_s + 1000))
    phone.press(CARD)
    hears.append(tape.hears(phone.now_s + 1000))
    await phone.listen()
    phone.press("737")
    hears.append(tape.hears(phone.now_s + 1000))
    await phone.listen()
    hears.append(tape.hears(phone.now_s + 1000))
    await phone.say("no thank you")


def test_the_recording_is_silent_from_before_the_question_until_the_last_sensitive_node_is_left() -> None:
    hears: list[bool] = []

    async def story(phone: Phone) -> None:
        await pays(phone, hears=hears)

    report, phone = held(story)
    assert hears == [False, False, False, True]
    assert changes(phone) == ["paused", "recording"]
    assert (report.ending, report.result) == (Ending.REACHED_END, "paid")


def test_what_is_pressed_is_kept_nowhere_but_for_four_digits_of_a_card() -> None:
    report, phone = held(pays)
    assert report.answers == {"card": "•••4242", "code": "•••", "anything": "no thank you"}
    assert [one.text for one in report.transcript if one.digits] == ["•••", "•••"]
    assert "agent: I have the card ending in 4 2 4 2. Anything else?" in said(report)
    everything = report.model_dump_json() + "".join(state.model_dump_json() for state in phone.directory.states)
    assert "42424" not in everything
    assert "737" not in everything


def test_what_is_said_is_kept_nowhere_either() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("yes")
        await phone.listen()
        await phone.say("four two four two four two four two")
        await phone.wait(1.2)
        await phone.say("four two four two four two four two")
        await phone.listen()
        await phone.say("seven three seven")
        await phone.listen()
        await phone.say("no thank you")

    report, phone = held(story)
    assert report.answers["card"] == "•••4242"
    assert report.answers["code"] == "•••"
    everything = report.model_dump_json() + "".join(state.model_dump_json() for state in phone.directory.states)
    assert "four two" not in everything
    assert "seven" not in everything


def test_a_number_that_is_half_said_and_then_pressed_leaks_nothing_into_the_next_question() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("yes")
        await phone.listen()
        phone.press(CARD)
        await phone.listen()
        phone.sounds.takes_s = 1.5  # what is said is understood only when the keys have been taken
        await phone.say("seven three seven")
        phone.press("737#")
        await phone.listen()
        phone.sounds.takes_s = 0.1
        await phone.say("no thank you")

    report, _ = held(story)
    assert report.answers["anything"] == "no thank you"
    assert "caller: •••" in said(report)
    assert not [line for line in said(report) if "seven" in line or "#" in line]


def test_the_caller_hears_a_short_line_while_the_recording_is_being_paused_and_no_long_silence() -> None:
    async def story(phone: Phone) -> None:
        phone.directory.recording.takes_s = 1.8
        await pays(phone)

    report, phone = held(story)
    assert "agent: One moment, please. What is your card number?" in said(report)
    paused_s = phone.directory.recording.changes[0][0] - 1000
    asked = [at for at in phone.frames_s if at >= paused_s]
    before = [at for at in phone.frames_s if at < paused_s]
    assert asked[0] - paused_s < 0.05, "the question comes as soon as it may"
    assert asked[0] - before[-1] < 1.2


def test_a_failing_pause_is_asked_again() -> None:
    async def story(phone: Phone) -> None:
        phone.directory.recording.failing_pauses = 2
        await pays(phone)

    report, _ = held(story)
    assert report.result == "paid"


@pytest.mark.parametrize("takes_s", [0.1, 60.0])
def test_without_a_pause_the_number_is_not_asked_for(takes_s: float) -> None:
    async def story(phone: Phone) -> None:
        phone.directory.recording.failing_pauses = 1000
        phone.directory.recording.takes_s = takes_s
        await phone.listen()
        await phone.say("yes")
        await phone.wait(1.5)
        phone.press(CARD)

    report, phone = held(story)
    assert said(report)[-1] == (
        "agent: One moment, please. I am sorry, I cannot take that safely at the moment. You can pay later."
    )
    assert (report.result, report.answers) == ("later", {})
    assert CARD not in report.model_dump_json()
    assert changes(phone) == ["recording"]


def test_without_a_pause_and_without_another_way_the_call_ends_as_lost() -> None:
    flow = {**CARD_FLOW, "nodes": {**CARD_FLOW["nodes"]}}
    flow["nodes"]["ask"] = {**flow["nodes"]["ask"], "functions": [{"name": "y", "phrases": ["yes"], "go": "code"}]}

    async def refused(phone: Phone) -> None:
        phone.directory.recording.failing_pauses = 1000
        await phone.listen()
        await phone.say("yes")

    report, _ = held(refused, expected=call_of(template_of(flow)))
    assert report.ending is Ending.LOST
    assert said(report)[-1].endswith("I cannot take that safely at the moment.")


def test_who_refuses_is_recorded_again() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("yes")
        await phone.listen()
        await phone.say("I would rather not")

    report, phone = held(story)
    assert report.result == "later"
    assert changes(phone) == ["paused", "recording"]


def test_words_before_the_question_are_no_answer() -> None:
    async def story(phone: Phone) -> None:
        phone.directory.recording.takes_s = 1.5
        await phone.listen()
        await phone.say("yes")
        await phone.wait(0.9)
        await phone.say("four two four two")
        await phone.listen()
        phone.press(CARD)
        await phone.listen()
        phone.press("737")
        await phone.listen()
        await phone.say("no thank you")

    report, _ = held(story)
    assert report.answers["card"] == "•••4242"
    assert "four" not in report.model_dump_json()


def test_a_recording_that_does_not_resume_is_asked_for_again() -> None:
    async def story(phone: Phone) -> None:
        phone.directory.recording.failing_resumes = 2
        await pays(phone)

    _, phone = held(story)
    assert changes(phone) == ["paused", "recording"]


def test_a_call_that_is_not_recorded_has_nothing_to_wait_for() -> None:
    report, phone = held(pays, expected=call_of(template_of(CARD_FLOW, record=False)))
    assert changes(phone) == []
    assert "agent: What is your card number?" in said(report)
    assert report.answers["card"] == "•••4242"


def test_a_conversation_that_is_resumed_at_the_number_is_paused_anew_before_it_is_asked() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        phone.press(CARD)
        await phone.listen()
        phone.press("737")
        await phone.listen()
        await phone.say("no thank you")

    state = ConversationState(node="card", began_at=BEGINNING)
    report, phone = held(story, expected=call_of(template_of(CARD_FLOW), resume=state))
    assert changes(phone) == ["paused", "recording"]
    assert report.result == "paid"


def test_a_conversation_that_is_resumed_after_the_number_is_recorded_again() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("no thank you")

    state = ConversationState(node="anything", answers={"card": "•••4242"}, began_at=BEGINNING)
    _, phone = held(story, expected=call_of(template_of(CARD_FLOW), resume=state))
    assert changes(phone) == ["recording"]


def test_a_sensitive_node_has_to_capture_something() -> None:
    with pytest.raises(ValidationError, match="is sensitive and captures nothing"):
        template_of({"nodes": {"start": {"say": "Hm?", "sensitive": True, "then": {"action": "end_conversation"}}}})
