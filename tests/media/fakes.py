"""Everything that is pretended in the media tests: time, engines, the directory, and Twilio with a caller on the phone.

In `in_virtual_time` the loop's clock jumps to the next deadline whenever there is nothing to do, so that minutes of
conversation take milliseconds and always the same course.
"""

import asyncio
import json
import re
import selectors
from base64 import b64decode, b64encode
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from breeze_buddy.domain.conversation import ConversationReport, ConversationState
from breeze_buddy.domain.providers import Voice
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import (
    RecordingUnchanged,
    StreamCall,
    StreamRefused,
    StreamReplaced,
    TransferRefused,
)
from breeze_buddy.media.engines import Dialogue, Engines, OnWindow, SpokenChunk, Transcript
from breeze_buddy.media.mulaw import FRAME_BYTES, FRAME_S, SILENCE
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.session import SessionLimits, StreamSession
from breeze_buddy.media.ticker import Ticker

T = TypeVar("T")
BEGINNING = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)

# --- time -------------------------------------------------------------------------------------------------------


LONGEST_STORY_S = 2000.0


class _JumpingSelector(selectors.DefaultSelector):
    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen: the test waits for something that cannot come"
            self.loop.now_s += timeout
            assert self.loop.now_s < LONGEST_STORY_S, "the story goes on for ever"
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.now_s


def in_virtual_time(story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story())


# --- engines ----------------------------------------------------------------------------------------------------

WORD_S = 0.3
"""How long the fake speaker takes for a word."""


class _LoudTrack:
    def __init__(self, on_window: OnWindow) -> None:
        self._on_window: OnWindow | None = on_window

    def push(self, mulaw: bytes) -> None:
        if self._on_window is not None:
            self._on_window(0.0 if mulaw.strip(SILENCE) == b"" else 1.0, mulaw)

    def close(self) -> None:
        self._on_window = None


class LoudIsSpeech:
    """Voice activity: whatever is not silence."""

    window_s = FRAME_S

    def track(self, on_window: OnWindow) -> _LoudTrack:
        return _LoudTrack(on_window)


class KnownSounds:
    """Recognition of `sound_of(text)`; any other sound is a noise."""

    def __init__(self, *, takes_s: float = 0.1) -> None:
        self.takes_s = takes_s
        self._known: dict[int, str] = {}
        self.failures = 0
        self.early_failures = 0

    def sound_of(self, text: str) -> bytes:
        value = len(self._known) + 1
        self._known[value] = text
        seconds = max(0.4, WORD_S * len(text.split()))
        return bytes([value]) * (round(seconds / FRAME_S) * FRAME_BYTES)

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        if self.early_failures:
            self.early_failures -= 1
            raise RuntimeError("there is no connection")
        audio = b"".join([chunk async for chunk in turn])
        await asyncio.sleep(self.takes_s)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("recognition is broken")
        sounds = list(dict.fromkeys(audio.replace(SILENCE, b"")))
        if text := " ".join(self._known[value] for value in sounds if value in self._known):
            yield Transcript(text)


class Monotone:
    """Speech: every word takes 0.3 s."""

    def __init__(self) -> None:
        self.broken = False

    async def speak(self, text: str, voice: Voice) -> AsyncIterator[SpokenChunk]:
        for sentence in re.split(r"(?<=[.?!])\s+", text):
            await asyncio.sleep(0.01)
            if self.broken:
                raise RuntimeError("speech is broken")
            yield SpokenChunk(sentence, b"\x55" * round(8000 * WORD_S * len(sentence.split())))


# --- the platform -----------------------------------------------------------------------------------------------


class Tape:
    """The recording of the call: `changes` are (loop time, "paused" or "recording")."""

    def __init__(self) -> None:
        self.changes: list[tuple[float, str]] = []
        self.failing_pauses = self.failing_resumes = 0
        self.takes_s = 0.1

    async def change(self, status: str, *, fails: bool) -> None:
        await asyncio.sleep(self.takes_s)
        if fails:
            raise RecordingUnchanged("Twilio is away")
        self.changes.append((asyncio.get_running_loop().time(), status))

    def hears(self, at_s: float) -> bool:
        """Whether what sounds at this time of the loop is recorded."""
        before = [status for changed_s, status in self.changes if changed_s <= at_s]
        return not before or before[-1] == "recording"


class MemoryDirectory:
    """Calls by token, each token taken once; keeps states and reports."""

    def __init__(self) -> None:
        self.calls: dict[str, StreamCall] = {}
        self.states: list[ConversationState] = []
        self.reports: list[ConversationReport] = []
        self.failing_reports = 0
        self.reported = asyncio.Event()
        self.recording = Tape()
        self.asked_for_humans: list[str] = []
        self.transfer_is_refused = False
        self.open_transfer = False
        self.ending: TransferEnding | None = None
        self.machine = False
        self.replaced = False
        self.saved = asyncio.Event()

    def expect(self, call: StreamCall, token: str = "good") -> None:
        self.calls[token] = call

    async def claim(self, *, token: str, call_sid: str, stream_sid: str) -> StreamCall:
        if token not in self.calls:
            raise StreamRefused("the stream's token is not known")
        return self.calls.pop(token)

    async def save(self, call_id: str, state: ConversationState, *, stream_sid: str) -> None:
        await asyncio.sleep(0.05)
        if self.replaced:
            raise StreamReplaced("another stream has the call")
        self.states.append(state)
        self.saved.set()

    async def report(self, report: ConversationReport, *, stream_sid: str) -> None:
        if self.replaced:
            raise StreamReplaced("another stream has the call")
        if self.failing_reports:
            self.failing_reports -= 1
            raise ConnectionError("the database is away")
        self.reports.append(report)
        self.reported.set()

    async def pause_recording(self, call_id: str) -> None:
        self.recording.failing_pauses -= 1
        await self.recording.change("paused", fails=self.recording.failing_pauses >= 0)

    async def resume_recording(self, call_id: str) -> None:
        self.recording.failing_resumes -= 1
        await self.recording.change("recording", fails=self.recording.failing_resumes >= 0)

    async def answered_by_machine(self, call_id: str) -> bool:
        return self.machine

    async def request_transfer(self, call_id: str, reason: str) -> None:
        if self.transfer_is_refused:
            raise TransferRefused("only a call that is on can be transferred")
        self.asked_for_humans.append(reason)
        self.open_transfer = True

    async def transfer_ending(self, call_id: str) -> TransferEnding | None:
        return self.ending

    async def transfer_is_open(self, call_id: str) -> bool:
        return self.open_transfer

    def end_transfer(self, ending: TransferEnding) -> None:
        """Nobody could be had."""
        self.open_transfer, self.ending = False, ending


ORDER_FLOW: dict[str, Any] = {
    "start": "ask",
    "nodes": {
        "ask": {
            "say": "Hello {name}. Is your order of two lamps correct?",
            "functions": [
                {"name": "confirm", "phrases": ["yes", "correct"], "digits": "1", "go": "thanks"},
                {"name": "change", "phrases": ["no", "not correct"], "digits": "2", "go": "address"},
                {"name": "later", "phrases": ["call me later"], "go": "later"},
                {"name": "never", "phrases": ["do not call"], "digits": "9", "go": "never"},
            ],
            "reprompt": "Please say yes or no.",
        },
        "address": {"say": "What is the new address?", "capture": {"name": "address", "go": "pin"}},
        "pin": {
            "say": "And the four digits of your post code?",
            "capture": {"name": "pin", "kind": "digits", "length": 4, "go": "read_back"},
        },
        "read_back": {"say": "I noted {address}, {pin}.", "go": "thanks"},
        "thanks": {
            "say": "Thank you very much. Goodbye.",
            "then": {"action": "end_conversation", "result": "confirmed"},
        },
        "later": {"say": "We will call you later.", "then": {"action": "schedule_callback", "after": 3600}},
        "never": {"say": "We will not call again.", "then": {"action": "do_not_call"}},
    },
}


def template_of(flow: dict[str, Any] | None = None, **more: Any) -> Template:
    return Template.model_validate({"name": "order", "flow": flow or ORDER_FLOW, **more})


def call_of(template: Template | None = None, **more: Any) -> StreamCall:
    return StreamCall(
        call_id="call-1", lead_id="lead-1", template=template or template_of(), variables={"name": "Asha"}, **more
    )


# --- Twilio -----------------------------------------------------------------------------------------------------


class StreamMessages:
    """Writes what Twilio sends on one socket, with its sequence number."""

    def __init__(self, stream_sid: str = "MZ1") -> None:
        self.stream_sid = stream_sid
        self._sequence = 0

    def connected(self) -> str:
        return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, token: str | None = "good") -> str:
        details = {
            "accountSid": "AC1",
            "callSid": "CA1",
            "streamSid": self.stream_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"lead_id": "lead-1"} | ({"token": token} if token else {}),
        }
        return self._event("start", start=details)

    def media(self, mulaw: bytes) -> str:
        payload = b64encode(mulaw).decode()
        return self._event(
            "media", media={"track": "inbound", "chunk": str(self._sequence), "timestamp": "5", "payload": payload}
        )

    def dtmf(self, digit: str) -> str:
        return self._event("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        return self._event("mark", mark={"name": name})

    def stop(self) -> str:
        return self._event("stop", stop={"accountSid": "AC1", "callSid": "CA1"})

    def _event(self, event: str, **more: object) -> str:
        self._sequence += 1
        number = str(self._sequence)
        return json.dumps({"event": event, "sequenceNumber": number, "streamSid": self.stream_sid, **more})


@dataclass
class Phone:
    """Twilio and a caller, on one session, in the loop's time: plays what is sent, returns marks, speaks back."""

    directory: MemoryDirectory
    sounds: KnownSounds = field(default_factory=KnownSounds)
    speaker: Monotone = field(default_factory=Monotone)
    dialogue: Dialogue = field(default_factory=ScriptedDialogue)
    returns_marks: bool = True
    closed: tuple[int, str] | None = None
    clears_s: list[float] = field(default_factory=list)
    frames_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._zero_s = self._loop.time()
        self._messages = StreamMessages()
        self._buffer_until_s = 0.0
        self._marks: list[tuple[float, str]] = []
        self._line = asyncio.Queue[bytes]()
        self.over = asyncio.Event()
        self.background: set[asyncio.Task[bool]] = set()
        self.session = StreamSession(
            link=self,
            directory=self.directory,
            engines=Engines(
                voice_activity=LoudIsSpeech(),
                transcriber=self.sounds,
                dialogue=self.dialogue,
                speaker=self.speaker,
            ),
            ticker=Ticker(),
            background=self.background.add,
            limits=SessionLimits(),
            clock=lambda: BEGINNING + timedelta(seconds=self.now_s),
        )

    @property
    def now_s(self) -> float:
        """Since the call was answered."""
        return self._loop.time() - self._zero_s

    # what the session sees

    def send(self, message: bytes) -> None:
        event = json.loads(message)
        now = self._loop.time()
        match event["event"]:
            case "media":
                self.frames_s.append(self.now_s)
                sound = b64decode(event["media"]["payload"])
                self._buffer_until_s = max(self._buffer_until_s, now) + len(sound) / 8000
            case "mark":
                self._marks.append((max(self._buffer_until_s, now), event["mark"]["name"]))
            case "clear":
                self.clears_s.append(self.now_s)
                self._buffer_until_s = now
                self._marks = [(now, name) for _, name in self._marks]
            case other:
                raise AssertionError(f"Twilio knows no {other}")

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)
        self.over.set()

    # what the caller does

    async def answer(self, token: str | None = "good") -> None:
        """Pick up: the stream starts, and audio flows from now on."""
        self._session_task = asyncio.create_task(self.session.run())
        self._receive(self._messages.connected())
        self._receive(self._messages.start(token))
        self._line_task = asyncio.create_task(self._run_line())

    async def say(self, text: str) -> None:
        """Returns when the last sound is out."""
        await self.make_sound(self.sounds.sound_of(text))

    async def make_sound(self, sound: bytes) -> None:
        for at in range(0, len(sound), FRAME_BYTES):
            self._line.put_nowait(sound[at : at + FRAME_BYTES])
        await self.until(self._line.empty)

    async def wait(self, seconds: float) -> None:
        """Say nothing."""
        await asyncio.sleep(seconds)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Look every 20 ms of virtual time, which costs nothing, or until the call is over."""
        while True:
            if condition() or self.over.is_set():
                return
            await asyncio.sleep(FRAME_S)

    def press(self, keys: str) -> None:
        for key in keys:
            self._receive(self._messages.dtmf(key))

    def hang_up(self) -> None:
        self._receive(self._messages.stop())
        self.session.lost()

    async def listen(self) -> None:
        """Until the agent, having begun to speak, is silent."""
        await self.until(lambda: self._buffer_until_s > self._loop.time())
        await self.until(lambda: self._buffer_until_s <= self._loop.time() and not self._marks)

    async def ended(self) -> ConversationReport:
        """The report of the conversation."""
        await self._session_task
        self._line_task.cancel()
        assert len(self.directory.reports) == 1
        return self.directory.reports[0]

    async def crash(self) -> None:
        """The media server dies."""
        self._session_task.cancel()
        self._line_task.cancel()
        await asyncio.wait([self._session_task])

    async def _run_line(self) -> None:
        due_s = self._loop.time()
        while not self.over.is_set():
            frame = SILENCE * FRAME_BYTES if self._line.empty() else self._line.get_nowait()
            self._receive(self._messages.media(frame))
            while self.returns_marks and self._marks and self._marks[0][0] <= self._loop.time():
                self._receive(self._messages.mark(self._marks.pop(0)[1]))
            due_s += FRAME_S
            await asyncio.sleep(due_s - self._loop.time())

    def _receive(self, message: str) -> None:
        self.session.receive(message.encode())


def said(report: ConversationReport) -> list[str]:
    """The transcript in short: "agent: …", with a dash where it was interrupted."""
    return [f"{one.speaker}: {one.text}{' –' if one.interrupted else ''}" for one in report.transcript]
