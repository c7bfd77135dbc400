"""Callers for a media server, from outside: a process of its own that is Twilio and many people on the phone at once.

Reads a `Load` as JSON from standard input, prints `measuring` and `measured` where the window begins and ends, so
that whoever started it can read the CPU of the server, and at last what it saw, as JSON.

Each caller sends a frame every 20 ms: a while of line noise, then one utterance and noise in turns. Callers are spread
over the 20 ms and over the cycle. Sound that comes back is played in real time, and its marks return when it has been.

    python -m bench.media_load < load.json
"""

import asyncio
import json
import sys
import time
from base64 import b64encode
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from breeze_buddy.media.mulaw import FRAME_BYTES, FRAME_S

SLOTS = 10
"""Callers send at one of so many moments within the 20 ms."""


@dataclass(frozen=True)
class Load:
    """What is done to a server. Sounds are files of µ-law. `greeting_frames` and `reply_frames` say of which length an
    utterance of the agent is: 0 where nobody knows, and then nothing is said about frames that are late.

    `burst` callers come all at once in the middle of the window.
    """

    url: str
    streams: int
    window_s: float
    sound: str
    pause_s: float
    noise: str
    before_s: float = 3.0
    ramp_s: float = 6.3
    settle_s: float = 4.0
    lead_s: float = 0.2
    greeting_frames: int = 0
    reply_frames: int = 0
    burst: int = 0
    token: str = "call"


@dataclass
class Seen:
    """What the callers saw, in the window unless said otherwise; times in milliseconds.

    `late_frames` arrived more than 20 ms after they should have been sent (a tick of 20 ms behind the lead), and
    `unheard_frames` after they should have been heard, both as far as this process was on time itself: `slow_ticks`.
    `began_s`, `ended_s` and `burst_s` are moments of the system's monotonic clock. `lost_frames` are missing in
    utterances that were begun; `streams_lost` were closed by the other side.
    """

    streams: int = 0
    frames_sent: int = 0
    frames: int = 0
    late_frames: int = 0
    unheard_frames: int = 0
    began_s: float = 0.0
    ended_s: float = 0.0
    burst_s: float = 0.0
    lost_frames: int = 0
    streams_lost: int = 0
    utterances: int = 0
    replies: int = 0
    marks: int = 0
    clears: int = 0
    greeting_ms: list[float] = field(default_factory=list)
    reply_ms: list[float] = field(default_factory=list)
    slow_ticks: int = 0
    ticks: int = 0


class _Body(msgspec.Struct):
    payload: str = ""
    name: str = ""


class _Message(msgspec.Struct):
    event: str
    media: _Body | None = None
    mark: _Body | None = None


_decode = msgspec.json.Decoder(_Message).decode


class Caller(WSListener):
    """One stream, as Twilio sees it."""

    def __init__(self, number: int, plan: "Plan") -> None:
        self._plan = plan
        self._sid = f"MZ{number:032x}"
        self._head = (
            b'{"event":"media","sequenceNumber":"%d","media":'
            b'{"track":"inbound","chunk":"%d","timestamp":"%d","payload":"'
        )
        self._tail = b'"},"streamSid":"' + self._sid.encode() + b'"}'
        self._number = number
        self._sequence = 0
        self._at = 0
        self._transport: WSTransport | None = None
        self._heard_until_s = 0.0
        self._marks: deque[tuple[float, str]] = deque()
        self._silent_s: float | None = None
        self._began_s: float | None = None
        self._utterance_s = 0.0
        self._place = 0
        self._wanted = 0
        self._said = 0
        self.left = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        load = self._plan.load
        transport.send(WSMsgType.TEXT, b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
        details: dict[str, object] = {
            "accountSid": "AC1",
            "callSid": f"CA{self._number}",
            "streamSid": self._sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": f"{load.token}-{self._number}"},
        }
        self._send_event("start", details)
        self._began_s = time.monotonic()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        message = _decode(frame.get_payload_as_bytes())
        now_s = time.monotonic()
        if message.media is not None and message.event == "media":
            self._hear(len(message.media.payload) * 3 // 4 // FRAME_BYTES, now_s)
        elif message.mark is not None and message.event == "mark":
            self._marks.append((max(self._heard_until_s, now_s), message.mark.name))
            self._plan.seen.marks += self._plan.measuring
        elif message.event == "clear":
            self._plan.seen.clears += self._plan.measuring
            self._heard_until_s = now_s
            self._place = self._wanted = 0
            self._marks = deque((now_s, name) for _, name in self._marks)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.left:
            self._plan.seen.streams_lost += 1
        self._transport = None

    def tick(self, now_s: float) -> None:
        """20 ms of the caller, and the marks of what was heard by now."""
        transport = self._transport
        if transport is None or self._began_s is None:
            return
        while self._marks and self._marks[0][0] <= now_s:
            self._send_event("mark", {"name": self._marks.popleft()[1]})
        plan = self._plan
        payload, speaks_last = plan.frame(self._at)
        self._at += 1
        self._sequence += 1
        head = self._head % (self._sequence, self._at, self._at * 20)
        transport.send(WSMsgType.TEXT, head + payload + self._tail)
        plan.seen.frames_sent += plan.measuring
        if speaks_last:
            self._silent_s = now_s
            plan.seen.utterances += plan.measuring

    def hang_up(self) -> None:
        self.left = True
        if self._wanted:
            missing = self._wanted - self._place
            self._plan.seen.lost_frames += missing if self._heard_until_s < time.monotonic() - 1 else 0
        if self._transport is not None:
            self._send_event("stop", {"accountSid": "AC1", "callSid": f"CA{self._number}"})
            self._transport.disconnect()

    def _hear(self, frames: int, now_s: float) -> None:
        plan = self._plan
        seen, load = plan.seen, plan.load
        if self._said == 0 and self._began_s is not None:
            seen.greeting_ms.append((now_s - self._began_s) * 1000)
        if self._silent_s is not None:
            if plan.measuring:
                seen.reply_ms.append((now_s - self._silent_s) * 1000)
                seen.replies += 1
            self._silent_s = None
        self._said += frames
        if plan.measuring:
            seen.frames += frames
        self._heard_until_s = max(self._heard_until_s, now_s) + frames * FRAME_S
        if not load.reply_frames:
            return
        if self._place == self._wanted:
            self._wanted = load.reply_frames if self._said > frames else load.greeting_frames
            self._place, self._utterance_s = 0, now_s
        due_s = self._utterance_s + max(0.0, self._place * FRAME_S - load.lead_s + FRAME_S)
        if plan.measuring:
            seen.late_frames += now_s - due_s > FRAME_S
            seen.unheard_frames += now_s > self._utterance_s + self._place * FRAME_S + FRAME_S
        self._place += frames

    def _send_event(self, event: str, body: dict[str, object]) -> None:
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence), event: body, "streamSid": self._sid}
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, json.dumps(message).encode())


class Plan:
    """All callers of one run, and what they share."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.seen = Seen(streams=load.streams)
        self.measuring = False
        self._sound = _payloads(Path(load.sound).read_bytes()) if load.sound else []
        self._noise = _payloads(Path(load.noise).read_bytes())
        self._before = round(load.before_s / FRAME_S)
        self._cycle = len(self._sound) + round(load.pause_s / FRAME_S)
        self._slots: list[list[Caller]] = [[] for _ in range(SLOTS)]
        self.callers: list[Caller] = []

    def frame(self, at: int) -> tuple[bytes, bool]:
        """The caller's frame number `at`, and whether it is the last of an utterance."""
        place = (at - self._before) % self._cycle if at >= self._before else len(self._sound)
        if place < len(self._sound):
            return self._sound[place], place == len(self._sound) - 1
        return self._noise[at % len(self._noise)], False

    async def call(self) -> Caller:
        caller = Caller(len(self.callers), self)
        self.callers.append(caller)
        await ws_connect(lambda: caller, self.load.url, max_frame_size=1 << 20)
        self._slots[len(self.callers) % SLOTS].append(caller)
        return caller

    async def tick(self) -> None:
        """A slot after the other at absolute deadlines, until cancelled."""
        due_s, slot = time.monotonic(), 0
        while True:
            for caller in self._slots[slot]:
                caller.tick(time.monotonic())
            slot = (slot + 1) % SLOTS
            due_s += FRAME_S / SLOTS
            ahead_s = due_s - time.monotonic()
            self.seen.ticks += 1
            self.seen.slow_ticks += ahead_s < -0.01
            await asyncio.sleep(max(0.0, ahead_s))

    async def run(self) -> Seen:
        load = self.load
        ticking = asyncio.create_task(self.tick())
        for _ in range(load.streams):
            await self.call()
            await asyncio.sleep(load.ramp_s / load.streams)
        await asyncio.sleep(load.settle_s)
        self.measuring = True
        print("measuring", flush=True)
        self.seen.began_s = time.monotonic()
        if load.burst:
            await asyncio.sleep(load.window_s / 2)
            self.seen.burst_s = time.monotonic()
            await asyncio.gather(*(self.call() for _ in range(load.burst)))
        await asyncio.sleep(max(0.0, self.seen.began_s + load.window_s - time.monotonic()))
        self.seen.ended_s = time.monotonic()
        self.measuring = False
        print("measured", flush=True)
        await asyncio.sleep(0.5)
        lost = self.seen.streams_lost
        for caller in self.callers:
            caller.hang_up()
        ticking.cancel()
        await asyncio.sleep(0.5)
        self.seen.streams_lost = lost
        return self.seen


def percentile(ordered: list[float], share: float) -> float:
    """Of values in order; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 0.0


def _payloads(mulaw: bytes) -> list[bytes]:
    whole = len(mulaw) - len(mulaw) % FRAME_BYTES
    return [b64encode(mulaw[at : at + FRAME_BYTES]) for at in range(0, whole, FRAME_BYTES)]


async def _main() -> None:
    load = Load(**json.loads(sys.stdin.read()))
    print(json.dumps(asdict(await Plan(load).run())), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
