"""Whatever ends the supervisor, its children end with it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from breeze_buddy.cli.foreground import to_the_end
from breeze_buddy.cli.ports import StackPorts
from tests.cli.conftest import ends_within, is_alive

_STACK = Path(__file__).with_name("toy_stack.py")


@contextmanager
def _stack(folder: Path, ports: StackPorts) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    stack = subprocess.Popen(
        [sys.executable, str(_STACK), str(folder), str(ports.api), str(ports.media)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with stack:
        try:
            assert stack.stdout is not None
            pids = list(json.loads(stack.stdout.readline()).values())
            assert len(pids) == 2
            assert all(is_alive(pid) for pid in pids)
            yield stack, pids
        finally:
            stack.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_processes(tmp_path: Path, ports: StackPorts, how: signal.Signals) -> None:
    with _stack(tmp_path, ports) as (stack, pids):
        stack.send_signal(how)
        assert stack.wait(timeout=20) == 130
        assert not any(is_alive(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's request is Linux's")
def test_killing_the_supervisor_outright_leaves_nothing(tmp_path: Path, ports: StackPorts) -> None:
    with _stack(tmp_path, ports) as (stack, pids):
        stack.send_signal(signal.SIGKILL)
        assert all(ends_within(pid, 5) for pid in pids)


def test_a_second_copy_on_the_same_folder_ends_with_an_error(tmp_path: Path, ports: StackPorts) -> None:
    with _stack(tmp_path, ports) as (stack, _):
        second = subprocess.run(
            [sys.executable, "-m", "breeze_buddy.cli", "up", "--data", str(tmp_path), "--free-ports"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 1
        assert f"in use by another Breeze Buddy, process {stack.pid}" in second.stderr


async def test_cleaning_up_is_finished_even_if_a_signal_comes_meanwhile() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def clean_up() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    caller = asyncio.create_task(to_the_end(clean_up()))
    await begun.wait()
    caller.cancel()
    asyncio.get_running_loop().call_soon(may_end.set)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


def test_a_second_signal_leaves_nothing_behind(tmp_path: Path, ports: StackPorts) -> None:
    with _stack(tmp_path, ports) as (stack, pids):
        stack.send_signal(signal.SIGINT)
        stack.send_signal(signal.SIGTERM)
        assert stack.wait(timeout=20) == 130
        assert not any(is_alive(pid) for pid in pids)
