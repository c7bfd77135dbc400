"""What the media server costs and how punctual it is, beside the least that is possible and beside Pipecat.

Each server is a process on one core; its callers are another process, on the other cores, on 127.0.0.1. CPU is what
the operating system says of the server in the window. A caller speaks for 3.3 s and is silent for 3 s, in which the
answer of 2 s comes; everybody hears the same sound. Ratios are of one run.

    wire     a bare WebSocket of picows that sends back what comes; ours with parsing, µ-law, pacing and marks
    talk     whole conversations with instant recognition and speech; the same on Pipecat
    full     as many conversations as one core is to carry
    burst    new calls all at once among others in progress
    local    offline recognition and speech

    python -m bench.media [--only wire,talk,…] [--seconds 20] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures_table import table
from bench.media_load import Load, percentile
from bench.media_rig import Run, ServerFailed, measure
from bench.media_rival import RivalMissing, rival_python
from bench.media_server import GREETING_FRAMES, REPLY_FRAMES
from bench.media_sounds import Sounds, make_sounds
from bench.process_figures import machine
from breeze_buddy.media.server import STREAM_PATH

SECTIONS = ("wire", "talk", "full", "burst", "local")


@dataclass(frozen=True)
class Plan:
    """How many streams each section has, and for how many seconds each server is measured. `rival_streams` is what
    Pipecat carries without falling behind; 0 leaves it out."""

    seconds: float = 20.0
    wire_streams: int = 100
    talk_streams: int = 100
    rival_streams: int = 6
    full_streams: int = 140
    burst_streams: int = 40
    burst: int = 20
    local_streams: int = 30
    sections: tuple[str, ...] = SECTIONS
    ramp_s: float = 6.3
    before_s: float = 3.0
    settle_s: float = 4.0


@dataclass
class Bench:
    """The runs by name, and why one is missing."""

    runs: dict[str, Run] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def figures(self) -> dict[str, float | None]:
        """The figures by their published names; None where a run is missing."""
        echo, wire, talk, rival = (self.runs.get(name) for name in ("echo", "wire", "talk", "pipecat"))
        full, burst, local = (self.runs.get(name) for name in ("full", "burst", "local"))
        turns = talk.turn_ms if talk else []
        greetings = sorted(talk.seen.greeting_ms) if talk else []
        return {
            "cpu_ratio_to_native_echo": _ratio(wire, echo),
            "cpu_ratio_to_pipecat": _ratio(talk, rival),
            "late_frame_share": full.sent.late_share if full else None,
            "turn_overhead_ms_p50": percentile(turns, 50) if turns else None,
            "turn_overhead_ms_p99": percentile(turns, 99) if turns else None,
            "answer_to_greeting_ms_p95": percentile(greetings, 95) if greetings else None,
            "answer_to_greeting_ms_max": greetings[-1] if greetings else None,
            "cpu_ms_a_stream_second": talk.cpu_ms_a_stream_s if talk else None,
            "pipecat_cpu_ms_a_stream_second": rival.cpu_ms_a_stream_s if rival else None,
            "mb_a_stream": full.mb_a_stream if full else talk.mb_a_stream if talk else None,
            "full_core_share": full.cpu_share if full else None,
            "full_unheard_frames": full.seen.unheard_frames if full else None,
            "full_lost": full.seen.streams_lost + full.seen.lost_frames if full else None,
            "burst_late_ms_p99": burst.sent.burst_late_ms_p99 if burst else None,
            "local_turn_ms_p50": percentile(local.turn_ms, 50) if local else None,
            "local_turn_ms_p95": percentile(local.turn_ms, 95) if local else None,
        }

    def wrong(self) -> list[str]:
        """What misses its mark, and what cannot be right at all."""
        found = self.figures()
        said = [
            f"{name}: {value:.3g}, at most {most}" for name, most in MARKS.items() if (value := found[name] or 0) > most
        ]
        for run in self.runs.values():
            if run.seen.streams_lost:
                said.append(f"{run.name}: {run.seen.streams_lost} streams were lost")
            if run.seen.frames == 0 or run.seen.replies == 0:
                said.append(f"{run.name}: nothing was answered")
        return said


MARKS = {
    "cpu_ratio_to_native_echo": 2.5,
    "cpu_ratio_to_pipecat": 1 / 15,
    "late_frame_share": 0.001,
    "turn_overhead_ms_p50": 5.0,
    "turn_overhead_ms_p99": 20.0,
    "answer_to_greeting_ms_p95": 100.0,
    "cpu_ms_a_stream_second": 5.0,
    "mb_a_stream": 0.3,
    "full_lost": 0,
    "burst_late_ms_p99": 20.0,
    "local_turn_ms_p95": 400.0,
}


def _ratio(one: Run | None, other: Run | None) -> float | None:
    return one.cpu_ms_a_stream_s / other.cpu_ms_a_stream_s if one and other else None


async def run(plan: Plan, sounds: Sounds, rival: Path | None = None) -> Bench:
    """All servers of the plan, one after the other. `rival` is the interpreter that has Pipecat."""
    bench = Bench()
    ours = (sys.executable, "-m", "bench.media_server")
    spoken: dict[str, Any] = {"greeting_frames": GREETING_FRAMES, "reply_frames": REPLY_FRAMES}

    def load(streams: int, *, url: str = STREAM_PATH, **more: Any) -> Load:
        files: dict[str, Any] = {"sound": str(sounds.speech), "noise": str(sounds.noise)}
        times: dict[str, Any] = {"ramp_s": plan.ramp_s, "before_s": plan.before_s, "settle_s": plan.settle_s}
        return Load(url, streams, plan.seconds, pause_s=3.0, **files, **times, **more)

    async def add(name: str, command: tuple[str, ...], asked: Load) -> None:
        print(f"{name}: {asked.streams} streams …", file=sys.stderr, flush=True)
        try:
            bench.runs[name] = await measure(name, command, asked)
        except ServerFailed as failed:
            bench.missing[name] = str(failed)

    if "wire" in plan.sections:
        await add("echo", (sys.executable, "-m", "bench.media_echo"), load(plan.wire_streams, url="/"))
        await add("wire", (*ours, "wire"), load(plan.wire_streams))
    if "talk" in plan.sections:
        await add("talk", (*ours, "talk"), load(plan.talk_streams, **spoken))
        if rival is not None and plan.rival_streams:
            await add("pipecat", (str(rival), "bench/media_pipecat.py"), load(plan.rival_streams, url="/"))
    if "full" in plan.sections:
        await add("full", (*ours, "talk"), load(plan.full_streams, **spoken))
    if "burst" in plan.sections:
        await add("burst", (*ours, "talk"), load(plan.burst_streams, burst=plan.burst, **spoken))
    if "local" in plan.sections:
        await add("local", (*ours, "local"), load(plan.local_streams))
    return bench


def report(bench: Bench) -> str:
    """Ratios first, then a line for each server, in Markdown."""
    found = bench.figures()
    rows = [("figure", "measured", "wanted")]
    for name, value in found.items():
        shown = (
            "not measured"
            if value is None
            else f"{value:.4f}"
            if "share" in name or "ratio" in name
            else f"{value:.2f}"
        )
        rows.append((name, shown, f"at most {MARKS[name]:.4g}" if name in MARKS else ""))
    servers = [
        ("server", "streams", "CPU ms a stream-second", "streams a core", "µs a frame", "MB a stream", "core used",
         "sent late >20 ms", "sound to reply ms p50, p95", "turn ms p50, p99"),
    ]  # fmt: skip
    for run in bench.runs.values():
        replies = sorted(run.seen.reply_ms)
        servers.append(
            (
                run.name,
                str(run.streams),
                f"{run.cpu_ms_a_stream_s:.2f}",
                f"{run.streams_a_core:.0f}",
                f"{run.us_a_frame:.0f}",
                f"{run.mb_a_stream:.2f}",
                f"{run.cpu_share:.2f}",
                f"{run.sent.late} of {run.sent.frames}" if run.sent.frames else "",
                f"{percentile(replies, 50):.0f}, {percentile(replies, 95):.0f}",
                f"{percentile(run.turn_ms, 50):.1f}, {percentile(run.turn_ms, 99):.1f}" if run.turn_ms else "",
            )
        )
    missing = [f"{name}: not measured: {why}" for name, why in bench.missing.items()]
    return "\n".join([table(rows), "", table(servers), *missing])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="how long each server is measured")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between them")
    parser.add_argument("--no-pipecat", action="store_true", help="do not install and measure Pipecat")
    parser.add_argument("--nice", type=int, default=0, help="priority of servers and callers; below 0 needs root")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    asked = parser.parse_args()
    sections = tuple(asked.only.split(","))
    if wrong := set(sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(wrong)}; there are {', '.join(SECTIONS)}")
    missing, rival = {}, None
    if "talk" in sections and not asked.no_pipecat:
        try:
            rival = rival_python()
        except RivalMissing as error:
            missing["pipecat"] = str(error)
    load_before = os.getloadavg()[0]
    os.nice(asked.nice)
    with tempfile.TemporaryDirectory(prefix="breeze-bench-") as folder:
        sounds = make_sounds(Path(folder))
        bench = asyncio.run(run(Plan(seconds=asked.seconds, sections=sections), sounds, rival))
    bench.missing.update(missing)
    print(report(bench))
    print(f"{machine()}; before the run {load_before:.1f}")
    if asked.json:
        asked.json.write_text(json.dumps(bench.figures(), indent=2))
    wrong_figures = bench.wrong()
    for what in wrong_figures:
        print(what, file=sys.stderr)
    sys.exit(1 if wrong_figures else 0)


if __name__ == "__main__":
    main()
