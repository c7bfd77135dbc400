"""The benchmark of leads in short: its figures are there and true to what they say, at any speed."""

import json
from pathlib import Path

import pytest

from bench.lead_pacing import most_within, percentile
from bench.leads import Plan, plan_of, run

NAMED = {"cpu_ratio_to_minimal_lead", "history_events", "leads_per_s"}


async def test_a_short_run_measures_cost_and_throughput() -> None:
    figures = await run(Plan(only=("cost", "throughput"), cost_leads=20, leads=40, lines=8))
    assert figures.by_name.keys() >= NAMED
    assert 10 < float(figures.by_name["history_events"]) <= 30
    assert float(figures.by_name["cpu_ratio_to_minimal_lead"]) > 0.5
    assert float(figures.by_name["leads_per_s"]) > 0.5
    assert json.loads(json.dumps(figures.by_name)) == figures.by_name
    assert [row[0] for row in figures.rows if row[2] == "30"] == ["history events of a lead"]


def test_arguments_choose_sections_and_sizes(tmp_path: Path) -> None:
    plan, file = plan_of(["--only", "pacing,decision", "--leads", "2000", "--json", str(tmp_path / "figures.json")])
    assert (plan.only, plan.leads, file) == (("pacing", "decision"), 2000, tmp_path / "figures.json")
    with pytest.raises(SystemExit):
        plan_of(["--only", "nonsense"])


def test_windows_and_percentiles() -> None:
    assert most_within([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], 1.0) == 5
    assert most_within([0.0, 0.2, 0.4, 0.6, 0.8, 0.999], 1.0) == 6
    assert percentile(tuple(range(100)), 50) == 50
    assert percentile(tuple(range(100)), 99) == 99


@pytest.mark.alone
async def test_a_short_run_measures_pacing_and_lines_that_come_free() -> None:
    figures = await run(Plan(only=("pacing", "turnaround"), seconds=6))
    assert 3 < float(figures.by_name["paced_calls_per_s"]) <= 5
    assert int(figures.by_name["paced_most_in_a_second"]) <= 5
    free_ms, end_ms = (float(figures.by_name[f"{since}_to_dial_ms_p50"]) for since in ("line_free", "call_end"))
    assert 0 < free_ms < end_ms
