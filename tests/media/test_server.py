"""The real server on real sockets; the client is written on another library. Engines are fakes, so it is quick."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.media.engines import Engines
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.server import STREAM_PATH, MediaServer
from breeze_buddy.media.session import SessionLimits
from tests.media.fakes import KnownSounds, LoudIsSpeech, MemoryDirectory, Monotone, StreamMessages, call_of, template_of

QUICK = {"start": "bye", "nodes": {"bye": {"say": "Goodbye.", "then": {"action": "end_conversation"}}}}


@pytest.fixture
def directory() -> MemoryDirectory:
    return MemoryDirectory()


@asynccontextmanager
async def listening(directory: MemoryDirectory, limits: SessionLimits) -> AsyncIterator[MediaServer]:
    engines = Engines(
        voice_activity=LoudIsSpeech(), transcriber=KnownSounds(), dialogue=ScriptedDialogue(), speaker=Monotone()
    )
    server = MediaServer(directory=directory, engines=engines, limits=limits)
    await server.start()
    yield server
    await server.stop()
    assert server.streams == 0


@pytest.fixture
async def server(directory: MemoryDirectory) -> AsyncIterator[MediaServer]:
    async with listening(directory, SessionLimits(start_s=0.3, broken_s=0.5)) as server:
        yield server


def dial(server: MediaServer, path: str = STREAM_PATH) -> connect:
    return connect(f"ws://127.0.0.1:{server.port}{path}")


async def begin(socket: ClientConnection, messages: StreamMessages, token: str | None = "good") -> None:
    await socket.send(messages.connected())
    await socket.send(messages.start(token))


async def close_code(socket: ClientConnection) -> int:
    """Wait until the server closes."""
    async with asyncio.timeout(10):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


async def answer_marks(socket: ClientConnection, messages: StreamMessages) -> list[str]:
    """Be Twilio with an instant ear until the server closes; the kinds of messages that came."""
    kinds = []
    try:
        async for text in socket:
            event = json.loads(text)
            kinds.append(event["event"])
            if event["event"] == "mark":
                await socket.send(messages.mark(event["mark"]["name"]))
    except websockets.ConnectionClosedOK:
        pass
    return kinds


async def health(server: MediaServer) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{server.port}/health")


async def test_a_stream_hears_the_message_and_is_closed_after_the_report(
    server: MediaServer, directory: MemoryDirectory
) -> None:
    directory.expect(call_of(template_of(QUICK)))
    messages = StreamMessages()
    async with dial(server) as socket:
        await begin(socket, messages)
        kinds = await answer_marks(socket, messages)
    assert socket.close_code == 1000
    assert kinds == ["media"] * 15 + ["mark"]
    assert [report.ending for report in directory.reports] == [Ending.REACHED_END]


async def test_health_tells_how_many_streams_are_live(server: MediaServer, directory: MemoryDirectory) -> None:
    directory.expect(call_of())
    assert (await health(server)).json() == {"status": "ready", "streams": 0}
    async with dial(server) as socket:
        await begin(socket, StreamMessages())
        await socket.recv()
        answer = await health(server)
        assert answer.status_code == 200
        assert answer.json() == {"status": "ready", "streams": 1}


async def test_a_stream_whose_call_another_media_server_took_is_closed_and_reports_nothing(
    server: MediaServer, directory: MemoryDirectory
) -> None:
    directory.expect(call_of())
    messages = StreamMessages()
    async with dial(server) as socket:
        await begin(socket, messages)
        await socket.recv()
        directory.replaced = True
        await socket.send(messages.dtmf("1"))  # the next turn
        with pytest.raises(websockets.ConnectionClosedError):
            await answer_marks(socket, messages)
    assert socket.close_code == 1008
    assert socket.close_reason == "replaced by another stream of the same call"
    assert directory.reports == []


async def test_a_report_that_another_media_server_will_give_is_not_given_again_and_again(
    server: MediaServer, directory: MemoryDirectory
) -> None:
    directory.expect(call_of())
    messages = StreamMessages()
    async with dial(server) as socket:
        await begin(socket, messages)
        await socket.recv()
        await asyncio.wait_for(directory.saved.wait(), 5)
        directory.replaced = True
        await socket.send(messages.stop())
        async with asyncio.timeout(3):
            await answer_marks(socket, messages)
    assert socket.close_code == 1000
    assert directory.reports == []


async def test_only_the_stream_path_takes_sockets(server: MediaServer) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with dial(server, "/elsewhere"):
            pass
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("token", [None, "forged"])
async def test_a_stream_without_a_valid_token_is_closed(server: MediaServer, token: str | None) -> None:
    async with dial(server) as socket:
        await begin(socket, StreamMessages(), token)
        assert await close_code(socket) == 1008


async def test_a_socket_that_says_nothing_is_closed(server: MediaServer) -> None:
    async with dial(server) as socket:
        assert await close_code(socket) == 1008


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("not json", "malformed"),
        (b"\x00\x01", "a binary message"),
        ("x" * 70_000, "oversized|broken_frames: .* payload size exceeding"),
        (["x" * 40_000, "x" * 40_000], "oversized"),
        (["x"] * 100, "oversized"),
        (StreamMessages().connected(), "out_of_order"),
        ('{"event":"media"}', "malformed"),
    ],
)
async def test_a_peer_that_breaks_the_protocol_loses_its_stream_and_no_other(
    server: MediaServer,
    directory: MemoryDirectory,
    message: str | bytes | list[str],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    directory.expect(replace(call_of(template_of(QUICK)), call_id="call-2"), "bad")
    directory.expect(call_of(template_of(QUICK)), "good")
    messages = StreamMessages("MZ2")
    async with dial(server) as bad, dial(server) as good:
        await begin(bad, StreamMessages(), "bad")
        await begin(good, messages)
        with contextlib.suppress(websockets.ConnectionClosed):  # it may close before all of it is sent
            await bad.send(message)
        assert await close_code(bad) in (1003, 1009)
        await answer_marks(good, messages)
    assert good.close_code == 1000
    closed = [record.getMessage() for record in caplog.records if "closed: " in record.getMessage()]
    assert len(closed) == 1
    assert re.match(f"stream MZ1: closed: ({reason})", closed[0])


async def test_frames_that_are_no_websocket_close_the_stream_with_a_reason(
    server: MediaServer, directory: MemoryDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    directory.expect(call_of())
    async with dial(server) as socket:
        await begin(socket, StreamMessages())
        await socket.recv()
        socket.transport.write(b"\x8b\x80abcd")  # opcode 0xB is nothing
        await close_code(socket)
    assert "stream MZ1: closed: broken_frames: Received frame with invalid opcode" in caplog.text


async def test_a_message_after_stop_closes_the_stream(
    server: MediaServer, directory: MemoryDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    directory.expect(call_of())
    messages = StreamMessages()
    async with dial(server) as socket:
        await begin(socket, messages)
        await socket.recv()
        await socket.send(messages.stop())
        await socket.send(messages.media(b"\xff" * 160))
        assert await close_code(socket) == 1003
        async with asyncio.timeout(5):
            await directory.reported.wait()
    assert "stream MZ1: closed: out_of_order: a message after stop" in caplog.text
    assert directory.reports[0].ending is Ending.CALLER_HUNG_UP


async def test_a_flood_of_messages_closes_the_stream(
    server: MediaServer, directory: MemoryDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    directory.expect(call_of())
    messages = StreamMessages()
    async with dial(server) as socket:
        await begin(socket, messages)
        with contextlib.suppress(websockets.ConnectionClosed):
            for _ in range(4000):
                await socket.send(messages.dtmf("1"))
        assert await close_code(socket) == 1003
    assert "closed: flooding: " in caplog.text


async def test_pings_are_answered_and_those_who_do_not_read_the_answers_are_dropped(
    server: MediaServer, directory: MemoryDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    directory.expect(call_of())
    async with dial(server) as socket:
        await begin(socket, StreamMessages())
        async with asyncio.timeout(5):
            await (await socket.ping())
        socket.transport.pause_reading()
        ping = b"\x89\xfd\x00\x00\x00\x00" + b"p" * 125
        async with asyncio.timeout(20):
            while not directory.reported.is_set():
                socket.transport.write(ping * 1000)
                await asyncio.sleep(0.001)
        socket.transport.abort()
    assert "bytes unread" in caplog.text


async def test_a_second_stream_of_a_call_replaces_the_first_which_reports_nothing(
    server: MediaServer, directory: MemoryDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    directory.expect(call_of(template_of(QUICK)), "one")
    directory.expect(call_of(template_of(QUICK)), "two")
    messages = StreamMessages("MZ2")
    async with dial(server) as first:
        await begin(first, StreamMessages("MZ1"), "one")
        await first.recv()
        async with dial(server) as second:
            await begin(second, messages, "two")
            assert await close_code(first) == 1008
            await answer_marks(second, messages)
        assert second.close_code == 1000
    assert [report.ending for report in directory.reports] == [Ending.REACHED_END]
    assert "stream MZ1: closed: replaced by stream MZ2 of the same call" in caplog.text


async def test_a_token_that_was_taken_opens_no_second_stream_and_does_not_disturb_the_first(
    server: MediaServer, directory: MemoryDirectory
) -> None:
    directory.expect(call_of(template_of(QUICK)))
    messages = StreamMessages("MZ1")
    async with dial(server) as first:
        await begin(first, messages)
        await first.recv()
        async with dial(server) as second:
            await begin(second, StreamMessages("MZ2"))
            assert await close_code(second) == 1008
        await answer_marks(first, messages)
    assert first.close_code == 1000


async def test_a_message_in_several_frames_is_read_as_one(server: MediaServer, directory: MemoryDirectory) -> None:
    directory.expect(call_of(template_of(QUICK)))
    messages = StreamMessages()
    async with dial(server) as socket:
        await socket.send(messages.connected())
        start = messages.start()
        await socket.send([start[:40], start[40:90], start[90:]])
        await answer_marks(socket, messages)
    assert socket.close_code == 1000


async def test_a_lost_socket_is_a_caller_who_hung_up(server: MediaServer, directory: MemoryDirectory) -> None:
    directory.expect(call_of())
    async with dial(server) as socket:
        await begin(socket, StreamMessages())
        await socket.recv()
        socket.transport.abort()
        async with asyncio.timeout(5):
            await directory.reported.wait()
    assert directory.reports[0].ending is Ending.CALLER_HUNG_UP


async def test_a_call_whose_socket_broke_goes_on_with_its_next_stream_which_alone_reports(
    server: MediaServer, directory: MemoryDirectory
) -> None:
    directory.expect(call_of(), "one")
    async with dial(server) as first:
        await begin(first, StreamMessages("MZ1"), "one")
        await first.recv()
        await asyncio.wait_for(directory.saved.wait(), 5)
        first.transport.abort()
    directory.expect(call_of(template_of(QUICK), resume=directory.states[-1]), "two")
    messages = StreamMessages("MZ2")
    async with dial(server) as second:
        await begin(second, messages, "two")
        await answer_marks(second, messages)
    assert second.close_code == 1000
    assert [report.ending for report in directory.reports] == [Ending.REACHED_END]


async def test_a_stopping_server_lets_calls_finish_and_takes_no_new_ones(
    server: MediaServer, directory: MemoryDirectory
) -> None:
    directory.expect(call_of(template_of(QUICK)))
    messages = StreamMessages()
    async with dial(server) as socket:
        await begin(socket, messages)
        await socket.recv()
        stopping = asyncio.create_task(server.stop(drain_s=10))
        await asyncio.sleep(0)
        assert (await health(server)).status_code == 503
        with pytest.raises(websockets.InvalidStatus):
            async with dial(server):
                pass
        await answer_marks(socket, messages)
        await stopping
    assert [report.ending for report in directory.reports] == [Ending.REACHED_END]


async def test_a_server_that_must_stop_closes_the_rest_without_a_report(
    server: MediaServer, directory: MemoryDirectory
) -> None:
    directory.expect(call_of())
    async with dial(server) as socket:
        await begin(socket, StreamMessages())
        await socket.recv()
        await server.stop(drain_s=0.05)
        assert await close_code(socket) == 1001
    assert directory.reports == []


async def test_a_peer_that_does_not_read_is_dropped_before_it_costs_memory(
    directory: MemoryDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    endless = {"say": "a " * 999 + "b"}
    flow = {
        "start": "one",
        "nodes": {
            "one": {**endless, "go": "two"},
            "two": {**endless, "go": "three"},
            "three": {**endless, "then": {"action": "end_conversation"}},
        },
    }
    directory.expect(call_of(template_of(flow)))
    # With a lead this long all of the speech, some 13 MB, goes out at once: more than the kernel takes.
    async with listening(directory, SessionLimits(lead_s=1e6)) as server, dial(server) as socket:
        await begin(socket, StreamMessages())
        await socket.recv()
        socket.transport.pause_reading()
        async with asyncio.timeout(20):
            await directory.reported.wait()
        socket.transport.abort()
    assert directory.reports[0].ending is Ending.CALLER_HUNG_UP
    assert "bytes unread" in caplog.text
