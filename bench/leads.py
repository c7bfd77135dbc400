"""What leads cost and how fast they go, held against what the platform has to reach.

    python -m bench.leads [--only cost,throughput,sleep,pacing,turnaround,decision] [--json FILE] [--leads 10000]

Everything runs on this machine, on 127.0.0.1, with the processes that `breeze up` would start. The figures are true
for a machine that does nothing else.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bench import lead_cost, lead_decision, lead_pacing, lead_sleep, lead_throughput
from bench.figures_table import table
from bench.lead_pacing import percentile
from bench.process_figures import machine

SECTIONS = ("cost", "throughput", "sleep", "pacing", "turnaround", "decision")


@dataclass(frozen=True)
class Plan:
    """How much of each. Numbers are those of the targets; a test takes far less."""

    only: tuple[str, ...] = SECTIONS
    cost_leads: int = 1000
    leads: int = 10_000
    lines: int = 20
    sleepers: int = 20_000
    woken: int = 3_000
    pace: float = 10.0
    cooldown_s: float = 3600
    quiet_s: float = 60
    seconds: float = 60
    backlog: int = 1_000_000
    decisions: int = 200


@dataclass
class Figures:
    """What was measured: by name for programs, in rows (what, figure, target) for people."""

    by_name: dict[str, float | int | str] = field(default_factory=dict)
    rows: list[tuple[str, ...]] = field(default_factory=lambda: [("what", "measured", "to reach")])
    missed: list[str] = field(default_factory=list)

    def add(self, name: str, value: float | int, what: str, said: str, target: str = "", within: bool = True) -> None:
        """One figure; `within` says whether it reaches its target."""
        self.by_name[name] = round(value, 4)
        self.rows.append((what, said, target))
        if not within:
            self.missed.append(f"{what}: {said}, and should be {target}")


async def cost(plan: Plan, folder: Path, figures: Figures) -> None:
    found = await lead_cost.measure(folder, leads=plan.cost_leads, lines=plan.lines)
    for name, each in (("minimal", found.minimal), ("ordinary", found.ordinary)):
        said = f"{each.server_ms:.1f} + {each.worker_ms:.1f} ms CPU, {each.history_events} events"
        figures.add(f"{name}_lead_cpu_ms", each.both_ms, f"{name} lead: server + worker", said)
        figures.by_name |= {f"{name}_lead_server_cpu_ms": each.server_ms, f"{name}_lead_worker_cpu_ms": each.worker_ms}
    figures.add(
        "ordinary_lead_api_cpu_ms", found.ordinary.api_ms, "ordinary lead: API", f"{found.ordinary.api_ms:.1f} ms"
    )
    ratio, events = found.ratio, found.ordinary.history_events
    figures.add(
        "cpu_ratio_to_minimal_lead", ratio, "CPU next to the minimal lead", f"{ratio:.2f} x", "1.5 x", ratio <= 1.5
    )
    figures.add("history_events", events, "history events of a lead", str(events), "30", events <= 30)


async def throughput(plan: Plan, folder: Path, figures: Figures) -> None:
    found = await lead_throughput.measure(folder, leads=plan.leads, lines=plan.lines)
    rate = found.leads_per_s
    figures.add("leads_per_s", rate, f"{found.leads} leads to FINISHED", f"{rate:.1f} a second", "12", rate >= 12)
    for name, cpu_ms in found.cpu_ms.items():
        early, late = found.memory_mib[name]
        said = f"{cpu_ms:.1f} ms CPU a lead; {early:.0f} MiB after a fifth, {late:.0f} MiB at the end"
        figures.add(f"{name}_memory_mib", late, f"- {name}", said)
        figures.by_name |= {f"{name}_memory_early_mib": early, f"{name}_cpu_ms_a_lead": cpu_ms}
    said = f"{found.campaign_runs} runs, the longest with {found.campaign_events} events"
    figures.add("campaign_runs", found.campaign_runs, "- the campaign's workflow", said)
    figures.by_name["campaign_history_events"] = found.campaign_events


async def sleep(plan: Plan, folder: Path, figures: Figures) -> None:
    found = await lead_sleep.measure(
        folder,
        sleepers=plan.sleepers,
        woken=plan.woken,
        pace_per_s=plan.pace,
        quiet_s=plan.quiet_s,
        cooldown=timedelta(seconds=plan.cooldown_s),
    )
    share = found.core_share_of_all
    by_process = ", ".join(f"{name} {each:.1%}" for name, each in found.core_share.items() if name != "simulator")
    what = f"{found.sleepers} leads asleep: CPU of a core"
    figures.add("sleeping_core_share", share, what, f"{share:.1%} ({by_process})", "5 %", share < 0.05)
    memory = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in found.memory_mib.items() if name != "simulator")
    figures.add("sleeping_memory_mib", sum(found.memory_mib.values()), "- memory", memory)
    what = f"{found.woken} cooldowns that end together: spread by jitter over"
    figures.add("wake_spread_s", found.spread_s, what, f"{found.spread_s:.0f} s")
    said = f"{found.achieved_per_s:.2f}, at most {found.most_in_a_second} in a second"
    most = found.most_in_a_second <= found.pace_per_s
    figures.add("wake_calls_per_s", found.achieved_per_s, "- dialled a second", said, f"{found.pace_per_s:g}", most)
    said = f"{found.latest_s:.1f} s, the last one {found.last_s:.1f} s"
    figures.add("wake_latest_s", found.latest_s, "- latest beyond the pace", said)


async def pacing(plan: Plan, folder: Path, figures: Figures) -> None:
    found = await lead_pacing.pacing(folder, seconds=plan.seconds)
    what = f"{found.calls} calls at {lead_pacing.RATE:g} a second over two workers"
    figures.add("paced_calls_per_s", found.per_s, what, f"{found.per_s:.3f}", "4.8 to 5.0", 4.8 <= found.per_s <= 5.0)
    most = found.most_in_a_second
    figures.add("paced_most_in_a_second", most, "- most in any second", str(most), "5", most <= lead_pacing.RATE)


async def turnaround(plan: Plan, folder: Path, figures: Figures) -> None:
    found = await lead_pacing.turnaround(folder, seconds=plan.seconds)
    p50, p99 = (percentile(found.from_free_s, percent) * 1000 for percent in (50, 99))
    what = f"line free to the next POST /Calls, at {found.per_s:.1f} a second"
    figures.add("line_free_to_dial_ms_p50", p50, f"{what}: p50", f"{p50:.0f} ms", "150 ms", p50 <= 150)
    figures.add("line_free_to_dial_ms_p99", p99, "- p99", f"{p99:.0f} ms", "500 ms", p99 <= 500)
    p50, p99 = (percentile(found.from_end_s, percent) * 1000 for percent in (50, 99))
    figures.add("call_end_to_dial_ms_p50", p50, "- from the call's end at Twilio: p50", f"{p50:.0f} ms")
    figures.add("call_end_to_dial_ms_p99", p99, "- p99", f"{p99:.0f} ms")


async def decision(plan: Plan, _folder: Path, figures: Figures) -> None:
    for found in await lead_decision.measure(many=plan.backlog, decisions=plan.decisions):
        key = found.database.lower()
        what = f"one decision, {found.database}, {lead_decision.FEW} and {found.many} leads waiting"
        said = f"{found.few_ms:.1f} and {found.many_ms:.1f} ms ({found.ratio:.2f} x)"
        figures.add(f"decision_ratio_{key}", found.ratio, what, said, "2 x", found.ratio <= 2)
        figures.by_name |= {f"decision_few_ms_{key}": found.few_ms, f"decision_many_ms_{key}": found.many_ms}


_MEASURES: dict[str, Callable[[Plan, Path, Figures], Awaitable[None]]] = {
    "cost": cost,
    "throughput": throughput,
    "sleep": sleep,
    "pacing": pacing,
    "turnaround": turnaround,
    "decision": decision,
}


async def run(plan: Plan) -> Figures:
    """Every section that is wanted, one after the other, each on a stack of its own."""
    figures = Figures()
    for name in SECTIONS:
        if name not in plan.only:
            continue
        before = machine()
        with tempfile.TemporaryDirectory(prefix="breeze-bench-") as folder:
            await _MEASURES[name](plan, Path(folder), figures)
        print(f"{name}: {before}", file=sys.stderr)
    figures.by_name["machine"] = machine()
    return figures


def plan_of(arguments: list[str]) -> tuple[Plan, Path | None]:
    """The plan and the file for the figures. Raises SystemExit for arguments that are none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"some of {','.join(SECTIONS)}")
    for name, kind, what in (
        ("leads", int, "leads of throughput"),
        ("cost-leads", int, "leads of each kind for cost"),
        ("lines", int, "channels for cost and throughput"),
        ("sleepers", int, "leads asleep"),
        ("woken", int, "cooldowns that end together"),
        ("pace", float, "calls a second for those"),
        ("cooldown-s", float, "their cooldown, whose jitter spreads them"),
        ("quiet-s", float, "for how long sleepers are watched"),
        ("seconds", float, "of pacing and turnaround"),
        ("backlog", int, "leads waiting at a decision"),
        ("decisions", int, "decisions to take the median of"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Plan, name.replace("-", "_")), help=what)
    given = vars(parser.parse_args(arguments))
    file = given.pop("json")
    only = tuple(given.pop("only").split(","))
    if unknown := set(only) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    return Plan(only=only, **given), file


def main() -> None:
    plan, file = plan_of(sys.argv[1:])
    figures = asyncio.run(run(plan))
    print(figures.by_name["machine"])
    print(table(figures.rows))
    if file is not None:
        file.write_text(json.dumps(figures.by_name, indent=2) + "\n")
    for missed in figures.missed:
        print("NOT REACHED:", missed)
    sys.exit(1 if figures.missed else 0)


if __name__ == "__main__":
    main()
