"""Ports, toy processes and waiting for processes to end."""

import os
import select
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from breeze_buddy.cli.ports import StackPorts, free_ports
from breeze_buddy.cli.process import ChildSpec
from breeze_buddy.cli.readiness import is_running, tcp_accepts
from tests.api.conftest import house, settings, sqlite_database, temporal, temporal_address
from tests.api.house import House
from tests.cli.shell import Shell, served

__all__ = ["house", "settings", "sqlite_database", "temporal", "temporal_address"]

TOY = str(Path(__file__).with_name("toy_child.py"))


@pytest.fixture
def ports() -> StackPorts:
    return free_ports()


def toy(name: str, mode: str, argument: object = "", **options: object) -> ChildSpec:
    """A toy child; one that serves is ready when its port accepts."""
    probe = tcp_accepts("127.0.0.1", int(str(argument))) if mode in ("serve", "stubborn") else is_running
    command = (sys.executable, TOY, mode, str(argument))
    return ChildSpec(**({"name": name, "command": command, "probe": probe} | options))  # type: ignore[arg-type]


def ends_within(pid: int, timeout_s: float) -> bool:
    """Whether the process is gone, now or within the time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def is_alive(pid: int) -> bool:
    return not ends_within(pid, 0)


@pytest.fixture
async def shell(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    """Somebody at a terminal, whose API runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("API_KEY", raising=False)
    async with served(house.app) as url:
        monkeypatch.setenv("BREEZE_API_URL", url)
        yield Shell(house, url, tmp_path)
