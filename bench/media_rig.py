"""One server process under the load of another: CPU and memory from the operating system, times from the callers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.media_load import Load, Seen
from bench.process_figures import cpu_s, memory_mib

HOUSE = Path(__file__).parents[1]
STARTS_WITHIN_S = 120.0


@dataclass(frozen=True)
class Run:
    """A server under load for a while. `cpu_ms_a_stream_s`: milliseconds of its CPU for a second of one stream."""

    name: str
    streams: int
    window_s: float
    cpu_ms_a_stream_s: float
    cpu_share: float
    mb_a_stream: float
    seen: Seen
    turn_ms: list[float]
    sent: "Sent"

    @property
    def streams_a_core(self) -> float:
        return 1000 / self.cpu_ms_a_stream_s if self.cpu_ms_a_stream_s else 0.0

    @property
    def us_a_frame(self) -> float:
        """CPU for one frame in and what goes out for it."""
        return self.cpu_ms_a_stream_s * 1000 / 50


@dataclass(frozen=True)
class Sent:
    """What our server says of its frames in the window: `late` were handed to the kernel more than 20 ms after their
    time. The burst's figures are of streams that were there before it, for the two seconds after."""

    frames: int = 0
    late: int = 0
    late_ms_p99: float = 0.0
    late_ms_max: float = 0.0
    burst_frames: int = 0
    burst_late_ms_p99: float = 0.0

    @property
    def late_share(self) -> float:
        return self.late / self.frames if self.frames else 0.0


class ServerFailed(Exception):
    """It did not come up, or went away; with the end of what it printed."""


@dataclass
class Server:
    """`command` prints its port when it listens."""

    process: asyncio.subprocess.Process
    port: int
    idle_mib: float

    async def stop(self, window: Sequence[float]) -> str:
        """What it printed at its end, asked about a window of time."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20):
                out, _ = await self.process.communicate(json.dumps(window).encode() + b"\n")
        except TimeoutError:
            self.process.kill()
            return ""
        return out.decode()


@asynccontextmanager
async def serving(command: Sequence[str], *, core: int | None = 0) -> AsyncIterator[Server]:
    """Run a server on one core; it ends with the block. Raises ServerFailed."""
    process = await asyncio.create_subprocess_exec(
        *_on_core(core),
        *command,
        cwd=HOUSE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "LOGURU_LEVEL": "CRITICAL"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            said = await process.stdout.readline()
        if not said.strip().isdigit():
            raise ServerFailed(f"{command[-1]} did not come up: {said.decode()}")
        yield Server(process, int(said), memory_mib(process.pid))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def measure(name: str, command: Sequence[str], load: Load, *, core: int | None = 0) -> Run:
    """Start the server, put `load` on it (its `url` is the path), read its CPU in the window. Raises ServerFailed."""
    async with serving(command, core=core) as server:
        asked = replace(load, url=f"ws://127.0.0.1:{server.port}{load.url}")
        caller = await asyncio.create_subprocess_exec(
            *_off_core(core),
            sys.executable,
            "-m",
            "bench.media_load",
            cwd=HOUSE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert caller.stdin is not None
        assert caller.stdout is not None
        try:
            caller.stdin.write(json.dumps(asdict(asked)).encode())
            caller.stdin.close()
            await _line(caller, "measuring")
            before_s, began_s = cpu_s(server.process.pid), asyncio.get_running_loop().time()
            await _line(caller, "measured")
            used_s = cpu_s(server.process.pid) - before_s
            window_s = asyncio.get_running_loop().time() - began_s
            grown_mib = memory_mib(server.process.pid) - server.idle_mib
            seen = Seen(**json.loads(await caller.stdout.readline()))
            await caller.wait()
        finally:
            if caller.returncode is None:
                caller.kill()
                await caller.wait()
        turn_ms, sent = _own_words(await server.stop((seen.began_s, seen.ended_s, seen.burst_s)))
    streams = load.streams
    return Run(
        name=name,
        streams=streams,
        window_s=window_s,
        cpu_ms_a_stream_s=used_s * 1000 / (window_s * streams),
        cpu_share=used_s / window_s,
        mb_a_stream=grown_mib * 1.048576 / (streams + load.burst),
        seen=seen,
        turn_ms=turn_ms,
        sent=sent if load.reply_frames else Sent(),
    )


def _own_words(printed: str) -> tuple[list[float], Sent]:
    last = printed.strip().splitlines()
    if not last or not last[-1].startswith("{"):
        return [], Sent()
    found: dict[str, Any] = json.loads(last[-1])
    return found.pop("turn_ms"), Sent(**found)


async def _line(process: asyncio.subprocess.Process, wanted: str) -> None:
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode().strip()
    if said != wanted:
        raise ServerFailed(f"the callers said {said!r} instead of {wanted!r}")


def _on_core(core: int | None) -> tuple[str, ...]:
    cores = sorted(os.sched_getaffinity(0))
    if core is None or len(cores) < 2:
        return ()
    return ("taskset", "-c", str(cores[core]))


def _off_core(core: int | None) -> tuple[str, ...]:
    cores = sorted(os.sched_getaffinity(0))
    if core is None or len(cores) < 2:
        return ()
    return ("taskset", "-c", ",".join(str(other) for other in cores if other != cores[core]))
