"""A Temporal server whose time can be skipped, and a platform on it for each test."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from breeze_buddy.activities.payloads import data_converter
from breeze_buddy.activities.signals import ATTEMPTS, CALL_OUTCOME, CAMPAIGN_ID, LEAD_STATUS, TEMPLATE_NAME
from breeze_buddy.cli.temporal_server import find_temporal
from breeze_buddy.cli.temporal_setup import ATTRIBUTES
from breeze_buddy.store.database import Database

from .rig import Rig, SkippedClock


@pytest_asyncio.fixture
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    binary = Path(sys.executable).parent / "temporal-test-server"
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(binary), data_converter=data_converter
    )
    async with environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(search_attributes=ATTRIBUTES, namespace=environment.client.namespace)
        )
        yield environment


@pytest_asyncio.fixture
async def real_time() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's development server, which has schedules and cannot skip time."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_temporal()),
        data_converter=data_converter,
        search_attributes=[CAMPAIGN_ID, TEMPLATE_NAME, LEAD_STATUS, CALL_OUTCOME, ATTEMPTS],
        dev_server_log_level="error",
    )
    async with environment:
        yield environment


@pytest_asyncio.fixture
async def real_time_rig(real_time: WorkflowEnvironment, migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Rig]:
    file = tmp_path / "breeze.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    clock = SkippedClock()
    database = Database(f"sqlite+aiosqlite:///{file}", clock=clock)
    async with Rig(real_time, database, clock, tmp_path).running() as running:
        yield running
    await database.close()


@pytest_asyncio.fixture
async def rig(environment: WorkflowEnvironment, migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Rig]:
    file = tmp_path / "breeze.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    clock = SkippedClock()
    await clock.look(environment)
    database = Database(f"sqlite+aiosqlite:///{file}", clock=clock)
    async with Rig(environment, database, clock, tmp_path).running() as running:
        yield running
    await database.close()
