"""Calls that a machine takes: found out from the sound, the words and Twilio; a message is left after the beep."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.voicemail import said_by_a_machine
from breeze_buddy.media import mulaw
from breeze_buddy.media.answering_machine import GREETING_S, MachineDetector, Sign, ToneDetector
from breeze_buddy.media.scripted import APOLOGY
from tests.media.fakes import MemoryDirectory, Phone, call_of, in_virtual_time, said, template_of

WINDOW_BYTES = 256
MESSAGE = "Hello {name}, please call the lamp shop."
LEFT = "agent: Hello Asha, please call the lamp shop."
TALK = b"\x33"  # not a sound that the recogniser knows
Story = Callable[[Phone], Coroutine[Any, Any, None]]


def tone(*pitches_hz: float, seconds: float = 0.5, amplitude: float = 6000) -> bytes:
    at_s = np.arange(round(seconds * 8000)) / 8000
    wave = sum(amplitude * np.sin(2 * np.pi * pitch_hz * at_s) for pitch_hz in pitches_hz)
    return mulaw.from_pcm(np.asarray(wave).astype("<i2").tobytes())


def silence(seconds: float) -> bytes:
    return mulaw.SILENCE * round(seconds * 8000)


def talk(seconds: float) -> bytes:
    return TALK * round(seconds * 8000)


def beeps_in(sound: bytes) -> list[float]:
    """The seconds at which a beep was found to have ended."""
    detector = ToneDetector()
    starts = range(0, len(sound) - WINDOW_BYTES + 1, WINDOW_BYTES)
    return [at / 8000 for at in starts if detector.step(sound[at : at + WINDOW_BYTES])]


@pytest.mark.parametrize("pitch_hz", [400, 440, 850, 1000, 1400, 2000, 2500])
@pytest.mark.parametrize(("seconds", "amplitude"), [(0.2, 6000), (0.5, 9000), (1.0, 1000)])
def test_a_beep_is_found_when_it_ends(pitch_hz: float, seconds: float, amplitude: float) -> None:
    sound = silence(0.3) + tone(pitch_hz, seconds=seconds, amplitude=amplitude) + silence(0.5)
    assert beeps_in(sound) == [pytest.approx(0.3 + seconds, abs=0.07)]


def test_other_sounds_are_no_beeps() -> None:
    hiss = np.random.default_rng(3).normal(0, 2000, 16_000).astype("<i2").tobytes()
    vowel = tone(*(140.0 * harmonic for harmonic in range(1, 20)), seconds=1.5, amplitude=900)
    for sound in (tone(770, 1336), tone(440, 480), tone(50), tone(1000, seconds=0.06), tone(1000, seconds=6.0),
                  tone(1000, amplitude=80), mulaw.from_pcm(hiss), vowel, silence(1)):  # fmt: skip
        assert beeps_in(silence(0.3) + sound + silence(0.3)) == []


def signs_in(sound: bytes) -> list[Sign]:
    detector = MachineDetector()
    windows = (sound[at : at + WINDOW_BYTES] for at in range(0, len(sound), WINDOW_BYTES))
    return [sign for one in windows if (sign := detector.step(float(one[:1] == TALK), one)) is not None]


@pytest.mark.parametrize(
    ("sound", "signs"),
    [
        (silence(0.5) + talk(GREETING_S + 0.1), [Sign.LONG_GREETING]),
        (talk(2) + silence(0.7) + talk(2) + silence(0.5) + tone(1000) + silence(0.2), [Sign.LONG_GREETING, Sign.BEEP]),
        (talk(1.5) + silence(0.5) + tone(1000) + silence(0.2), [Sign.BEEP]),
        (talk(0.6) + silence(1.5) + talk(9.0), []),  # a person: a hello, and then an answer
        (silence(4.0) + talk(9.0), []),  # an answer to the agent
        (talk(2.5) + silence(3.0), []),
    ],
)  # fmt: skip
def test_a_machine_talks_on_and_a_person_waits(sound: bytes, signs: list[Sign]) -> None:
    assert signs_in(sound) == signs


@pytest.mark.parametrize(
    ("text", "machine"),
    [
        ("Hello. I cannot take your call right now. Please leave a message after the tone.", True),
        ("You have reached the voicemail of Ada.", True),
        ("The person you are calling is not available.", True),
        ("Leave your name and number", True),
        ("Hello?", False),
        ("Yes, I can take your call now.", False),
        ("Please do not leave the parcel at the door.", False),
    ],
)
def test_the_words_of_machines(text: str, machine: bool) -> None:
    assert said_by_a_machine(text) == machine


# --- whole calls ------------------------------------------------------------------------------------------------


def held(story: Story, *, ready: Callable[[MemoryDirectory], None] = lambda _: None, call: dict[str, Any] | None = None,
         **template: Any) -> tuple[ConversationReport, Phone]:  # fmt: skip
    async def whole() -> tuple[ConversationReport, Phone]:
        directory = MemoryDirectory()
        ready(directory)
        directory.expect(call_of(template_of(**template), **(call or {})))
        phone = Phone(directory)
        await phone.answer()
        await story(phone)
        return await phone.ended(), phone

    return in_virtual_time(whole)


LEAVE = {"leave_message": MESSAGE}


def greets_then_beeps(after: float = 0.0) -> Story:
    async def story(phone: Phone) -> None:
        await phone.make_sound(talk(3.0) + silence(0.4) + tone(1000))
        beeped_s.append(phone.now_s)
        await phone.wait(after)

    beeped_s: list[float] = []
    return story


def test_the_message_begins_after_the_beep_and_is_said_to_its_end() -> None:
    beep_s = 3.9
    report, phone = held(greets_then_beeps(), voicemail=LEAVE)
    assert (report.ending, report.result) == (Ending.REACHED_END, "message_left")
    assert said(report)[-1] == LEFT
    after = [at for at in phone.frames_s if at > beep_s]
    assert beep_s + 0.2 < after[0] < beep_s + 0.5
    assert not [at for at in phone.frames_s if beep_s - 0.2 < at < beep_s + 0.2]
    assert (report.ended_at - report.began_at).total_seconds() > after[-1]


def test_a_machine_is_hung_up_on_by_default() -> None:
    report, phone = held(greets_then_beeps())
    assert (report.ending, report.result) == (Ending.VOICEMAIL, None)
    assert phone.now_s < 4.1


def test_a_template_can_go_on_as_with_a_person() -> None:
    report, _ = held(greets_then_beeps(), voicemail="go_on")
    assert report.ending is Ending.NO_INPUT


def test_the_words_of_a_greeting_are_enough_and_without_a_beep_its_silence_is() -> None:
    async def story(phone: Phone) -> None:
        await phone.say("please leave a message after the tone")

    report, _ = held(story, voicemail=LEAVE)
    assert report.result == "message_left"
    assert said(report)[-1] == LEFT


def test_the_agent_is_silent_while_a_long_greeting_goes_on_and_says_the_message_once() -> None:
    async def story(phone: Phone) -> None:
        await phone.make_sound(talk(12.0) + silence(0.4) + tone(850))

    report, phone = held(story, voicemail=LEAVE)
    assert report.result == "message_left"
    assert not [at for at in phone.frames_s if GREETING_S + 0.3 < at < 12.9]


def test_a_beep_that_comes_into_the_message_has_it_said_from_its_beginning() -> None:
    async def story(phone: Phone) -> None:
        await phone.say("please leave a message after the tone")
        await phone.until(lambda: bool(phone.frames_s) and phone.frames_s[-1] > 6.0)
        await phone.make_sound(tone(1000))

    report, _ = held(story, voicemail=LEAVE)
    assert report.result == "message_left"
    assert said(report)[-2].endswith("–")
    assert said(report)[-1] == LEFT


def test_twilios_word_is_enough() -> None:
    def machine(directory: MemoryDirectory) -> None:
        directory.machine = True

    async def story(phone: Phone) -> None:
        await phone.make_sound(talk(1.0))

    report, _ = held(story, ready=machine, voicemail=LEAVE)
    assert (report.result, said(report)[-1]) == ("message_left", LEFT)


def test_a_machine_that_hangs_up_during_the_message_was_not_left_one() -> None:
    async def story(phone: Phone) -> None:
        await greets_then_beeps(after=1.0)(phone)
        phone.hang_up()

    report, _ = held(story, voicemail=LEAVE)
    assert (report.ending, report.result) == (Ending.VOICEMAIL, None)


def test_a_socket_that_breaks_during_the_message_leaves_it_to_the_next_stream() -> None:
    async def story(phone: Phone) -> None:
        await greets_then_beeps(after=1.0)(phone)
        phone.session.lost(broken=True)
        await phone.wait(3.0)
        reported_early.extend(phone.directory.reports)

    reported_early: list[ConversationReport] = []
    report, _ = held(story, voicemail=LEAVE)  # here none comes
    assert reported_early == []
    assert report.ending is Ending.VOICEMAIL


@pytest.mark.parametrize(("call", "template"), [({"inbound": True}, {}), ({}, {"detect_voicemail": False})])
def test_nobody_is_taken_for_a_machine_who_calls_us_or_where_it_is_not_wanted(
    call: dict[str, Any], template: dict[str, Any]
) -> None:
    report, _ = held(greets_then_beeps(), call=call, **template)
    assert report.ending is Ending.NO_INPUT


def resumed(
    until: Callable[[Phone], bool], again: Story, *, before: Story | None = None, machine: bool = False
) -> tuple[ConversationReport, list[float]]:
    """A machine greets and beeps, or does what `before` says; the media server dies when `until` holds, and another one
    goes on, from when `again` is what the machine does. The report, and when the second stream's frames came, in
    seconds from its start."""

    async def whole() -> tuple[ConversationReport, list[float]]:
        directory = MemoryDirectory()
        directory.expect(call_of(template_of(voicemail=LEAVE)))
        first = Phone(directory)
        await first.answer()
        greeting = asyncio.create_task((before or greets_then_beeps())(first))
        await first.until(lambda: until(first) and bool(directory.states))
        await first.wait(0.1)
        await first.crash()
        greeting.cancel()
        assert directory.reports == []
        directory.machine = machine
        directory.expect(call_of(template_of(voicemail=LEAVE), resume=directory.states[-1]), "again")
        second = Phone(directory)
        await second.answer("again")
        await again(second)
        return await second.ended(), second.frames_s

    return in_virtual_time(whole)


async def records(phone: Phone) -> None:
    """The beep is over: the machine takes down what it hears."""


def test_a_message_that_broke_off_is_said_again_from_its_beginning_and_nothing_else_is() -> None:
    report, frames_s = resumed(lambda phone: bool(phone.frames_s) and phone.frames_s[-1] > 5.0, records)
    assert (report.ending, report.result) == (Ending.REACHED_END, "message_left")
    assert said(report)[-1] == LEFT
    assert not [line for line in said(report) if APOLOGY in line]
    assert 0.4 < frames_s[0] < 0.7


def test_a_media_server_that_dies_before_the_beep_leaves_the_waiting_to_the_next() -> None:
    async def beeps(phone: Phone) -> None:
        await phone.make_sound(talk(5.0) + silence(0.4) + tone(1000))

    async def greets(phone: Phone) -> None:
        await phone.make_sound(talk(20.0))

    report, frames_s = resumed(lambda phone: phone.now_s > GREETING_S + 0.3, beeps, before=greets)
    assert report.result == "message_left"
    assert said(report)[-1] == LEFT
    assert frames_s[0] > 5.9


def test_a_machine_that_was_not_found_out_before_is_told_by_its_beep_or_by_twilio() -> None:
    async def beeps(phone: Phone) -> None:
        await phone.make_sound(talk(1.0) + silence(0.4) + tone(1000))

    def early(phone: Phone) -> bool:
        return phone.now_s > 1.0

    for machine, again in ((False, beeps), (True, records)):
        report, _ = resumed(early, again, machine=machine)
        assert (report.result, said(report)[-1]) == ("message_left", LEFT)


def test_a_person_who_goes_on_talking_after_the_break_is_no_machine() -> None:
    async def talks(phone: Phone) -> None:
        await phone.make_sound(talk(GREETING_S + 1.0))
        await phone.listen()
        await phone.say("yes that is correct")

    report, _ = resumed(lambda phone: phone.now_s > 1.0, talks)
    assert report.result == "confirmed"


def test_a_person_who_says_hello_and_then_talks_for_long_is_talked_with() -> None:
    async def story(phone: Phone) -> None:
        await phone.say("hello")
        await phone.listen()
        await phone.say("well let me see now I think that yes it is all quite correct and I am very glad of it")

    report, _ = held(story, voicemail=LEAVE)
    assert report.result == "confirmed"


def test_the_variables_of_the_message_are_asked_of_leads() -> None:
    template = Template.model_validate({**template_of().model_dump(), "voicemail": {"leave_message": "Ring {phone}."}})
    assert "phone" in template.required_variables
