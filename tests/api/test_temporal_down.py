"""Temporal is away for a while: what Twilio and people said is kept, and is delivered when it is back."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from breeze_buddy.activities.clients import account_limits
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.relay import Relay
from breeze_buddy.activities.signals import Signals
from breeze_buddy.cli.process import Child, ChildSpec
from breeze_buddy.cli.readiness import tcp_accepts
from breeze_buddy.cli.temporal_setup import connect, prepare
from breeze_buddy.settings import Settings
from breeze_buddy.store.database import Database, utc_now
from tests.api.house import House, person

ENDED = {"CallSid": "CA1", "CallStatus": "completed", "SequenceNumber": "3"}


class Clock:
    """A time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(sqlite_url: str, clock: Clock) -> AsyncIterator[Database]:
    made = Database(sqlite_url, clock=clock)
    yield made
    await made.close()


@pytest.fixture
async def server(tmp_path: Path, free_port: int) -> AsyncIterator[Child]:
    """A development server of this test's own, which keeps its state."""
    command: tuple[str, ...] = (
        str(Path(sys.executable).parent / "temporal"),
        "server",
        "start-dev",
        "--headless",
        "--ip",
        "127.0.0.1",
    )
    command += ("--port", str(free_port), "--db-filename", str(tmp_path / "temporal.db"), "--log-level", "error")
    child = Child(ChildSpec("temporal", command, {}, probe=tcp_accepts("127.0.0.1", free_port)), tmp_path)
    await child.spawn()
    await child.until_ready()
    yield child
    await child.stop()


async def test_what_was_said_while_temporal_was_away_is_delivered_later(
    server: Child, free_port: int, settings: Settings, database: Database, clock: Clock
) -> None:
    address = f"127.0.0.1:{free_port}"
    await prepare(await connect(address, "default", wait_s=30), retention_days=1)
    temporal = await Client.connect(address, data_converter=pydantic_data_converter)
    house = House(settings, database, temporal)
    await house.number(channels=2)
    lead_id, call_id = await house.dialled_call()
    assert await house.signals_of(lead_id) == ["grant"]

    await server.stop()
    health = await house.get("/health")
    assert (health.status_code, health.json()["temporal"]) == (503, "unreachable")
    began = time.monotonic()
    told, pushed, asked = await asyncio.gather(
        house.twilio("status", call_id, ENDED),
        house.push(person(1)),
        house.post(f"/leads/{lead_id}/cancel", {"hang_up": False}),
    )
    # Twilio's news are kept, and acknowledged before it gives up waiting.
    assert told.status_code == 204
    assert time.monotonic() - began < 12
    assert (await house.get(f"/calls/{call_id}")).json()["status"] == "completed"
    # A push is kept and has its line.
    assert (await house.lead(pushed["id"]))["status"] == "PROCESSING"
    # What has to reach a workflow now says so, and is kept all the same.
    assert (asked.status_code, asked.json()["code"]) == (503, "temporal_unreachable")

    await server.spawn()
    await server.until_ready()
    await connect(address, "default", wait_s=30)
    signals = Signals(temporal, settings.temporal_task_queue)
    relay = Relay(database, Dispatcher(database, signals, account_limits(settings)), signals)
    # Nothing is sent again before its time.
    assert await relay.pass_once() == 0
    clock.now += timedelta(minutes=1)
    assert await relay.pass_once() == 3
    assert (await house.signals_of(lead_id))[:2] == ["grant", "call_ended"]
    assert "cancel" in await house.signals_of(lead_id)
    assert await house.signals_of(pushed["id"]) == ["grant"]
    # What is delivered is not delivered again; a cancel is, until its lead has finished.
    clock.now += timedelta(minutes=1)
    await relay.pass_once()
    assert (await house.signals_of(lead_id)).count("call_ended") == 1
    await house.close()
