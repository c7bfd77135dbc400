"""Calls with a language model: in virtual time with a model that writes as fast as it is told; and over real sockets
with Deepgram, ElevenLabs and OpenAI as local servers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
import websockets
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect

from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.providers import Llm
from breeze_buddy.media import metrics
from breeze_buddy.media.engines import Engines
from breeze_buddy.media.llm.dialogue import LlmDialogue
from breeze_buddy.media.llm.guided_flow import GuidedDialogue
from breeze_buddy.media.llm.model import Call as ModelCall
from breeze_buddy.media.llm.model import Part, Request, Words
from breeze_buddy.media.mulaw import FRAME_BYTES, FRAME_S, SILENCE
from breeze_buddy.media.providers.choosing import Providers
from breeze_buddy.media.providers.failover import Candidate, Health
from breeze_buddy.media.requests import NoRequests
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.server import STREAM_PATH, MediaServer
from breeze_buddy.settings import Settings
from tests.media.fakes import (
    KnownSounds,
    LoudIsSpeech,
    MemoryDirectory,
    Monotone,
    Phone,
    StreamMessages,
    call_of,
    in_virtual_time,
    said,
    template_of,
)
from tests.media.vendors.deepgram import Deepgram
from tests.media.vendors.elevenlabs import ElevenLabs
from tests.media.vendors.openai_audio import OpenAiAudio
from tests.media.vendors.openai_chat import OpenAiChat, Reply
from tests.media.vendors.openai_realtime import Realtime, Says
from tests.media.vendors.serving import serving

Story = Callable[[Phone], Coroutine[Any, Any, None]]
GREETING = "agent: Hello Asha. Is your order of two lamps correct?"


class Writer:
    """A model that writes its replies piece by piece; a number is a pause in seconds."""

    name = "writer"

    def __init__(self, *replies: list[str | float | ModelCall]) -> None:
        self.replies = list(replies)
        self.asked: list[list[str]] = []

    async def reply(self, request: Request) -> AsyncIterator[Part]:
        self.asked.append([f"{one.role}: {one.text}" for one in request.messages[1:]])
        for piece in self.replies.pop(0):
            if isinstance(piece, str):
                yield Words(piece)
            elif isinstance(piece, ModelCall):
                yield piece
            else:
                await asyncio.sleep(piece)


def held(story: Story, writer: Writer, **llm: Any) -> tuple[ConversationReport, Phone]:
    settings = {"model": "m", **llm}

    async def whole() -> tuple[ConversationReport, Phone]:
        directory = MemoryDirectory()
        directory.expect(call_of(template_of(engine="llm", llm=settings)))
        models = [Candidate(writer, Health("writer"))]
        phone = Phone(directory, dialogue=LlmDialogue(GuidedDialogue(), models, Llm.model_validate(settings)))
        await phone.answer()
        await story(phone)
        return await phone.ended(), phone

    return in_virtual_time(whole)


def test_of_a_sentence_that_was_interrupted_the_model_has_said_what_was_heard() -> None:
    writer = Writer(
        ["They are two big brass lamps with green shades. ", "Is that what you ordered?"],
        [ModelCall("confirm", "{}")],
    )

    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("what did I order")
        await phone.until(lambda: len(phone.frames_s) > 0 and bool(writer.asked))
        await phone.wait(2.5)
        await phone.say("stop that is fine with me")

    report, phone = held(story, writer)
    first, second = writer.asked
    assert first == [f"agent: {GREETING[7:]}", "caller: what did I order"]
    assert second[:2] == first
    assert second[2].startswith("agent: They are two")
    assert second[2].endswith(" –")
    assert "shades" not in second[2]
    assert second[3] == "caller: stop that is fine with me"
    assert len(phone.clears_s) == 1
    assert report.ending is Ending.REACHED_END
    assert report.result == "confirmed"


def test_the_first_words_are_heard_while_the_rest_is_written() -> None:
    writer = Writer(["Two lamps. ", 4.0, "Is that right?"])
    ended: list[float] = []

    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("what did I order")
        ended.append(phone.now_s)
        await phone.wait(7)
        await phone.say("yes")

    report, phone = held(story, writer, timeout_s=10)
    first = min(at for at in phone.frames_s if at > ended[0])
    assert first - ended[0] < 1.2  # the end of the turn is waited for, and the recogniser
    assert "agent: Two lamps. Is that right?" in said(report)


def test_a_slow_model_is_bridged_and_then_the_script_goes_on() -> None:
    writer = Writer([20.0])

    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("hm hm")
        await phone.wait(8)
        await phone.say("yes")

    report, _ = held(story, writer, filler="Let me see.", filler_after_s=1, timeout_s=3)
    assert said(report)[:3] == [GREETING, "caller: hm hm", "agent: Let me see. Please say yes or no."]


def test_when_the_model_began_is_a_figure_of_the_turn_whether_it_spoke_chose_or_was_waited_for() -> None:
    writer = Writer([0.4, "Two lamps. "], [2.5, "Really. "], [0.2, ModelCall("confirm", "{}")])

    async def story(phone: Phone) -> None:
        await phone.listen()
        await phone.say("what did I order")
        await phone.listen()
        await phone.say("is that so")
        await phone.wait(4)
        await phone.say("fine with me")

    def told() -> int:
        lines = metrics.exposition(streams=0, capacity=1, draining=False).decode().splitlines()
        name = "breeze_media_turn_first_token_seconds_count"
        return next(int(one.split()[1]) for one in lines if one.startswith(name))

    before = told()
    report, _ = held(story, writer, filler_after_s=1, timeout_s=5)
    assert told() - before == 3
    assert report.figures is not None
    spoke, waited_for, chose = report.figures.turns
    for turn, after_ms in ((spoke, 400), (waited_for, 2500), (chose, 200)):
        assert turn.first_token_ms == pytest.approx(turn.transcript_ms + after_ms, abs=5)
    for turn in (spoke, chose):
        assert turn.reply_ms == turn.first_token_ms
        assert turn.sent_ms == pytest.approx(turn.first_token_ms + 10, abs=5)
    assert waited_for.reply_ms == pytest.approx(waited_for.transcript_ms + 1000, abs=5)  # the filler


# --- all of it over sockets ---------------------------------------------------------------------------------------


async def play_twilio(socket: ClientConnection, line: "asyncio.Queue[bytes]", heard: "asyncio.Queue[str]") -> None:
    """A frame every 20 ms; marks come back at once, and their number is told."""
    messages = StreamMessages()

    async def speak() -> None:
        await socket.send(messages.connected())
        await socket.send(messages.start())
        while True:
            frame = SILENCE * FRAME_BYTES if line.empty() else line.get_nowait()
            await socket.send(messages.media(frame))
            await asyncio.sleep(FRAME_S)

    speaking = asyncio.create_task(speak())
    try:
        async for text in socket:
            event = json.loads(text)
            if event["event"] == "mark":
                await socket.send(messages.mark(event["mark"]["name"]))
                heard.put_nowait("mark")
            elif event["event"] == "media":
                heard.put_nowait("sound")
    except websockets.ConnectionClosed:
        pass
    finally:
        speaking.cancel()


async def silent_again(heard: "asyncio.Queue[str]") -> None:
    """The agent spoke, and has nothing more to send."""
    await heard.get()
    while True:
        try:
            async with asyncio.timeout(0.6):
                await heard.get()
        except TimeoutError:
            return


async def called(settings: Settings, template: Any, *turns: bytes) -> tuple[ConversationReport, Monotone]:
    """The report of a call over sockets, and the offline voice, which may have been needed."""
    directory = MemoryDirectory()
    directory.expect(call_of(template))
    providers = Providers(settings, NoRequests())
    offline = Monotone()
    engines = Engines(
        voice_activity=LoudIsSpeech(),
        transcriber=KnownSounds(),
        dialogue=ScriptedDialogue(),
        speaker=offline,
        choose=providers.choose,
    )
    server = MediaServer(directory=directory, engines=engines)
    await server.start()
    line, heard = asyncio.Queue[bytes](), asyncio.Queue[str]()
    try:
        async with asyncio.timeout(60), connect(f"ws://127.0.0.1:{server.port}{STREAM_PATH}") as socket:
            playing = asyncio.create_task(play_twilio(socket, line, heard))
            for turn in turns:
                await silent_again(heard)
                for at in range(0, len(turn), FRAME_BYTES):
                    line.put_nowait(turn[at : at + FRAME_BYTES])
            await playing
    finally:
        await server.stop()
        await providers.close()
    (report,) = directory.reports
    return report, offline


async def test_a_call_is_heard_by_deepgram_answered_by_a_model_and_spoken_by_elevenlabs() -> None:
    ears, mouth = Deepgram(), ElevenLabs()
    chat = OpenAiChat([Reply(words=["Two lamps. ", "All right?"]), Reply(calls=[("confirm", {})])])
    async with AsyncExitStack() as stack:
        places = [await stack.enter_async_context(serving(one.app)) for one in (ears, mouth, chat)]
        settings = Settings(
            _env_file=None,
            deepgram_api_key=SecretStr("dg-key"),
            deepgram_base_url=f"ws://{places[0]}",
            elevenlabs_api_key=SecretStr("el-key"),
            elevenlabs_base_url=f"http://{places[1]}",
            openai_api_key=SecretStr("sk-test"),
            openai_base_url=f"http://{places[2]}/v1",
        )
        template = template_of(
            engine="llm",
            llm={"model": "m"},
            voice={"engine": "elevenlabs", "voice": "anna"},
            transcriber={"engine": "deepgram"},
        )
        report, _ = await called(
            settings, template, ears.sound_of("what did I order"), ears.sound_of("that sounds alright")
        )
    assert said(report) == [
        GREETING,
        "caller: what did I order",
        "agent: Two lamps. All right?",
        "caller: that sounds alright",
        "agent: Thank you very much. Goodbye.",
    ]
    assert report.result == "confirmed"
    assert [one["text"] for one in mouth.requests][1:3] == ["Two lamps.", "All right?"]
    assert ears.audio_words == [["what", "did", "I", "order", "that", "sounds", "alright"]]


async def test_a_voice_that_fails_in_mid_call_and_has_no_fallback_is_replaced_by_the_offline_one() -> None:
    mouth = ElevenLabs(refusals=[500] * 9)
    async with serving(mouth.app) as place:
        settings = Settings(
            _env_file=None, elevenlabs_api_key=SecretStr("el-key"), elevenlabs_base_url=f"http://{place}"
        )
        flow = {"start": "bye", "nodes": {"bye": {"say": "Goodbye.", "then": {"action": "end_conversation"}}}}
        report, _ = await called(settings, template_of(flow, voice={"engine": "elevenlabs", "voice": "anna"}))
    assert said(report) == ["agent: Goodbye."]
    assert len(mouth.refusals) == 8


async def test_a_call_is_held_speech_to_speech() -> None:
    vendor = Realtime(replies=[Says("Two lamps."), Says("", [("confirm", {})])])
    async with serving(vendor.app) as place:
        settings = Settings(_env_file=None, openai_api_key=SecretStr("sk-test"), openai_base_url=f"http://{place}/v1")
        template = template_of(engine="realtime", realtime={})
        report, _ = await called(
            settings, template, vendor.sound_of("what did I order"), vendor.sound_of("that sounds alright")
        )
    assert said(report) == [
        GREETING,
        "caller: what did I order",
        "agent: Two lamps.",
        "caller: that sounds alright",
        "agent: Thank you very much. Goodbye.",
    ]
    assert report.figures is not None
    for turn in report.figures.turns:
        assert turn.first_token_ms is not None
        assert turn.waited_ms <= turn.first_token_ms <= (turn.sent_ms or 0)


async def test_what_is_not_configured_here_is_said_in_the_log_and_the_call_is_held_offline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flow = {"start": "bye", "nodes": {"bye": {"say": "Goodbye.", "then": {"action": "end_conversation"}}}}
    template = template_of(
        flow,
        engine="llm",
        llm={"model": "m"},
        voice={"engine": "elevenlabs", "voice": "anna"},
        transcriber={"engine": "deepgram"},
    )
    report, _ = await called(Settings(_env_file=None), template)
    assert said(report) == ["agent: Goodbye."]
    for setting in ("OPENAI_API_KEY", "ELEVENLABS_API_KEY", "DEEPGRAM_API_KEY"):
        assert setting in caplog.text


async def test_speech_of_openais_interface_is_one_client_for_recognition_and_voice() -> None:
    audio = OpenAiAudio(text="yes")
    async with serving(audio.app) as place:
        settings = Settings(_env_file=None, openai_api_key=SecretStr("sk-test"), openai_base_url=f"http://{place}/v1")
        template = template_of(voice={"engine": "openai"}, transcriber={"engine": "openai"})
        report, _ = await called(settings, template, b"\x55" * 4800)
    assert said(report) == [GREETING, "caller: yes", "agent: Thank you very much. Goodbye."]


def test_nothing_of_a_provider_is_imported_until_it_is_configured() -> None:
    script = (
        "import sys; import breeze_buddy.media.server; from breeze_buddy.media.providers.choosing import Providers;"
        "from breeze_buddy.media.requests import NoRequests; from breeze_buddy.settings import Settings;"
        "Providers(Settings(_env_file=None), NoRequests()).load();"
        "print([name for name in ('openai', 'soxr', 'livekit', 'breeze_buddy.media.llm.dialogue',"
        " 'breeze_buddy.media.providers.deepgram') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PATH": ""})
    assert run.stdout.strip() == "[]"
