"""Calls that come and go for as long as you like, and whether anything grows: memory, tasks, open files.

One media server with whole conversations on instant engines; its callers arrive in rounds, talk for some seconds, and
hang up, every second round in the middle of an answer. Between the rounds nobody is there, and the server is
looked at. The first rounds warm it up.

    python -m bench.media_soak [--minutes 30] [--streams 30] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from bench.figures_table import table
from bench.media_load import Load
from bench.media_rig import HOUSE, Server, ServerFailed, serving
from bench.media_sounds import Sounds, make_sounds
from bench.process_figures import cpu_s, machine, memory_mib
from breeze_buddy.media.server import STREAM_PATH

MOST_GROWTH_MIB = 4.0
"""Of the allocator's ups and downs."""
MOST_IDLE_TASKS = 5
"""By so many tasks two looks at a server with nobody on it may differ."""
WARM_UP_ROUNDS = 2
ROUND_S = 10.0


@dataclass(frozen=True)
class Look:
    """The server with nobody on it."""

    at_s: float
    calls: int
    memory_mib: float
    tasks: int
    files: int
    cpu_s: float


def wrong(looks: list[Look]) -> list[str]:
    """What has grown since the warm-up: between the first and the last quarter of the looks after it."""
    steady = looks[WARM_UP_ROUNDS:]
    if len(steady) < 2:
        return ["too short to tell"]
    quarter = max(1, len(steady) // 4)
    begin, end = steady[:quarter], steady[-quarter:]
    found = []
    grown = median(look.memory_mib for look in end) - median(look.memory_mib for look in begin)
    if grown > MOST_GROWTH_MIB:
        found.append(f"memory grew by {grown:.1f} MiB")
    for name in ("tasks", "files"):
        before, after = max(getattr(look, name) for look in begin), min(getattr(look, name) for look in end)
        if after > before:
            found.append(f"{name} grew from {before} to {after}")
    fewest, most = min(look.tasks for look in steady), max(look.tasks for look in steady)
    if most > fewest + MOST_IDLE_TASKS:
        found.append(f"tasks were left by calls that were over: {fewest} to {most} with nobody there")
    return found


async def soak(minutes: float, streams: int, sounds: Sounds) -> list[Look]:
    """A look after each round. Raises ServerFailed."""
    looks: list[Look] = []
    began_s = time.monotonic()
    async with serving((sys.executable, "-m", "bench.media_server", "plain"), core=None) as server:
        while not looks or time.monotonic() - began_s < minutes * 60 or len(looks) <= WARM_UP_ROUNDS + 1:
            load = Load(
                url=f"ws://127.0.0.1:{server.port}{STREAM_PATH}",
                streams=streams,
                window_s=min(ROUND_S, minutes * 15) - 0.7 * (len(looks) % 2),
                sound=str(sounds.speech),
                pause_s=3.0,
                noise=str(sounds.noise),
                before_s=2.0,  # after the salutation, in which nothing is an answer
                ramp_s=1.0,
                settle_s=0.1,
                token=f"round{len(looks)}",
            )
            calls = (looks[-1].calls if looks else 0) + await _round(load)
            looks.append(replace(await _look(server), at_s=time.monotonic() - began_s, calls=calls))
            print(_line(looks[-1]), file=sys.stderr, flush=True)
        await server.stop((0, 0, 0))
    return looks


async def _round(load: Load) -> int:
    caller = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.media_load",
        cwd=HOUSE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await caller.communicate(json.dumps(asdict(load)).encode())
    seen = json.loads(out.splitlines()[-1])
    if seen["streams_lost"] or not seen["frames"]:
        raise ServerFailed(f"{seen['streams_lost']} streams were lost, {seen['frames']} frames came")
    return load.streams


async def _look(server: Server) -> Look:
    assert server.process.stdout is not None
    pid = server.process.pid
    async with asyncio.timeout(10):
        while True:
            server.process.send_signal(signal.SIGUSR1)
            tasks, streams = (await server.process.stdout.readline()).split()
            if int(streams) == 0:
                break
            await asyncio.sleep(0.05)
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return Look(0.0, 0, memory_mib(pid), int(tasks), files, cpu_s(pid))


def _line(look: Look) -> str:
    return (
        f"{look.at_s:7.0f} s  {look.calls:6d} calls  {look.memory_mib:7.1f} MiB  "
        f"{look.tasks:3d} tasks  {look.files:3d} files  {look.cpu_s:7.1f} s CPU"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--streams", type=int, default=30, help="callers at once")
    parser.add_argument("--json", type=Path, help="write what was seen to this file, too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="breeze-bench-") as folder:
        looks = asyncio.run(soak(asked.minutes, asked.streams, make_sounds(Path(folder))))
    shown = looks[:: max(1, len(looks) // 12)]
    shown = shown if shown[-1] is looks[-1] else [*shown, looks[-1]]
    head = ("after s", "calls", "memory MiB", "tasks", "files", "CPU s")
    seen = [(look.at_s, look.calls, look.memory_mib, look.tasks, look.files, look.cpu_s) for look in shown]
    rows = [tuple(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row) for row in seen]
    print(table([head, *rows]))
    print(machine())
    if asked.json:
        asked.json.write_text(json.dumps([asdict(look) for look in looks], indent=2))
    found = wrong(looks)
    for what in found:
        print(what, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
