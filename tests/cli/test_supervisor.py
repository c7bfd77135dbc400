"""Processes are started, brought back when they die, and stopped without a trace."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from breeze_buddy.cli.errors import StartFailed
from breeze_buddy.cli.ports import StackPorts
from breeze_buddy.cli.process import ChildSpec
from breeze_buddy.cli.supervisor import ChildState, Supervisor
from tests.cli.conftest import ends_within, is_alive, toy


class Watched:
    """A supervisor whose changes can be waited for."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.history: list[dict[str, ChildState]] = []
        self._changed = asyncio.Event()
        self.supervisor = Supervisor(log_folder=folder / "logs", changed=self._note, announce=self.said.append)

    def _note(self) -> None:
        self.history.append(dict(self.supervisor.states))
        self._changed.set()

    async def until(self, name: str, state: ChildState, *, other_than: int | None = None) -> int:
        """The process id once the child is in this state, in another process than before."""
        async with asyncio.timeout(20):
            while True:
                child = self.supervisor.children.get(name)
                pid = child.pid if child else None
                if self.supervisor.states.get(name) is state and pid is not None and pid != other_than:
                    return pid
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


async def test_a_killed_child_comes_back(watched: Watched, ports: StackPorts) -> None:
    supervisor = watched.supervisor
    try:
        await supervisor.start(toy("worker", "serve", ports.api))
        first = await watched.until("worker", ChildState.RUNNING)
        os.kill(first, signal.SIGKILL)
        second = await watched.until("worker", ChildState.RUNNING, other_than=first)
        assert is_alive(second)
        assert supervisor.children["worker"].restarts == 1
        assert "worker was killed by SIGKILL; starting it again in 0.25 s" in watched.said
    finally:
        await supervisor.stop()
    assert not is_alive(second)


async def test_a_child_that_ends_by_itself_is_brought_back_more_and_more_slowly(
    watched: Watched, tmp_path: Path
) -> None:
    supervisor = watched.supervisor
    try:
        await supervisor.start(ChildSpec("brief", (sys.executable, "-c", "import time; time.sleep(0.3)")))
        first = await watched.until("brief", ChildState.RUNNING)
        second = await watched.until("brief", ChildState.RUNNING, other_than=first)
        await watched.until("brief", ChildState.RUNNING, other_than=second)
    finally:
        await supervisor.stop()
    waits = [sentence for sentence in watched.said if "starting it again" in sentence]
    assert [wait.split("in ")[-1] for wait in waits[:2]] == ["0.25 s", "0.5 s"]


async def test_a_child_that_cannot_start_is_named_with_its_last_words(watched: Watched) -> None:
    with pytest.raises(StartFailed) as failure:
        await watched.supervisor.start(toy("media", "fail", "the model is missing", probe=_never, start_timeout_s=20.0))
    message = str(failure.value)
    assert "media could not start: it exited with code 3" in message
    assert "the model is missing" in message
    assert "media.log" in message
    await watched.supervisor.stop()


async def test_only_the_words_of_the_last_start_are_shown(watched: Watched, tmp_path: Path) -> None:
    for words in ("old trouble", "new trouble"):
        with pytest.raises(StartFailed) as failure:
            await Watched(tmp_path).supervisor.run(toy("migrate", "fail", words))
    assert "new trouble" in str(failure.value)
    assert "old trouble" not in str(failure.value)
    assert "old trouble" in (tmp_path / "logs" / "migrate.log").read_text()


async def test_a_child_that_runs_but_never_answers_is_an_error_in_time(watched: Watched) -> None:
    with pytest.raises(StartFailed, match=r"api runs, but did not answer within 0\.3 s"):
        await watched.supervisor.start(toy("api", "mute", probe=_never, start_timeout_s=0.3))
    pid = watched.supervisor.children["api"].pid
    assert pid is not None
    await watched.supervisor.stop()
    assert ends_within(pid, 0)


async def test_a_program_that_is_not_there_is_named(watched: Watched) -> None:
    with pytest.raises(StartFailed, match=r"(?s)exited with code 127.*no-such-program cannot be started"):
        await watched.supervisor.run(ChildSpec("job", ("no-such-program",)))


async def test_a_job_that_fails_is_an_error_and_one_that_ends_well_is_not(watched: Watched) -> None:
    await watched.supervisor.run(ChildSpec("migrate", (sys.executable, "-c", "")))
    with pytest.raises(StartFailed, match=r"(?s)migrate failed: it exited with code 3.*no such table"):
        await watched.supervisor.run(toy("migrate", "fail", "no such table"))


async def test_stopping_is_in_reverse_order_and_kills_what_does_not_listen(watched: Watched, ports: StackPorts) -> None:
    supervisor = watched.supervisor
    await supervisor.start(toy("temporal", "serve", ports.temporal))
    await supervisor.start(toy("media", "stubborn", ports.media, stop_timeout_s=0.2))
    pids = {name: child.pid for name, child in supervisor.children.items()}
    await supervisor.stop()
    assert watched.history[-2:] == [
        {"temporal": ChildState.RUNNING, "media": ChildState.STOPPED},
        {"temporal": ChildState.STOPPED, "media": ChildState.STOPPED},
    ]
    assert supervisor.children["media"].how_it_ended() == "was killed by SIGKILL"
    assert supervisor.children["temporal"].how_it_ended() == "was killed by SIGTERM"
    assert not any(is_alive(pid) for pid in pids.values() if pid is not None)


async def test_a_childs_own_children_are_ended_with_it(watched: Watched, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"

    async def written(_pid: int) -> bool:
        return note.exists()

    await watched.supervisor.start(toy("media", "parent", note, probe=written))
    grandchild = int(note.read_text())
    assert is_alive(grandchild)
    await watched.supervisor.stop()
    assert ends_within(grandchild, 5)


async def test_stopping_in_the_middle_of_a_start_leaves_nothing(watched: Watched) -> None:
    starting = asyncio.create_task(watched.supervisor.start(toy("api", "mute", probe=_never)))
    pid = await watched.until("api", ChildState.STARTING)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await watched.supervisor.stop()
    assert ends_within(pid, 0)


async def _never(_pid: int) -> bool:
    return False
