"""Ports, toy processes and waiting for processes to end."""

import os
import select
import sys
from pathlib import Path

import pytest

from breeze_buddy.cli.ports import StackPorts, free_ports
from breeze_buddy.cli.process import ChildSpec
from breeze_buddy.cli.readiness import is_running, tcp_accepts

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
