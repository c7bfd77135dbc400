"""Anything at all on the wire, on the real server and real sockets: it does no more than close its own stream.

A thousand messages as a test; `make fuzz` sends FUZZ_MESSAGES of them and looks whether memory, tasks and files stay.
"""

import asyncio
import gc
import json
import logging
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import websockets
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect

from breeze_buddy.media.engines import Engines
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.server import STREAM_PATH, MediaServer
from breeze_buddy.media.session import SessionLimits
from tests.media.fakes import KnownSounds, LoudIsSpeech, MemoryDirectory, Monotone, StreamMessages, call_of

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "1000"))
A_STREAM = 60
"""Messages of one example, at most."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
Change = Callable[[dict[str, Any]], Any]


def mostly(usual: st.SearchStrategy[Any], *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in twenty of the others: a stream is to live for a while."""
    return st.integers(0, 19).flatmap(lambda n: usual if n else st.one_of(*others))


def _unchanged(message: dict[str, Any]) -> Any:
    return message


def _with(key: str, value: Any) -> Change:
    return lambda message: {**message, key: value}


def _within(key: str, value: Any) -> Change:
    """One field of the event's own object."""
    return lambda message: {**message, message["event"]: {**message.get(message["event"], {}), key: value}}


def _without(key: str) -> Change:
    return lambda message: {name: value for name, value in message.items() if name != key}


fields = st.sampled_from(["event", "sequenceNumber", "streamSid", "media", "start", "dtmf", "mark", "stop", "extra"])
inner_fields = st.sampled_from(["payload", "track", "chunk", "timestamp", "digit", "name", "callSid", "mediaFormat"])
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(_with, fields, json_values),
    st.builds(_within, inner_fields, json_values),
    st.builds(_without, fields),
    st.builds(lambda value: lambda message: value, json_values),
)
kinds = st.sampled_from([*["media"] * 20, *["dtmf", "mark", "weather"] * 4, "connected", "start", "stop"])
raw = st.binary(max_size=120) | st.text(max_size=120) | st.builds("x".__mul__, st.integers(0, 70_000))
fragments = st.lists(st.text(max_size=40), min_size=2, max_size=5)
twilios = st.tuples(kinds, mostly(st.just(_unchanged), changes))
scripts = st.lists(mostly(twilios, raw, fragments), min_size=A_STREAM // 2, max_size=A_STREAM)


def written(messages: StreamMessages, item: Any) -> str | bytes | list[str]:
    """A message of Twilio with one thing changed, or anything else as it is."""
    if not isinstance(item, tuple):
        return item  # type: ignore[no-any-return]
    kind, change = item
    text = {
        "connected": messages.connected,
        "start": messages.start,
        "media": lambda: messages.media(b"\x11" * 160),
        "dtmf": lambda: messages.dtmf("1"),
        "mark": lambda: messages.mark("m1"),
        "stop": messages.stop,
        "weather": lambda: json.dumps({"event": "weather"}),
    }[kind]()
    return json.dumps(change(json.loads(text)))


# What hypothesis remembers of thousands of examples is not the server's.
NOT_COUNTED = ("*/hypothesis/*", "*/_pytest/*", "*/tests/*", tracemalloc.__file__)


class Target:
    """The server under fire, and one good call on it that must not notice anything."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.directory = MemoryDirectory()
        self.sent = self.streams = 0
        self.failures: list[str] = []
        self.after_warm_up: tuple[int, int, int] | None = None
        self.runner.get_loop().set_exception_handler(lambda loop, context: self.failures.append(str(context)))
        self.runner.run(self._start())

    async def _start(self) -> None:
        engines = Engines(
            voice_activity=LoudIsSpeech(), transcriber=KnownSounds(), dialogue=ScriptedDialogue(), speaker=Monotone()
        )
        self.server = MediaServer(
            directory=self.directory, engines=engines, limits=SessionLimits(start_s=0.2, broken_s=0.05)
        )
        await self.server.start()
        self.good, self.messages = await self.dial("good")

    async def dial(self, token: str) -> tuple[ClientConnection, StreamMessages]:
        self.directory.expect(replace(call_of(), call_id=token), token)
        messages = StreamMessages(f"MZ{token}")
        # Between two attacks nobody reads: neither that nor a ping may end the good call.
        url = f"ws://127.0.0.1:{self.server.port}{STREAM_PATH}"
        socket = await connect(url, ping_interval=None, max_queue=None)
        await socket.send(messages.connected())
        await socket.send(messages.start(token))
        return socket, messages

    def attack(self, script: list[Any], *, begun: bool) -> None:
        self.runner.run(self._attack(script, begun=begun))

    async def _attack(self, script: list[Any], *, begun: bool) -> None:
        self.streams += 1
        if begun:
            socket, messages = await self.dial(f"bad{self.streams}")
        else:
            socket, messages = await connect(f"ws://127.0.0.1:{self.server.port}{STREAM_PATH}"), StreamMessages("MZ0")
        try:
            for item in script:
                self.sent += 1
                await socket.send(written(messages, item))
            await socket.close()
        except websockets.ConnectionClosed:
            pass
        finally:
            socket.transport.abort()
        await self.good.send(self.messages.media(b"\xff" * 160))
        if self.streams % 50 == 0:  # before it would end by itself
            await self.good.send(self.messages.stop())
            await self.good.wait_closed()
            assert self.good.close_code == 1000, "the good call was closed"
            self.good, self.messages = await self.dial("good")
            await self.good.recv()
        async with asyncio.timeout(5):
            while self.server.streams > 1:  # noqa: ASYNC110 - nobody is told when a stream is gone
                await asyncio.sleep(0)
        self.directory.reports.clear()
        self.directory.states.clear()

    def size(self) -> tuple[int, int, int]:
        """Bytes that Python holds for anybody but the tests themselves, tasks, open files."""
        gc.collect()
        tasks = len(asyncio.all_tasks(self.runner.get_loop()))
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, path) for path in NOT_COUNTED])
        return sum(trace.size for trace in ours.traces), tasks, len(os.listdir("/proc/self/fd"))

    def close(self) -> None:
        self.runner.run(self.server.stop())
        self.runner.close()


@pytest.mark.alone
def test_whatever_is_sent_costs_its_own_stream_at_most(caplog: pytest.LogCaptureFixture) -> None:
    # What a run prints when it fails would grow with each stream that is closed with a word.
    caplog.set_level(logging.CRITICAL, logger="breeze_buddy")
    target = Target()
    examples = max(1, MESSAGES // 50)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(scripts, st.booleans())
    def fire(script: list[Any], begun: bool) -> None:
        target.attack(script, begun=begun)
        assert target.failures == []

    tracemalloc.start()
    try:
        fire()
        before = target.size()
        first = target.sent
        while target.sent < MESSAGES or first == target.sent:
            fire()
        after = target.size()
    finally:
        tracemalloc.stop()
    print(f"\n{target.sent} messages on {target.streams} streams; bytes, tasks, files: {before} then {after}")
    assert target.good.close_code is None, "the good call was closed"
    assert after[1:] == before[1:], "tasks or files are left over"
    assert after[0] - before[0] < 300_000 + 2 * (target.streams if MESSAGES > 10_000 else 0), "memory is left over"
    target.close()
