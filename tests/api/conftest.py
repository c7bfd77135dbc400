"""The API over SQLite and Temporal's real development server; nobody works for its task queue."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from breeze_buddy.activities.signals import ATTEMPTS, CALL_OUTCOME, CAMPAIGN_ID, LEAD_STATUS, TEMPLATE_NAME
from breeze_buddy.cli.temporal_server import find_temporal
from breeze_buddy.settings import Settings
from breeze_buddy.store.database import Database
from tests.api.house import House, settings_for


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    """One server for the session, kept by an event loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        starting = WorkflowEnvironment.start_local(
            dev_server_existing_path=str(find_temporal()),
            search_attributes=[CAMPAIGN_ID, TEMPLATE_NAME, LEAD_STATUS, CALL_OUTCOME, ATTEMPTS],
            dev_server_log_level="error",
        )
        environment = asyncio.run_coroutine_threadsafe(starting, loop).result(60)
        yield environment.client.service_client.config.target_host
        asyncio.run_coroutine_threadsafe(environment.shutdown(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
async def temporal(temporal_address: str) -> Client:
    return await Client.connect(temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    made = Database(sqlite_url)
    yield made
    await made.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(recordings_url=f"file://{tmp_path / 'recordings'}")


@pytest.fixture
async def house(settings: Settings, sqlite_database: Database, temporal: Client) -> AsyncIterator[House]:
    made = House(settings, sqlite_database, temporal)
    yield made
    await made.close()
