"""One child process: started on a tether, written to a log file of its own, stopped within a bound."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from breeze_buddy.cli import tether
from breeze_buddy.cli.errors import StartFailed
from breeze_buddy.cli.readiness import Probe, is_running

_LONGEST_LOG_BYTES = 20_000_000
_PROBE_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run and how to know that it serves. `environment` is the whole of it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    probe: Probe = is_running
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 10.0


class Child:
    """A process made from a spec; it may be started again after it ended. It leads a process group of its own."""

    def __init__(self, spec: ChildSpec, log_folder: Path) -> None:
        self.spec = spec
        self.log_path = log_folder / f"{spec.name}.log"
        self.restarts = 0
        self._process: Process | None = None
        self._log_begins_at = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def spawn(self) -> None:
        """Start the process; it is not known to serve yet."""
        with self._open_log() as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *self.spec.command),
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                env=dict(self.spec.environment),
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor, which stops all in order
            )

    async def until_ready(self) -> None:
        """Return when the process serves. Raises StartFailed with its last words if it ends or takes too long."""
        assert self._process is not None
        exited = asyncio.ensure_future(self._process.wait())
        try:
            async with asyncio.timeout(self.spec.start_timeout_s):
                while not exited.done():
                    if await self.spec.probe(self._process.pid) and not exited.done():
                        return
                    await asyncio.wait({exited}, timeout=_PROBE_EVERY_S)
        except TimeoutError:
            raise StartFailed(
                f"{self.name} runs, but did not answer within {self.spec.start_timeout_s:g} s. {self.last_words()}"
            ) from None
        finally:
            exited.cancel()
        raise StartFailed(f"{self.name} could not start: it {self.how_it_ended()}. {self.last_words()}")

    async def until_exit(self) -> int:
        """The exit code, when the process has ended; negative is the signal that ended it."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to end, and kill it if it has not within its bound. Nothing of its group is left."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.spec.stop_timeout_s):
                    await self._process.wait()
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """Kill the process and whatever it left in its group, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """A clause: `exited with code 1`, `was killed by SIGKILL`."""
        code = self._process.returncode if self._process else None
        if code is None:
            return "is running"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with code {code}"

    def last_words(self, lines: int = 15) -> str:
        """The last lines of the log since the last start, and where the whole of it is."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_begins_at)
            text = log.read().decode(errors="replace")
        tail = [line for line in text.splitlines() if line.strip()][-lines:]
        said = "\n".join(f"  | {line}" for line in tail) if tail else "  | (nothing)"
        return f"The end of {self.log_path}:\n{said}"

    def _open_log(self) -> BinaryIO:
        if self.log_path.exists() and self.log_path.stat().st_size > _LONGEST_LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        log = self.log_path.open("ab")
        log.write(f"--- {self.name} started {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
        log.flush()
        self._log_begins_at = log.tell()
        return log
