"""Our media server with the engines of a benchmark: what is measured is the server, not the engines.

    wire    parsing, µ-law to PCM and back, pacing and marks: what the caller says comes back
    talk    whole conversations: Silero, turns, the scripted flow, transcript, states; recognition and speech
            are instant
    local   the same with offline recognition and speech
    plain   as talk, with nothing that watches it: for hours

Prints its port, and how many tasks and streams it has for every SIGUSR1. After SIGTERM it reads a window of the
system's monotonic clock from standard input and prints, as JSON, what it has seen there of itself: how long each turn
took from its end to the first frame handed to the kernel, and how many frames were handed over late (`Sent`).
"""

import asyncio
import json
import signal
import sys
import time
from array import array
from collections.abc import AsyncIterable, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import uvloop

from bench.media_load import percentile
from breeze_buddy.domain.conversation import ConversationReport, ConversationState
from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media import mulaw, twilio
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import Engines, OnWindow, SpokenChunk, Transcript, VoiceActivity, VoiceTrack
from breeze_buddy.media.playback import DEFAULT_LEAD_S, Playback
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.server import MediaServer, prepare_process
from breeze_buddy.media.session import StreamSession
from breeze_buddy.media.speech import load_engines
from breeze_buddy.media.speech.silero import SileroVoiceActivity, packaged_vad_model
from breeze_buddy.settings import Settings

GREETING_FRAMES = 50
REPLY_FRAMES = 100
BURST_S = 2.0
GREETING = "Hello, this is the shop."
REPLY = "Thank you, I have noted all of it, is there anything else that you want?"
ANSWERS = ["yes", "no", "change", "order", "table", "please", "like"]

TEMPLATE = Template.model_validate(
    {
        "name": "bench",
        "max_call_s": 3600,
        "turns": {"no_input_s": 30},
        "flow": {
            "start": "hello",
            "nodes": {
                "hello": {"say": GREETING, "functions": [{"name": "on", "phrases": ANSWERS, "go": "on"}]},
                "on": {"say": REPLY, "functions": [{"name": "on", "phrases": ANSWERS, "go": "on"}], "reprompt": REPLY},
            },
        },
    }
)


class Calls:
    """Every token is a call, and nothing is kept."""

    async def claim(self, *, token: str, call_sid: str, stream_sid: str) -> StreamCall:
        return StreamCall(call_id=token, lead_id=None, template=TEMPLATE, variables={})

    async def save(self, call_id: str, state: ConversationState, *, stream_sid: str) -> None: ...

    async def report(self, report: ConversationReport, *, stream_sid: str) -> None: ...

    async def pause_recording(self, call_id: str) -> None: ...

    async def resume_recording(self, call_id: str) -> None: ...

    async def request_transfer(self, call_id: str, reason: str) -> None: ...

    async def transfer_ending(self, call_id: str) -> TransferEnding | None:
        return None

    async def transfer_is_open(self, call_id: str) -> bool:
        return False

    async def answered_by_machine(self, call_id: str) -> bool:
        return False


class SaysYes:
    """Recognition that takes no time."""

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        async for _ in turn:
            pass
        yield Transcript("yes")


class Hums:
    """Speech that takes no time: two seconds for an answer, one for the greeting."""

    def __init__(self) -> None:
        self._sounds = {frames: b"\x95\x15" * (80 * frames) for frames in (GREETING_FRAMES, REPLY_FRAMES)}

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        yield SpokenChunk(text, self._sounds[GREETING_FRAMES if text == GREETING else REPLY_FRAMES])


class Watch:
    """One stream: when its caller's turn ended, until the answer is on the wire; and its frames, each of which is due
    20 ms after the one before once the lead has been sent."""

    def __init__(self, figures: "Figures") -> None:
        self._figures = figures
        self._born_s = time.monotonic()
        self._utterances = self._place = self._wanted = 0
        self._began_s = 0.0
        self.ended_s: float | None = None

    def sent(self, message: bytes) -> None:
        now_s = time.monotonic()
        if not message.startswith(b'{"event":"media"'):
            if message.startswith(b'{"event":"clear"'):
                self._place = self._wanted = 0
            return
        if self.ended_s is not None:
            self._figures.turns.extend((now_s, now_s - self.ended_s))
            self.ended_s = None
        if self._place == self._wanted:
            self._wanted = REPLY_FRAMES if self._utterances else GREETING_FRAMES
            self._place, self._began_s = 0, now_s
            self._utterances += 1
        due_s = self._began_s + max(0.0, (self._place + 1) * mulaw.FRAME_S - DEFAULT_LEAD_S)
        self._figures.frames.extend((now_s, now_s - due_s, self._born_s))
        self._place += 1


_watch: ContextVar[Watch] = ContextVar("watch")


class WatchedVoiceActivity:
    """Notes the moment at which an ear decides that the turn has ended."""

    def __init__(self, within: VoiceActivity) -> None:
        self._within = within
        self.window_s = within.window_s

    def track(self, on_window: OnWindow) -> VoiceTrack:
        watch = _watch.get()
        ear: Any = on_window.__self__  # type: ignore[attr-defined]

        def watched(probability: float, audio: bytes) -> None:
            if not ear.caller_speaks:
                on_window(probability, audio)
                return
            now_s = time.monotonic()
            on_window(probability, audio)
            if not ear.caller_speaks:
                watch.ended_s = now_s

        return self._within.track(watched)


class Figures:
    """Three numbers a frame: when it was sent, by how much it was late, since when its stream was there. Two a turn:
    when it was answered, and how long that took. All in seconds."""

    def __init__(self) -> None:
        self.frames = array("d")
        self.turns = array("d")

    def within(self, began_s: float, ended_s: float, burst_s: float) -> dict[str, object]:
        sent_s, late_s, born_s = self.frames[0::3], self.frames[1::3], self.frames[2::3]
        inside = [late for at, late in zip(sent_s, late_s, strict=True) if began_s <= at <= ended_s]
        burst = [
            late
            for at, late, born in zip(sent_s, late_s, born_s, strict=True)
            if burst_s <= at <= burst_s + BURST_S and born < burst_s
        ]
        turns = [took for at, took in zip(self.turns[0::2], self.turns[1::2], strict=True) if began_s <= at <= ended_s]
        return {
            "turn_ms": sorted(took * 1000 for took in turns),
            "frames": len(inside),
            "late": sum(late > mulaw.FRAME_S for late in inside),
            "late_ms_p99": percentile(sorted(inside), 99) * 1000,
            "late_ms_max": max(inside, default=0.0) * 1000,
            "burst_frames": len(burst) if burst_s else 0,
            "burst_late_ms_p99": percentile(sorted(burst), 99) * 1000 if burst_s else 0.0,
        }


class Talking(MediaServer):
    """The real server, whose sockets are watched."""

    def __init__(self, figures: Figures, engines: Engines) -> None:
        super().__init__(directory=Calls(), engines=engines)
        self.figures = figures

    def open_session(self, link: Any) -> StreamSession:
        watch = Watch(self.figures)
        _watch.set(watch)
        send = link.send

        def watched(message: bytes) -> None:
            send(message)
            watch.sent(message)

        link.send = watched
        return super().open_session(link)


class Wire(MediaServer):
    """The real sockets, reader, pacing and writer, with nothing behind them."""

    def open_session(self, link: Any) -> Any:
        return _Loopback(link, self._ticker)


class _Loopback:
    """Says what it hears, half a second at a time."""

    name = "stream"

    def __init__(self, link: Any, ticker: Any) -> None:
        self._link, self._ticker = link, ticker
        self._reader = twilio.StreamReader()
        self._playback: Playback | None = None
        self._pcm: list[bytes] = []

    def receive(self, message: bytes) -> None:
        event = self._reader.receive(message)
        if isinstance(event, twilio.Media):
            assert self._playback is not None
            self._pcm.append(mulaw.to_pcm(event.media.payload))
            if len(self._pcm) == 25:
                self._playback.add(SpokenChunk("word", b"".join(map(mulaw.from_pcm, self._pcm))))
                self._pcm.clear()
        elif isinstance(event, twilio.Mark):
            assert self._playback is not None
            self._playback.mark_returned(event.mark.name)
        elif isinstance(event, twilio.Start):
            writer = twilio.StreamWriter(event.stream_sid)
            self._playback = Playback(writer=writer, send=self._link.send, ticker=self._ticker, on_played=lambda: None)

    def refuse(self, code: int, reason: str) -> None:
        self._link.close(code, reason)

    def lost(self, *, broken: bool = False) -> None:
        if self._playback is not None:
            self._playback.abandon()


def _engines(kind: str) -> Engines:
    if kind == "local":
        local = load_engines(Settings())
        return Engines(
            voice_activity=WatchedVoiceActivity(local.voice_activity),
            transcriber=local.transcriber,
            dialogue=local.dialogue,
            speaker=local.speaker,
            close=local.close,
        )
    executor = ThreadPoolExecutor(1, thread_name_prefix="voice-activity")
    silero = SileroVoiceActivity(packaged_vad_model(), executor)
    return Engines(
        voice_activity=silero if kind == "plain" else WatchedVoiceActivity(silero),
        transcriber=SaysYes(),
        dialogue=ScriptedDialogue(),
        speaker=Hums(),
        close=lambda: executor.shutdown(wait=False),
    )


async def _main(kind: str) -> None:
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    engines = _engines(kind)
    figures = Figures()
    server: MediaServer
    if kind == "plain":
        server = MediaServer(directory=Calls(), engines=engines)
    else:
        server = Wire(directory=Calls(), engines=engines) if kind == "wire" else Talking(figures, engines)
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: print(len(asyncio.all_tasks()), server.streams, flush=True)
    )
    prepare_process()
    await server.start()
    print(server.port, flush=True)
    await asked.wait()
    await server.stop()
    engines.close()
    window = json.loads(sys.stdin.readline() or "[0, 0, 0]")
    print(json.dumps(figures.within(*window)), flush=True)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
