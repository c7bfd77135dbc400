"""Keeps a set of processes running: starts them in order, brings back those that die, stops them all.

starting ──serves──► running ──ends──► waiting (back-off) ──► starting
    └──ends or takes too long, the first time──► StartFailed, and everything is stopped
"""

import asyncio
import logging
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from breeze_buddy.cli.errors import StartFailed
from breeze_buddy.cli.process import Child, ChildSpec

log = logging.getLogger(__name__)

FIRST_BACK_OFF_S = 0.25
LONGEST_BACK_OFF_S = 15.0
STEADY_AFTER_S = 30.0


class ChildState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPED = "stopped"


class Supervisor:
    """Children by name, in the order in which they were started.

    `changed` is called after each change of a process id or a state; `announce` gets sentences for a person.
    """

    def __init__(
        self,
        *,
        log_folder: Path,
        changed: Callable[[], None] = lambda: None,
        announce: Callable[[str], None] = log.warning,
    ) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self._log_folder = log_folder
        self._changed = changed
        self._announce = announce
        self._keepers: list[asyncio.Task[None]] = []
        self._jobs: list[Child] = []
        self.children: dict[str, Child] = {}
        self.states: dict[str, ChildState] = {}

    async def start(self, *specs: ChildSpec) -> None:
        """Start these side by side and return when all serve. Raises StartFailed for the first that cannot."""
        children = [Child(spec, self._log_folder) for spec in specs]
        self.children |= {child.name: child for child in children}
        tasks = [asyncio.create_task(self._bring_up(child)) for child in children]
        try:
            await asyncio.gather(*tasks)
        finally:
            await _cancel(tasks)
        self._keepers += [asyncio.create_task(self._keep(child), name=f"keep {child.name}") for child in children]

    async def run(self, spec: ChildSpec) -> None:
        """Run this to its end. Raises StartFailed unless it ends well and in time."""
        job = Child(spec, self._log_folder)
        self._jobs.append(job)
        await job.spawn()
        try:
            async with asyncio.timeout(spec.start_timeout_s):
                code = await job.until_exit()
        except TimeoutError:
            raise StartFailed(
                f"{spec.name} did not finish within {spec.start_timeout_s:g} s. {job.last_words()}"
            ) from None
        finally:
            await job.stop()
        if code != 0:
            raise StartFailed(f"{spec.name} failed: it {job.how_it_ended()}. {job.last_words()}")

    async def hold(self) -> None:
        """Watch over the children until cancelled."""
        await asyncio.gather(*self._keepers)

    async def stop(self) -> None:
        """End all, the last started first; each within its bound. Nothing is left running."""
        await _cancel(self._keepers)
        for child in reversed(self.children.values()):
            await child.stop()
            self._enter(child, ChildState.STOPPED)

    def kill(self) -> None:
        """Kill all at once, without waiting."""
        for child in (*self._jobs, *self.children.values()):
            child.kill()

    async def _bring_up(self, child: Child) -> None:
        await child.spawn()
        self._enter(child, ChildState.STARTING)
        await child.until_ready()
        self._enter(child, ChildState.RUNNING)

    async def _keep(self, child: Child) -> None:
        back_off_s = FIRST_BACK_OFF_S
        while True:
            since = time.monotonic()
            await child.until_exit()
            child.kill()  # whatever it left behind in its group
            if time.monotonic() - since > STEADY_AFTER_S:
                back_off_s = FIRST_BACK_OFF_S
            self._enter(child, ChildState.WAITING)
            self._announce(f"{child.name} {child.how_it_ended()}; starting it again in {back_off_s:g} s")
            await asyncio.sleep(back_off_s)
            back_off_s = min(2 * back_off_s, LONGEST_BACK_OFF_S)
            child.restarts += 1
            try:
                await self._bring_up(child)
            except StartFailed as error:
                self._announce(str(error))
                await child.stop()
            else:
                self._announce(f"{child.name} is running again")

    def _enter(self, child: Child, state: ChildState) -> None:
        self.states[child.name] = state
        self._changed()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
