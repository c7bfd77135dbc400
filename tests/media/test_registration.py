"""A media server on the list of pods: seen while it lives, passed over while it drains, gone when it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import websockets
from sqlalchemy import text
from websockets.asyncio.client import connect

from breeze_buddy.domain.pod import Pod, PodInput
from breeze_buddy.media.engines import Engines
from breeze_buddy.media.registration import Registration, Served, pod_of
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.media.server import STREAM_PATH, MediaServer
from breeze_buddy.settings import Settings
from breeze_buddy.store import pods
from breeze_buddy.store.database import Database
from tests.media.fakes import KnownSounds, LoudIsSpeech, MemoryDirectory, Monotone

POD = PodInput(name="pod-0", stream_url="wss://pod-0.example.com/ws", capacity=2)


@pytest.fixture
async def stored(sqlite_url: str) -> AsyncIterator[Database]:
    made = Database(sqlite_url)
    yield made
    await made.close()


class Server:
    """What a media server is to its registration."""

    def __init__(self) -> None:
        self.streams = 0
        self.refuses = asyncio.Event()

    @property
    def served(self) -> Served:
        return Served(streams=lambda: self.streams, refuse=self.refuses.set)


@asynccontextmanager
async def registered(database: Database, server: Server, **times: Any) -> AsyncIterator[Registration]:
    registration = Registration(database, POD, **{"beat_every_s": 0.05, "latecomers_s": 0.3, **times})
    await registration.open(server.served)
    yield registration
    await registration.close()


async def listed(database: Database) -> Pod | None:
    async with database.read() as tx:
        return next(iter(await pods.listed(tx, now=database.now())), None)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - the list is in a database
            await asyncio.sleep(0.02)


async def test_it_is_listed_and_beats_until_it_ends(stored: Database) -> None:
    async with registered(stored, Server()):
        first = await listed(stored)
        assert first is not None
        assert (first.ready, first.capacity, first.live) == (True, 2, 0)

        async def beaten() -> bool:
            now = await listed(stored)
            return now is not None and now.beat_at > first.beat_at

        await until(beaten)
    assert await listed(stored) is None


async def test_told_to_drain_it_refuses_streams_and_stays_on_the_list(stored: Database) -> None:
    server = Server()
    async with registered(stored, server):
        async with stored.write() as tx:
            await pods.drain(tx, "pod-0")
        await asyncio.wait_for(server.refuses.wait(), 10)
        found = await listed(stored)
        assert found is not None
        assert not found.ready


async def test_told_to_stop_it_says_so_before_it_refuses_anything(stored: Database) -> None:
    server = Server()
    async with registered(stored, server) as registration:
        await registration.drain()
        found = await listed(stored)
        assert found is not None
        assert found.draining
        assert not server.refuses.is_set()


async def test_off_the_list_it_registers_again(stored: Database) -> None:
    async with registered(stored, Server()):
        async with stored.write() as tx:
            await pods.deregister(tx, "pod-0", now=stored.now())

        async def back() -> bool:
            return await listed(stored) is not None

        await until(back)


async def test_a_database_in_trouble_does_not_end_it(stored: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with registered(stored, Server()):
        async with stored.write() as tx:
            await tx.execute(text("ALTER TABLE pods RENAME TO pods_away"))

        async def complained() -> bool:
            return "could not beat" in caplog.text

        await until(complained)
        async with stored.write() as tx:
            await tx.execute(text("ALTER TABLE pods_away RENAME TO pods"))
        before = await listed(stored)
        assert before is not None

        async def beaten() -> bool:
            now = await listed(stored)
            return now is not None and now.beat_at > before.beat_at

        await until(beaten)


def test_a_pod_is_named_by_its_address_unless_it_has_a_name() -> None:
    named = Settings(_env_file=None, media_port=9001)
    assert (pod_of(named).name, pod_of(named).stream_url) == ("127.0.0.1:9001", named.stream_url)
    anywhere = pod_of(Settings(_env_file=None, media_host="0.0.0.0"))
    assert not anywhere.name.startswith("0.0.0.0"), "every pod would have this name"
    own = Settings(_env_file=None, pod_name="pod-7", pod_stream_url="wss://pod-7.example.com/ws", pod_pool="vip")
    assert pod_of(own) == PodInput(name="pod-7", stream_url="wss://pod-7.example.com/ws", pool="vip", capacity=50)


# The server's sockets


@asynccontextmanager
async def listening(**how: Any) -> AsyncIterator[MediaServer]:
    engines = Engines(
        voice_activity=LoudIsSpeech(), transcriber=KnownSounds(), dialogue=ScriptedDialogue(), speaker=Monotone()
    )
    server = MediaServer(directory=MemoryDirectory(), engines=engines, **how)
    await server.start()
    yield server
    await server.stop()


async def test_a_full_pod_turns_a_stream_away_and_takes_one_when_another_has_ended() -> None:
    async with listening(capacity=1, bounded=True) as server:
        url = f"ws://127.0.0.1:{server.port}{STREAM_PATH}"
        async with connect(url):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(url)
            assert refused.value.response.status_code == 503

        async def empty() -> bool:
            return server.streams == 0

        await until(empty)
        async with connect(url):
            assert server.streams == 1


async def test_without_pod_isolation_nobody_is_turned_away() -> None:
    async with listening(capacity=1) as server:
        url = f"ws://127.0.0.1:{server.port}{STREAM_PATH}"
        async with connect(url), connect(url):
            assert server.streams == 2


async def test_metrics_tell_prometheus_how_busy_it_is() -> None:
    async with listening(capacity=4) as server, httpx.AsyncClient(trust_env=False) as client:
        async with connect(f"ws://127.0.0.1:{server.port}{STREAM_PATH}"):
            answer = await client.get(f"http://127.0.0.1:{server.port}/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        samples = dict(line.split() for line in answer.text.splitlines() if not line.startswith("#"))
        assert (
            samples
            | {
                "breeze_media_streams": "1",
                "breeze_media_streams_capacity": "4",
                "breeze_media_load_ratio": "0.25",
                "breeze_media_draining": "0",
            }
            == samples
        )
        server.refuse()
        assert "breeze_media_draining 1" in (await client.get(f"http://127.0.0.1:{server.port}/metrics")).text
