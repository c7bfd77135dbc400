"""The whole platform on one machine: Temporal, simulator, API, worker and media server in one data folder."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from breeze_buddy.cli.foreground import to_the_end
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.cli.stack_secrets import StackSecrets, load_or_make
from breeze_buddy.cli.stack_state import ProcessState, StackState, remove_state
from breeze_buddy.cli.supervisor import Supervisor


class Stack:
    """A running stack, as an async context manager: inside it everything serves, after it nothing is left.

    The caller holds the folder's lock. Raises BinaryMissing or StartFailed on entry.
    """

    def __init__(self, plan: StackPlan, *, announce: Callable[[str], None]) -> None:
        self.plan = plan
        self._started_at = datetime.now(UTC)
        self.supervisor = Supervisor(log_folder=plan.folder / "logs", changed=self._write_state, announce=announce)

    async def __aenter__(self) -> Self:
        try:
            await self._start(load_or_make(self.plan.folder))
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stop()

    async def hold(self) -> None:
        """Keep everything running until cancelled."""
        await self.supervisor.hold()

    def kill(self) -> None:
        """End every process at once, for somebody who will not wait."""
        self.supervisor.kill()

    async def _start(self, secrets: StackSecrets) -> None:
        plan, supervisor = self.plan, self.supervisor
        (plan.folder / "recordings").mkdir(exist_ok=True)
        self._write_state()
        await supervisor.start(plan.temporal(), plan.simulator(secrets))
        await supervisor.run(plan.migrate(secrets))
        await supervisor.start(plan.api(secrets), plan.worker(secrets), plan.media(secrets))

    async def _stop(self) -> None:
        try:
            await to_the_end(self.supervisor.stop())
        finally:
            remove_state(self.plan.folder)

    def _write_state(self) -> None:
        plan, supervisor = self.plan, self.supervisor
        StackState(
            pid=os.getpid(),
            data=str(plan.folder.resolve()),
            started_at=self._started_at,
            ports=plan.ports.by_name(),
            urls=plan.urls,
            processes={
                name: ProcessState(
                    pid=child.pid,
                    state=supervisor.states[name],
                    restarts=child.restarts,
                    log=str(child.log_path.resolve()),
                )
                for name, child in supervisor.children.items()
                if name in supervisor.states
            },
        ).write()
