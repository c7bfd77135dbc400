"""A caller for whom no human could be had leaves a message for the team."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import StreamCall
from tests.media.fakes import MemoryDirectory, Phone, call_of, in_virtual_time, said, template_of

FLOW: dict[str, Any] = {
    "start": "ask",
    "nodes": {
        "ask": {"say": "How can I help?", "functions": [{"name": "human", "digits": "1", "go": "hand_over"}]},
        "hand_over": {"say": "Please hold.", "then": {"action": "transfer_to_agent", "failed": "alone"}},
        "alone": {"say": "Anything else?", "functions": [{"name": "no", "digits": "2", "go": "bye"}]},
        "bye": {"say": "Goodbye.", "then": {"action": "end_conversation", "result": "helped"}},
    },
}
POLICY = {
    "agents": ["+14155550199"],
    "on_failure": "voicemail",
    "failed_say": "Nobody is free.",
    "voicemail_say": "Your message please.",
    "voicemail_again_say": "Again please.",
    "voicemail_thanks": "Noted.",
    "voicemail_pause_s": 3,
    "voicemail_longest_s": 20,
}
ASKED = "agent: Nobody is free. Your message please."

Story = Callable[[Phone], Coroutine[Any, Any, None]]


def call(flow: dict[str, Any] = FLOW, **policy: Any) -> StreamCall:
    return call_of(template_of(flow, turns={"no_input_s": 5}, transfer={**POLICY, **policy}))


def left(story: Story, given: StreamCall | None = None, ending: TransferEnding = TransferEnding.BUSY) -> Any:
    """The report of a conversation whose caller does `story` when the message was asked for, and the phone."""

    async def whole() -> tuple[ConversationReport, Phone]:
        directory = MemoryDirectory()
        directory.expect(given or call())
        phone = Phone(directory)
        await phone.answer()
        await phone.listen()
        phone.press("1")
        await phone.until(lambda: bool(directory.asked_for_humans))
        directory.end_transfer(ending)
        await phone.listen()
        await story(phone)
        return await phone.ended(), phone

    return in_virtual_time(whole)


def test_several_sentences_with_pauses_are_one_message() -> None:
    async def story(phone: Phone) -> None:
        await phone.say("this is Asha")
        await phone.wait(2)
        await phone.say("my lamp is broken")
        await phone.wait(2)
        await phone.say("call me")
        over_s.append(phone.now_s)
        await phone.listen()
        thanked_s.append(phone.now_s)

    over_s: list[float] = []
    thanked_s: list[float] = []
    report, _ = left(story)
    assert said(report)[3:] == [
        ASKED,
        "caller: this is Asha",
        "caller: my lamp is broken",
        "caller: call me",
        "agent: Noted.",
    ]
    assert (report.ending, report.result) == (Ending.REACHED_END, "voicemail")
    assert report.answers == {"transfer_result": "busy", "voicemail": "this is Asha my lamp is broken call me"}
    assert 3 <= thanked_s[0] - over_s[0] <= 6


def test_a_key_ends_the_message_at_once_and_its_last_words_are_in_it() -> None:
    async def story(phone: Phone) -> None:
        await phone.say("call me back")
        phone.press("#")
        pressed_s.append(phone.now_s)
        await phone.listen()
        pressed_s.append(phone.now_s)

    pressed_s: list[float] = []
    report, _ = left(story)
    assert report.answers["voicemail"] == "call me back"
    assert report.result == "voicemail"
    assert pressed_s[1] - pressed_s[0] < 1.5, "the pause is not waited for"


def test_who_talks_on_is_stopped_at_the_limit_and_what_was_said_is_kept() -> None:
    async def story(phone: Phone) -> None:
        began_s.append(phone.now_s)
        await phone.say(" ".join(["and"] * 300))  # a minute and a half without a breath
        await phone.until(lambda: phone.closed is not None)

    began_s: list[float] = []
    report, phone = left(story)
    assert report.result == "voicemail"
    assert report.answers["voicemail"].startswith("and and")
    assert said(report)[-1] == "agent: Noted."
    assert phone.frames_s[-1] - began_s[0] == pytest.approx(20, abs=1.5)


def test_who_says_nothing_is_asked_once_more_and_then_let_go() -> None:
    async def story(phone: Phone) -> None:
        await phone.until(lambda: phone.closed is not None)

    report, _ = left(story)
    assert said(report)[3:] == [ASKED, "agent: Again please.", "agent: Goodbye."]
    assert (report.ending, report.result) == (Ending.REACHED_END, "not_transferred")
    assert "voicemail" not in report.answers


def test_who_answers_only_when_asked_again_has_left_a_message() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("it is me")
        await phone.listen()

    report, _ = left(story)
    assert said(report)[3:] == [ASKED, "agent: Again please.", "caller: it is me", "agent: Noted."]
    assert report.answers["voicemail"] == "it is me"


@pytest.mark.parametrize("pause_s", [0.0, 0.3, 1.5])
def test_a_message_is_kept_of_a_caller_who_simply_hangs_up(pause_s: float) -> None:
    async def story(phone: Phone) -> None:
        await phone.say("call me back")
        await phone.wait(pause_s)
        phone.hang_up()

    report, _ = left(story)
    assert (report.ending, report.result) == (Ending.REACHED_END, "voicemail")
    assert report.answers["voicemail"] == "call me back"


def test_who_hangs_up_without_a_word_has_left_no_message() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1)
        phone.hang_up()

    report, _ = left(story)
    assert (report.ending, report.result) == (Ending.CALLER_HUNG_UP, None)
    assert "voicemail" not in report.answers


def test_the_longest_call_does_not_cut_a_message_off() -> None:
    template = template_of(FLOW, max_call_s=30, turns={"no_input_s": 5}, transfer={**POLICY, "voicemail_longest_s": 60})

    async def story(phone: Phone) -> None:
        for _ in range(12):
            await phone.say("and then")
            await phone.wait(2.4)
        await phone.listen()

    report, _ = left(story, call_of(template))
    assert report.answers["voicemail"].count("and then") == 12
    assert report.result == "voicemail"


@pytest.mark.parametrize(
    ("ending", "last"),
    [
        (TransferEnding.CLOSED, ASKED),
        (TransferEnding.BUSY, "agent: Nobody is free. We will call you back."),
        (TransferEnding.NO_ANSWER, "agent: Nobody is free. Anything else?"),
    ],
)
def test_each_kind_of_failure_goes_its_own_way(ending: TransferEnding, last: str) -> None:
    async def story(phone: Phone) -> None:
        phone.hang_up()

    report, _ = left(story, call(on_failure={"closed": "voicemail", "busy": "callback"}), ending)
    assert said(report)[3] == last


def test_an_interrupted_message_is_asked_for_again_on_the_next_stream() -> None:
    async def whole() -> ConversationReport:
        directory = MemoryDirectory()
        directory.expect(call())
        first = Phone(directory)
        await first.answer()
        await first.listen()
        first.press("1")
        await first.until(lambda: bool(directory.asked_for_humans))
        directory.end_transfer(TransferEnding.BUSY)
        await first.listen()
        await first.say("this is lost")
        await first.crash()
        state = directory.states[-1]
        assert (state.node, state.parting, state.answers["transfer_result"]) == ("hand_over", True, "busy")
        directory.expect(call_of(call().template, resume=state), "again")
        second = Phone(directory)
        await second.answer("again")
        await second.listen()
        await second.say("once more then")
        await second.listen()
        assert len(directory.asked_for_humans) == 1, "the team is not rung again"
        return await second.ended()

    report = in_virtual_time(whole)
    assert said(report)[-3:] == [ASKED, "caller: once more then", "agent: Noted."]
    assert report.answers["voicemail"] == "once more then"


def test_a_message_that_interrupts_a_private_question_is_heard_and_recorded() -> None:
    card = {"say": "Your card?", "capture": {"name": "card", "kind": "digits", "go": "bye"}, "sensitive": True}
    flow = {"start": "card", "nodes": {"card": card, "bye": FLOW["nodes"]["bye"]}}

    async def whole() -> tuple[ConversationReport, bool]:
        directory = MemoryDirectory()
        directory.expect(call(flow))
        phone = Phone(directory)
        await phone.answer()
        await phone.listen()
        await phone.listen()
        await phone.crash()  # taken away by an operator's transfer, and back on another stream
        state = directory.states[-1].model_copy(update={"returned": TransferEnding.BUSY})
        directory.expect(call_of(call(flow).template, resume=state), "again")
        again = Phone(directory)
        await again.answer("again")
        await again.listen()
        await again.say("call me back")
        recorded = directory.recording.hears(1000 + 10_000)
        await again.listen()
        return await again.ended(), recorded

    report, recorded = in_virtual_time(whole)
    assert report.answers["voicemail"] == "call me back"
    assert "caller: call me back" in said(report)
    assert recorded
