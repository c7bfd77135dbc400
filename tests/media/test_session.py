"""Whole conversations in virtual time: fake engines, a fake Twilio, the real session and the real scripted flow."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from breeze_buddy.domain.conversation import ConversationReport, ConversationState, Ending, HalfFilled
from breeze_buddy.media.mulaw import FRAME_S
from breeze_buddy.media.playback import DEFAULT_LEAD_S
from breeze_buddy.media.scripted import APOLOGY
from tests.media.fakes import BEGINNING, WORD_S, MemoryDirectory, Phone, call_of, in_virtual_time, said, template_of

KOLKATA = ZoneInfo("Asia/Kolkata")

GREETING = "agent: Hello Asha. Is your order of two lamps correct?"
CUT = "agent: Hello Asha. Is your order –"  # at 1.6 s
GOODBYE = "agent: Thank you very much. Goodbye."

Story = Callable[[Phone], Coroutine[Any, Any, None]]


def held(story: Story, *, expected: Any = None) -> tuple[ConversationReport, Phone]:
    """The report of a conversation in which the caller does `story`, and the phone it was held on."""

    async def whole() -> tuple[ConversationReport, Phone]:
        directory = MemoryDirectory()
        directory.expect(expected or call_of())
        phone = Phone(directory)
        await phone.answer()
        await story(phone)
        return await phone.ended(), phone

    return in_virtual_time(whole)


def test_the_agent_greets_at_once_and_the_flow_runs_to_its_end() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("yes that is right")

    report, phone = held(story)
    assert phone.frames_s[0] < 0.1
    assert said(report) == [GREETING, "caller: yes that is right", GOODBYE]
    assert (report.ending, report.result) == (Ending.REACHED_END, "confirmed")
    assert phone.closed == (1000, "reached_end")


def test_the_socket_closes_only_when_the_last_word_was_heard() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("yes")

    report, phone = held(story)
    last = phone.frames_s[-1]
    assert (report.ended_at - BEGINNING).total_seconds() >= last + 0.02


def test_who_hangs_up_in_mid_sentence_leaves_nothing_behind() -> None:
    async def whole() -> list[str]:
        directory = MemoryDirectory()
        directory.expect(call_of())
        phone = Phone(directory)
        await phone.answer()
        await phone.listen()
        speaking = asyncio.create_task(phone.say("yes that is right"))
        await phone.wait(0.5)
        phone.hang_up()
        await phone.ended()
        await speaking
        await phone.wait(1)
        return [str(task.get_coro()) for task in asyncio.all_tasks() - {asyncio.current_task()}]

    assert in_virtual_time(whole) == []


def test_frames_are_20_ms_apart_after_the_lead() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        phone.hang_up()

    _, phone = held(story)
    lead = round(DEFAULT_LEAD_S / 0.02)
    first = phone.frames_s[0]
    assert all(at == pytest.approx(first, abs=0.001) for at in phone.frames_s[:lead])
    late = [at - (first + (n - lead) * 0.02) for n, at in enumerate(phone.frames_s) if n >= lead + 15]
    assert max(late) <= 0.021 + 0.02
    assert max(late) - min(late) < 0.021  # no drift


def test_a_caller_who_interrupts_is_listened_to_and_the_transcript_keeps_what_was_heard() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)  # "Hello Asha." took 0.6 s
        await phone.say("yes correct")

    report, phone = held(story)
    assert len(phone.clears_s) == 1
    assert 1.5 < phone.clears_s[0] < 1.5 + 0.35
    assert said(report) == [CUT, "caller: yes correct", GOODBYE]
    assert not [at for at in phone.frames_s if phone.clears_s[0] < at < phone.clears_s[0] + 0.7]


def test_a_caller_who_says_hello_on_picking_up_hears_the_whole_greeting() -> None:
    async def story(phone: Phone) -> None:
        await phone.say("hello yes")
        await phone.listen()
        await phone.say("correct")

    report, phone = held(story)
    assert phone.clears_s == []
    assert said(report) == ["caller: hello yes", GREETING, "caller: correct", GOODBYE]


def test_an_interruption_that_makes_no_sense_has_the_question_said_again() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        await phone.say("who is this")
        await phone.listen()
        await phone.say("yes")

    report, _ = held(story)
    assert said(report) == [CUT, "caller: who is this", GREETING, "caller: yes", GOODBYE]


@pytest.mark.parametrize("words", ["", "Mm-hm.", "okay, I see"])
def test_after_a_cough_or_a_word_of_listening_the_agent_goes_on_with_the_word_at_which_it_was_cut(words: str) -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        await phone.make_sound(phone.sounds.sound_of(words) if words else b"\xf0" * 160 * 15)
        await phone.listen()
        await phone.say("correct")

    report, phone = held(story)
    assert len(phone.clears_s) == 1
    heard = [f"caller: {words}"] if words else []
    assert said(report) == [*heard, GREETING, "caller: correct", GOODBYE]
    # The greeting has nine words: what was sent before the cut was not sent again, but for the word that was cut.
    greeting_s = [at for at in phone.frames_s if at < phone.now_s - 2.2]
    assert 9 * WORD_S <= len(greeting_s) * FRAME_S < 9 * WORD_S + 2 * WORD_S + DEFAULT_LEAD_S
    assert report.figures is not None
    assert (report.figures.interruptions, report.figures.false_interruptions) == (0, 1)


def test_okay_is_an_answer_when_the_agent_has_asked() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("okay")

    flow = {
        "nodes": {
            "start": {
                "say": "Two lamps: is that right?",
                "functions": [{"name": "a", "phrases": ["okay"], "go": "bye"}],
            },
            "bye": {"say": "Bye.", "then": {"action": "end_conversation", "result": "agreed"}},
        }
    }
    report, _ = held(story, expected=call_of(template_of(flow)))
    assert report.result == "agreed"


def test_words_of_a_templates_own_language_do_not_interrupt_either() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        await phone.say("of course")
        await phone.listen()
        await phone.say("correct")

    own = {"back_channels": {"en": ["of course"]}}
    report, _ = held(story, expected=call_of(template_of(turns=own)))
    assert said(report) == ["caller: of course", GREETING, "caller: correct", GOODBYE]


def test_with_a_minimum_length_short_speech_does_not_interrupt_and_long_speech_does() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.3)
        await phone.say("yes")  # 0.4 s
        await phone.wait(0.9)
        began_s.append(phone.now_s)
        await phone.say("that is not what I have ordered")

    began_s: list[float] = []
    flow = {
        "nodes": {
            "start": {"say": "One two three four five six seven eight nine ten eleven twelve.", "functions": [
                {"name": "a", "phrases": ["not"], "go": "bye"}, {"name": "b", "phrases": ["yes"], "go": "bye"}]},
            "bye": {"say": "Bye.", "then": {"action": "end_conversation"}},
        }
    }  # fmt: skip
    report, phone = held(story, expected=call_of(template_of(flow, turns={"barge_in_min_ms": 600})))
    assert phone.clears_s == [pytest.approx(began_s[0] + 0.6, abs=0.05)]
    assert said(report)[0] == "caller: yes"
    assert said(report)[1].startswith("agent: One two three")
    assert said(report)[1].endswith("–")


def test_who_says_nothing_again_and_again_is_hung_up_on_whatever_the_flow_says() -> None:
    async def story(phone: Phone) -> None:
        return

    flow = {"nodes": {"start": {"say": "Tell me.", "functions": [{"name": "a", "phrases": ["x"], "go": "start"}],
                                "max_reprompts": 1, "otherwise": "start"}}}  # fmt: skip
    report, _ = held(story, expected=call_of(template_of(flow, turns={"max_silences": 4, "no_input_s": 3})))
    assert report.ending is Ending.NO_INPUT
    assert said(report) == ["agent: Tell me."] * 5 + ["agent: I cannot hear you. Goodbye."]
    assert report.figures is not None
    assert report.figures.silences == 5


def test_a_template_without_barge_in_is_heard_to_its_end() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        await phone.say("no")
        await phone.listen()
        await phone.say("yes")

    report, phone = held(story, expected=call_of(template_of(turns={"barge_in": False})))
    assert phone.clears_s == []
    assert said(report) == ["caller: no", GREETING, "caller: yes", GOODBYE]


def test_the_last_message_cannot_be_interrupted() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("yes")
        await phone.until(lambda: len(phone.frames_s) >= 185)
        await phone.say("oh wait")

    report, phone = held(story)
    assert phone.clears_s == []
    assert said(report)[-1] == GOODBYE


def test_a_key_answers_in_the_middle_of_the_question() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        phone.press("1")

    report, phone = held(story)
    assert phone.clears_s == [pytest.approx(1.5, abs=0.03)]
    assert said(report)[1:] == ["caller: 1", GOODBYE]
    assert report.transcript[1].digits


def test_digits_are_taken_by_their_number_and_read_back_one_by_one() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        phone.press("2")
        await phone.listen()
        await phone.say("12 Garden Street.")
        await phone.listen()
        phone.press("56")
        await phone.wait(1.0)
        phone.press("78")

    report, _ = held(story)
    assert report.answers == {"address": "12 Garden Street", "pin": "5678"}
    assert "I noted 12 Garden Street, 5 6 7 8." in said(report)[-1]


def test_a_number_spoken_with_a_breath_in_it_is_put_together() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        phone.press("2")
        await phone.listen()
        await phone.say("Garden Street")
        await phone.listen()
        await phone.say("five six")
        await phone.wait(1.2)
        await phone.say("seven eight")

    report, _ = held(story)
    assert report.answers["pin"] == "5678"


def test_silence_is_prompted_and_then_the_call_ends() -> None:
    async def story(phone: Phone) -> None:
        return

    report, phone = held(story)
    assert report.ending is Ending.NO_INPUT
    assert said(report) == [
        GREETING,
        "agent: Please say yes or no.",
        "agent: Please say yes or no.",
        "agent: I could not understand you. Goodbye.",
    ]
    assert 3 * 6.0 < phone.now_s < 3 * 6.0 + 15


def test_silence_is_not_prompted_while_the_caller_speaks() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.wait(5.0)  # five of six seconds
        await phone.say("well let me see now I think that yes it is all quite correct")

    report, _ = held(story)
    assert [one.speaker for one in report.transcript] == ["agent", "caller", "agent"]


def test_what_is_not_understood_is_asked_again() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("the weather is fine")
        await phone.listen()
        await phone.say("yes")

    report, _ = held(story)
    assert said(report)[2] == "agent: Please say yes or no."
    assert report.result == "confirmed"


def test_a_recogniser_that_fails_costs_the_caller_one_prompt() -> None:
    async def story(phone: Phone) -> None:
        phone.sounds.failures = 1
        await phone.listen()
        await phone.say("yes")
        await phone.listen()
        await phone.say("yes")

    report, _ = held(story)
    assert said(report) == [GREETING, "agent: Please say yes or no.", "caller: yes", GOODBYE]


def test_a_recogniser_that_never_answers_does_not_leave_the_caller_in_silence() -> None:
    async def story(phone: Phone) -> None:
        phone.sounds.takes_s = 10_000
        await phone.wait(1.5)
        await phone.say("yes")
        await phone.listen()
        phone.press("1")

    report, _ = held(story)
    assert said(report) == [GREETING, "caller: 1", GOODBYE]


def test_a_call_at_its_longest_is_ended_politely_and_in_time() -> None:
    async def story(phone: Phone) -> None:
        while not phone.over.is_set():
            await phone.say("hm")
            await phone.listen()

    template = template_of(
        {"nodes": {"start": {"say": "Tell me.", "functions": [{"name": "a", "phrases": ["x"], "go": "start"}],
                             "max_reprompts": 10}}},
        max_call_s=20,
    )  # fmt: skip
    report, phone = held(story, expected=call_of(template))
    assert report.ending is Ending.TOO_LONG
    assert said(report)[-1] == "agent: I am sorry, our time is up. Goodbye."
    assert phone.now_s < 20


def test_a_caller_who_hangs_up_is_reported_with_what_was_heard() -> None:
    async def story(phone: Phone) -> None:
        await phone.wait(1.5)
        phone.hang_up()

    report, _ = held(story)
    assert report.ending is Ending.CALLER_HUNG_UP
    assert said(report) == [CUT]


def test_hanging_up_during_the_goodbye_keeps_what_was_agreed() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("please do not call")
        await phone.until(lambda: len(phone.frames_s) >= 185)
        phone.hang_up()

    report, _ = held(story)
    assert report.do_not_call
    assert (report.ending, report.result) == (Ending.REACHED_END, "do_not_call")
    assert said(report)[-1].endswith("–")


def test_a_promised_callback_has_a_time() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("can you call me later")

    report, _ = held(story)
    assert report.callback_at == report.ended_at + timedelta(hours=1)


@pytest.mark.parametrize(("answer", "hour"), [("tomorrow at five", 17), ("I am not sure", 9)])
def test_the_time_that_the_caller_says_is_promised_on_their_own_clock(answer: str, hour: int) -> None:
    flow = {
        "nodes": {
            "start": {"say": "When shall we call again?", "capture": {"name": "when", "go": "bye"}},
            "bye": {
                "say": "Until then.",
                "then": {"action": "schedule_callback", "said": "when", "at": "09:00", "days_ahead": 1},
            },
        }
    }

    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say(answer)

    report, _ = held(story, expected=call_of(template_of(flow), zone=KOLKATA))
    assert report.callback_at is not None
    local, now = report.callback_at.astimezone(KOLKATA), report.ended_at.astimezone(KOLKATA)
    assert (local.date() - now.date(), local.hour, local.minute) == (timedelta(days=1), hour, 0)


def test_marks_that_never_come_back_do_not_hold_up_the_call() -> None:
    async def story(phone: Phone) -> None:
        phone.returns_marks = False
        await phone.wait(8)
        await phone.say("yes")

    report, _ = held(story)
    assert report.result == "confirmed"


def test_the_report_is_handed_in_once_even_when_the_database_is_away_for_a_while() -> None:
    async def story(phone: Phone) -> None:
        phone.directory.failing_reports = 3
        phone.hang_up()

    report, phone = held(story)
    assert phone.directory.reports == [report]


def test_the_line_is_closed_although_the_report_cannot_be_handed_in(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> Phone:
        directory = MemoryDirectory()
        directory.expect(call_of())
        directory.failing_reports = 1000
        phone = Phone(directory)
        await phone.answer()
        await phone.listen()
        await phone.say("yes")
        await phone.over.wait()
        assert directory.reports == []
        for report in phone.background:
            assert not await report
        return phone

    phone = in_virtual_time(whole)
    assert phone.closed == (1000, "reached_end")
    assert "its report is lost" in caplog.text


def test_a_conversation_goes_on_elsewhere_with_an_apology_and_the_last_question() -> None:
    async def whole() -> tuple[list[ConversationState], ConversationReport]:
        directory = MemoryDirectory()
        directory.expect(call_of())
        first = Phone(directory)
        await first.answer()
        await first.listen()
        await first.say("no")
        await first.listen()
        await first.crash()
        assert directory.reports == []
        states = list(directory.states)

        directory.expect(call_of(resume=states[-1]))
        second = Phone(directory)
        await second.answer()
        await second.listen()
        await second.say("Garden Street")
        await second.listen()
        second.press("5678")
        return states, await second.ended()

    states, report = in_virtual_time(whole)
    assert [state.node for state in (states[0], states[-1])] == ["ask", "address"]
    assert said(report)[:4] == [
        GREETING,
        "caller: no",
        f"agent: {APOLOGY} What is the new address?",
        "caller: Garden Street",
    ]
    assert report.began_at == states[0].began_at
    assert report.answers == {"address": "Garden Street", "pin": "5678"}


CODE = {"say": "Please key in your code.", "capture": {"name": "code", "kind": "digits", "length": 4, "go": "again"}}
AGAIN = {"say": "And once more?", "functions": [{"name": "same", "digits": "1234", "go": "bye"}]}
TWICE = {
    "nodes": {
        "start": CODE,
        "again": AGAIN,
        "bye": {"say": "Goodbye.", "then": {"action": "end_conversation", "result": "noted"}},
    }
}


async def press_slowly(phone: Phone, keys: str) -> None:
    for key in keys:
        phone.press(key)
        await phone.wait(0.4)


@pytest.mark.parametrize("node", ["start", "again"])
def test_the_end_of_a_number_whose_beginning_was_lost_is_not_taken_for_another_number(node: str) -> None:
    async def story(phone: Phone) -> None:
        await press_slowly(phone, "234")  # the first key was pressed when the media server died
        await phone.listen()
        await press_slowly(phone, "1234")
        if node == "start":
            await phone.listen()
            await press_slowly(phone, "1234")

    state = ConversationState(node=node, transcript=(), began_at=BEGINNING, answers={"code": "1234"})
    report, phone = held(story, expected=call_of(template_of(TWICE), resume=state))
    question = {"start": "Please key in your code.", "again": "And once more?"}[node]
    assert said(report)[:2] == [f"agent: {APOLOGY} {question}", "caller: 1234"]
    assert (report.ending, report.result, report.answers) == (Ending.REACHED_END, "noted", {"code": "1234"})
    assert phone.clears_s == [], "the question is said to its end"


def test_a_wrong_code_is_one_answer_and_not_as_many_as_it_has_keys() -> None:
    async def story(phone: Phone) -> None:
        await phone.listen()
        await press_slowly(phone, "234")
        await phone.listen()
        await press_slowly(phone, "4321")
        await phone.listen()
        await press_slowly(phone, "1234")

    flow = {**TWICE, "start": "again"}
    report, _ = held(story, expected=call_of(template_of(flow)))
    assert [line for line in said(report) if line.startswith("caller")] == [
        "caller: 234",
        "caller: 4321",
        "caller: 1234",
    ]
    assert report.result == "noted"


def test_what_was_given_for_a_function_is_not_asked_for_again_elsewhere() -> None:
    day = {"name": "day", "type": "enum", "values": ["Monday", "Friday"], "ask": "Which day?"}
    wrapped = {"name": "wrapped", "type": "boolean", "ask": "Shall we wrap it on {day}?"}
    signed = {"name": "signed", "type": "boolean", "ask": "Will somebody sign?"}
    move = {"name": "move", "phrases": ["move it"], "parameters": [day, wrapped, signed], "go": "bye"}
    bye = {"say": "{day}, {wrapped}, {signed}.", "then": {"action": "end_conversation"}}
    flow = {"nodes": {"start": {"say": "When shall we come to you?", "functions": [move]}, "bye": bye}}

    async def whole() -> tuple[ConversationState, ConversationReport]:
        directory = MemoryDirectory()
        directory.expect(call_of(template_of(flow)))
        first = Phone(directory)
        await first.answer()
        await first.listen()
        await first.say("move it to friday")
        await first.listen()
        await first.say("yes")
        await first.listen()
        await first.crash()
        state = ConversationState.model_validate_json(directory.states[-1].model_dump_json())

        directory.expect(call_of(template_of(flow), resume=state))
        second = Phone(directory)
        await second.answer()
        await second.listen()
        await second.say("no")
        return state, await second.ended()

    state, report = in_virtual_time(whole)
    assert state.filling == HalfFilled(function="move", found={"day": "Friday", "wrapped": "yes"})
    assert said(report)[-3:] == [f"agent: {APOLOGY} Will somebody sign?", "caller: no", "agent: Friday, yes, no."]
    assert report.answers == {"day": "Friday", "wrapped": "yes", "signed": "no"}


def test_a_request_not_to_be_called_is_kept_before_the_goodbye_has_been_heard() -> None:
    async def whole() -> list[ConversationState]:
        directory = MemoryDirectory()
        directory.expect(call_of())
        phone = Phone(directory)
        await phone.answer()
        await phone.listen()
        await phone.say("do not call me again")
        spoken = len(phone.frames_s)
        await phone.until(lambda: len(phone.frames_s) > spoken + 30)
        await phone.crash()
        assert directory.reports == []
        return directory.states

    states = in_virtual_time(whole)
    assert [state.do_not_call for state in (states[0], states[-1])] == [False, True]


def test_a_failure_of_ours_leaves_the_call_to_be_resumed_and_a_second_one_ends_it() -> None:
    async def whole() -> tuple[MemoryDirectory, ConversationReport]:
        directory = MemoryDirectory()
        directory.expect(call_of())
        first = Phone(directory)
        first.speaker.broken = True
        await first.answer()
        with pytest.raises(RuntimeError, match="speech is broken"):
            await first.ended()
        assert directory.reports == []

        state = ConversationState(node="ask", began_at=BEGINNING)
        directory.expect(call_of(resume=state))
        second = Phone(directory)
        second.speaker.broken = True
        await second.answer()
        return directory, await second.ended()

    _, report = in_virtual_time(whole)
    assert report.ending is Ending.LOST


@pytest.mark.parametrize("token", [None, "forged"])
def test_a_stream_without_a_valid_token_is_closed(token: str | None) -> None:
    async def whole() -> tuple[int, str] | None:
        phone = Phone(MemoryDirectory())
        await phone.answer(token)
        await phone.over.wait()
        assert phone.frames_s == []
        return phone.closed

    closed = in_virtual_time(whole)
    assert closed is not None
    assert closed[0] == 1008


def test_a_socket_that_never_starts_a_stream_is_closed_after_seconds() -> None:
    async def whole() -> float:
        phone = Phone(MemoryDirectory())
        await phone.session.run()
        assert phone.closed is not None
        return phone.now_s

    assert in_virtual_time(whole) == pytest.approx(5.0, abs=0.1)


def test_a_recogniser_that_fails_while_the_caller_speaks_is_a_noise_and_the_agent_goes_on() -> None:
    async def story(phone: Phone) -> None:
        phone.sounds.early_failures = 1
        await phone.wait(1.5)
        await phone.say("please wait a moment")  # into the question
        await phone.listen()
        await phone.say("yes")

    report, _ = held(story)
    assert said(report)[-2:] == ["caller: yes", GOODBYE]
    assert report.ending is Ending.REACHED_END
