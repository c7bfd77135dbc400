"""The real speech engines: what a caller says, over the telephone's µ-law, is heard and understood.

Callers speak with the same model as the agent at another pace and pitch. `-s` prints what was measured.
"""

import asyncio
import json
import sys
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soxr
import websockets
from websockets.asyncio.client import connect

from breeze_buddy.domain.flow import words_of
from breeze_buddy.domain.providers import Voice
from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import Engines, EngineUnavailable
from breeze_buddy.media.server import STREAM_PATH, MediaServer
from breeze_buddy.media.speech import load_engines
from breeze_buddy.media.speech.hibari_speaker import HibariSpeaker
from breeze_buddy.media.speech.whisper import WhisperTranscriber
from breeze_buddy.settings import Settings
from tests.media.fakes import MemoryDirectory, StreamMessages, call_of, template_of


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    engines = load_engines(Settings())
    yield engines
    engines.close()


@pytest.fixture
def whisper(engines: Engines) -> WhisperTranscriber:
    assert isinstance(engines.transcriber, WhisperTranscriber)
    return engines.transcriber


@pytest.fixture
def speaker(engines: Engines) -> HibariSpeaker:
    assert isinstance(engines.speaker, HibariSpeaker)
    return engines.speaker


def callers_voice(speaker: HibariSpeaker, text: str, *, speed: float = 1.05, pitch: float = 0.9) -> bytes:
    """Somebody else than the agent, as µ-law."""
    pcm = np.frombuffer(mulaw.to_pcm(speaker.render(text, speed / pitch)), "<i2").astype(np.float32)
    lower = soxr.resample(pcm, 8000 * pitch, 8000)
    return mulaw.from_pcm(np.clip(lower, -32000, 32000).astype("<i2").tobytes())


def noise(seconds: float, level: float) -> bytes:
    samples = np.random.default_rng(7).normal(0, level, round(8000 * seconds))
    return mulaw.from_pcm(np.clip(samples, -32000, 32000).astype("<i2").tobytes())


async def _chunks(audio: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(audio), 256):
        yield audio[at : at + 256]


async def judged(engines: Engines, audio: bytes) -> list[float]:
    """The probability of speech in each window."""
    probabilities: list[float] = []
    enough = asyncio.Event()
    windows = len(audio) // 256

    def on_window(probability: float, window: bytes) -> None:
        assert len(window) == 256
        probabilities.append(probability)
        if len(probabilities) == windows:
            enough.set()

    track = engines.voice_activity.track(on_window)
    for at in range(0, len(audio), 160):
        track.push(audio[at : at + 160])
        await asyncio.sleep(0.001)
        # Faster than real time, but not so that windows are given up: that is for a machine that cannot keep up.
        while at // 256 - len(probabilities) > 4:  # noqa: ASYNC110 - the windows tell, not an event
            await asyncio.sleep(0.001)
    async with asyncio.timeout(10):
        await enough.wait()
    track.close()
    return probabilities


async def test_speech_is_told_from_silence_and_noise(engines: Engines, speaker: HibariSpeaker) -> None:
    talk = callers_voice(speaker, "Yes, that is my order, and it should come to the office.")
    for name, sound in (("silence", mulaw.SILENCE * 16000), ("noise", noise(2, 300)), ("loud noise", noise(2, 3000))):
        found = await judged(engines, sound)
        assert max(found) < 0.5, name
    found = await judged(engines, talk)
    voiced = [p for n, p in enumerate(found) if mulaw.level(mulaw.to_pcm(talk[n * 256 : n * 256 + 256])) > 500]
    print(f"\nvoice activity: {100 * sum(p >= 0.5 for p in voiced) / len(voiced):.0f} % of loud windows are speech")
    assert sum(p >= 0.5 for p in voiced) / len(voiced) > 0.9


async def test_streams_judged_together_are_judged_as_if_alone(engines: Engines, speaker: HibariSpeaker) -> None:
    talks = [callers_voice(speaker, text) for text in ("Yes please.", "No, not now.", "Who is this?", "Hello.")]
    alone = [await judged(engines, talk) for talk in talks]
    together = await asyncio.gather(*(judged(engines, talk) for talk in talks))
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=0.02)


SENTENCES = {
    "Yes, that is correct.": "yes that is correct",
    "No, that is not correct.": "no that is not correct",
    "Please call me back tomorrow.": "please call me back tomorrow",
    "One two three four five six.": "1 2 3 4 5 6",
    "Twelve Garden Street, Springfield.": "12 garden street springfield",
    "Yes.": "yes",
    "No.": "no",
    "Do not call me again.": "do not call me again",
    "I would like to speak to a human, please.": "i would like to speak to a human please",
    "Tomorrow at ten in the morning.": "tomorrow at 10 in the morning",
}


def _edits(said: tuple[str, ...], heard: tuple[str, ...]) -> int:
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def test_what_callers_say_is_understood(whisper: WhisperTranscriber, speaker: HibariSpeaker) -> None:
    wrong = words = 0
    cpu_s: list[float] = []
    for speed, pitch in ((0.95, 0.9), (1.1, 1.1)):
        for text, expected in SENTENCES.items():
            sound = callers_voice(speaker, text, speed=speed, pitch=pitch)
            before = time.process_time()
            heard = whisper.recognise([sound])[0]
            cpu_s.append(time.process_time() - before)
            words += len(words_of(expected))
            missed = _edits(words_of(expected), words_of(heard))
            wrong += missed
            if missed:
                print(f"\n  said {text!r}, heard {heard!r}")
    print(
        f"\nrecognition: {1000 * sum(cpu_s) / len(cpu_s):.0f} ms CPU an utterance (most {1000 * max(cpu_s):.0f}), ",
        end="",
    )
    print(f"{wrong} of {words} words wrong")
    assert wrong / words < 0.1


def test_utterances_recognised_together_are_the_same_words(whisper: WhisperTranscriber, speaker: HibariSpeaker) -> None:
    sounds = [callers_voice(speaker, text) for text in list(SENTENCES)[:4]]
    before = time.process_time()
    together = whisper.recognise(sounds)
    print(f"\nrecognition in a batch of 4: {1000 * (time.process_time() - before) / 4:.0f} ms CPU an utterance")
    assert [words_of(text) for text in together] == [words_of(text) for text in list(SENTENCES.values())[:4]]


def test_noise_is_no_word(whisper: WhisperTranscriber) -> None:
    assert whisper.recognise([noise(1.5, 400)]) == [""]
    assert whisper.recognise([mulaw.SILENCE * 8000]) == [""]


async def test_many_callers_are_heard_at_the_same_time(whisper: WhisperTranscriber, speaker: HibariSpeaker) -> None:
    texts = list(SENTENCES)[:6]
    sounds = [callers_voice(speaker, text) for text in texts]

    async def heard(sound: bytes) -> str:
        return " ".join([transcript.text async for transcript in whisper.transcribe(_chunks(sound))])

    results = await asyncio.gather(*(heard(sound) for sound in sounds))
    assert [words_of(result) for result in results] == [words_of(SENTENCES[text]) for text in texts]


async def test_the_first_sentence_is_ready_before_the_rest(speaker: HibariSpeaker) -> None:
    text = "Hello Asha, this is the lamp shop. " + "Your order of two lamps will arrive on the third of March. " * 4
    began = time.perf_counter()
    at_s: list[float] = []
    said: list[str] = []
    sound_s = 0.0
    async for chunk in speaker.speak(text, Voice(speed=1.01)):
        at_s.append(time.perf_counter() - began)
        said.append(chunk.text)
        sound_s += mulaw.duration_s(chunk.audio)
    print(f"\nspeech: first audio after {1000 * at_s[0]:.0f} ms; {sound_s:.1f} s of it after {1000 * at_s[-1]:.0f} ms")
    assert " ".join(said) == text.strip()
    assert len(said) == 5
    assert sound_s > 10


async def test_a_sentence_wanted_by_many_calls_is_made_once(
    speaker: HibariSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    render = speaker.render

    def counted(sentence: str, speed: float) -> bytes:
        made.append(sentence)
        return render(sentence, speed)

    monkeypatch.setattr(speaker, "render", counted)

    async def say() -> list[bytes]:
        return [chunk.audio async for chunk in speaker.speak("Only once, please.", Voice(speed=0.93))]

    sounds = await asyncio.gather(*(say() for _ in range(10)))
    assert made == ["Only once, please."]
    assert all(sound == sounds[0] for sound in sounds)


@pytest.mark.alone
async def test_the_event_loop_goes_on_while_speech_is_worked_on(
    whisper: WhisperTranscriber, speaker: HibariSpeaker
) -> None:
    sounds = [callers_voice(speaker, text) for text in list(SENTENCES)[:8]]
    late_ms: list[float] = []

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s += 0.02
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            late_ms.append(1000 * (loop.time() - due_s))

    watching = asyncio.create_task(watch())

    async def heard(sound: bytes) -> None:
        async for _ in whisper.transcribe(_chunks(sound)):
            pass

    async def spoken(number: int) -> None:
        async for _ in speaker.speak(f"This is the sentence with the number {number}, said for nobody.", Voice()):
            pass

    await asyncio.gather(*(heard(sound) for sound in sounds), *(spoken(number) for number in range(20)))
    watching.cancel()
    late_ms.sort()
    print(f"\nevent loop under speech work: 20 ms ticks late by {late_ms[len(late_ms) // 2]:.1f} ms (median), ", end="")
    print(f"{late_ms[-1]:.1f} ms (most of {len(late_ms)})")
    assert len(late_ms) >= 10
    # Were a model run on the loop itself, most ticks would wait for it.
    assert late_ms[len(late_ms) // 2] < 20


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="WHISPER_MODEL"):
        load_engines(Settings(whisper_model=Path("/nowhere/whisper")))


def test_without_the_speech_packages_the_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "breeze_buddy.media.speech.whisper", None)
    with pytest.raises(EngineUnavailable, match=r"breeze-buddy\[speech\]"):
        load_engines(Settings())


class RealTimeCaller:
    """A caller and Twilio on a real socket: plays what comes at its own pace, returns marks, speaks in turn."""

    def __init__(self, speaker: HibariSpeaker, token: str, *script: str) -> None:
        self._token = token
        self._turns = [callers_voice(speaker, text) for text in script]
        self._messages = StreamMessages()
        self._buffer_until_s = 0.0
        self._agent_spoke = False
        self._marks: list[tuple[float, str]] = []
        self.answer_gaps_s: list[float] = []

    async def call(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        async with connect(url) as socket:
            await socket.send(self._messages.connected())
            await socket.send(self._messages.start(self._token))
            reading = asyncio.create_task(self._read(socket))
            line, due_s, self._spoke_until_s = b"", loop.time(), 0.0
            while not reading.done():
                if not line and self._turns and self._agent_spoke and self._buffer_until_s + 0.3 < due_s:
                    line, self._agent_spoke = self._turns.pop(0), False
                    self._spoke_until_s = due_s + mulaw.duration_s(line)
                frame, line = line[:160], line[160:]
                while self._marks and self._marks[0][0] <= due_s:
                    await self._send(socket, self._messages.mark(self._marks.pop(0)[1]))
                await self._send(socket, self._messages.media(frame.ljust(160, mulaw.SILENCE)))
                due_s += 0.02
                await asyncio.sleep(max(0.0, due_s - loop.time()))

    async def _send(self, socket: websockets.ClientConnection, message: str) -> None:
        try:
            await socket.send(message)
        except websockets.ConnectionClosed:
            return

    async def _read(self, socket: websockets.ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        async for text in socket:
            event, now = json.loads(text), loop.time()
            if event["event"] == "media":
                if not self._agent_spoke and self._spoke_until_s:
                    self.answer_gaps_s.append(now - self._spoke_until_s)
                self._agent_spoke = True
                seconds = mulaw.duration_s(b64decode(event["media"]["payload"]))
                self._buffer_until_s = max(self._buffer_until_s, now) + seconds
            elif event["event"] == "mark":
                self._marks.append((max(self._buffer_until_s, now), event["mark"]["name"]))


@pytest.mark.alone
async def test_a_whole_call_by_voice_over_a_real_socket(engines: Engines, speaker: HibariSpeaker) -> None:
    directory = MemoryDirectory()
    server = MediaServer(directory=directory, engines=engines)
    await server.start()
    callers = [
        RealTimeCaller(speaker, "a", "Yes, that is correct."),
        RealTimeCaller(speaker, "b", "No, that is not correct.", "Twelve Garden Street.", "Seven two nine five."),
        RealTimeCaller(speaker, "c", "Please do not call me again."),
    ]
    for token in "abc":
        directory.expect(replace(call_of(template_of(turns={"end_of_turn_ms": 600})), call_id=f"call-{token}"), token)
    before = time.process_time()
    try:
        async with asyncio.timeout(60):
            url = f"ws://127.0.0.1:{server.port}{STREAM_PATH}"
            await asyncio.gather(*(caller.call(url) for caller in callers))
    finally:
        await server.stop()
    gaps = [gap for caller in callers for gap in caller.answer_gaps_s]
    print(
        f"\nend of speech to first audio of the answer: {', '.join(f'{gap:.2f}' for gap in gaps)} s (0.6 s is waited)"
    )
    print(f"CPU of the whole test, callers included: {time.process_time() - before:.1f} s")
    by_result = {report.result: report for report in directory.reports}
    assert sorted(report.result or "" for report in directory.reports) == ["confirmed", "confirmed", "do_not_call"]
    heard = {words_of(one.text) for report in directory.reports for one in report.transcript if one.speaker == "caller"}
    assert words_of("Yes, that is correct.") in heard
    assert words_of("No, that is not correct.") in heard
    assert words_of("Please do not call me again.") in heard
    answers = [report.answers for report in directory.reports if report.answers]
    assert answers == [{"address": "12 Garden Street", "pin": "7295"}]
    assert by_result["do_not_call"].do_not_call
