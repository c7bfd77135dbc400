"""The benchmark of the media server in short: what it counts must be right at any speed, and a soak finds a leak."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bench.media import MARKS, Bench, Plan, report, run
from bench.media_load import Seen
from bench.media_rig import Run, Sent, ServerFailed, serving
from bench.media_rival import RivalMissing, rival_python
from bench.media_soak import Look, soak, wrong
from bench.media_sounds import Sounds, make_sounds


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Sounds:
    return make_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.mark.alone
async def test_a_short_run_answers_every_caller_and_costs_little_beside_a_bare_echo(sounds: Sounds) -> None:
    plan = Plan(
        seconds=7,
        ramp_s=1.0,
        before_s=2.0,
        settle_s=0.5,
        wire_streams=20,
        talk_streams=12,
        rival_streams=0,
        sections=("wire", "talk"),
    )
    bench = await run(plan, sounds)
    assert bench.missing == {}
    echo, wire, talk = bench.runs["echo"], bench.runs["wire"], bench.runs["talk"]
    assert echo.seen.frames == pytest.approx(echo.seen.frames_sent, abs=40)
    assert wire.seen.frames == pytest.approx(wire.seen.frames_sent, rel=0.15)
    assert wire.seen.marks > 0
    assert talk.seen.streams_lost == echo.seen.streams_lost == wire.seen.streams_lost == 0
    assert talk.seen.replies >= 11, "one for each caller, who has spoken by then"
    assert talk.sent.frames == pytest.approx(talk.seen.frames, abs=30)
    assert len(talk.turn_ms) == pytest.approx(talk.seen.replies, abs=2)
    figures = bench.figures()
    # A machine that does other things too: only what would be a fault at any speed.
    assert 0.2 < (figures["cpu_ratio_to_native_echo"] or 0) < 10
    assert 0 < (figures["cpu_ms_a_stream_second"] or 0) < 50
    assert 0 < (figures["answer_to_greeting_ms_p95"] or 0) < 2000
    assert figures["cpu_ratio_to_pipecat"] is None
    assert "| cpu_ratio_to_pipecat " in report(bench)


def _made(name: str, cpu: float, **more: float) -> Run:
    seen = Seen(frames=100, replies=5, greeting_ms=[3.0, 4.0])
    made = Run(name, 10, 10.0, cpu, cpu / 100, 0.1, seen, [0.5, 1.0], Sent(frames=10_000))
    return replace(made, **more)


def test_a_run_that_misses_a_mark_is_told_from_one_that_reaches_all() -> None:
    costs = {"echo": 1, "wire": 2, "talk": 3, "full": 2, "pipecat": 60}
    good = Bench({name: _made(name, cost) for name, cost in costs.items()})
    assert good.wrong() == []
    assert good.figures()["cpu_ratio_to_pipecat"] == 0.05
    assert set(MARKS) <= set(good.figures())
    bad = Bench({**good.runs, "wire": _made("wire", 3), "pipecat": _made("pipecat", 40)})
    bad.runs["full"] = replace(_made("full", 2), sent=Sent(frames=1000, late=2))
    bad.runs["talk"] = replace(_made("talk", 3), turn_ms=[1.0, 30.0], seen=Seen(frames=1, streams_lost=1))
    missed = ("to_native_echo: 3", "to_pipecat: 0.075", "late_frame_share: 0.002", "p99: 30", "1 streams", "nothing")
    for words in missed:
        assert any(words in said for said in bad.wrong()), (words, bad.wrong())


async def test_a_server_that_does_not_come_up_is_named() -> None:
    with pytest.raises(ServerFailed, match="did not come up"):
        async with serving(("sh", "-c", "echo no")):
            pass


def test_without_a_registry_the_benchmark_says_that_pipecat_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(RivalMissing, match="Pipecat cannot be installed"):
        rival_python(tmp_path / "venv")


@pytest.mark.alone
async def test_a_short_soak_looks_at_the_server_when_nobody_is_on_it(sounds: Sounds) -> None:
    looks = await asyncio.wait_for(soak(0.05, 4, sounds), 120)
    assert [look.calls for look in looks] == [4, 8, 12, 16]
    assert looks[-1].files == looks[1].files
    # Not one more for each call; the server's own may be one more or less at the moment of a look.
    assert abs(looks[-1].tasks - looks[1].tasks) <= 1
    assert looks[-1].cpu_s > looks[0].cpu_s > 0


def test_a_soak_finds_what_grows() -> None:
    steady = [Look(n * 10.0, n * 30, 100.0 + n % 2, 3, 14, float(n)) for n in range(20)]
    assert wrong(steady) == []
    assert wrong(steady[:3]) == ["too short to tell"]
    leak = [replace(look, memory_mib=100 + look.at_s / 10, tasks=look.calls, files=look.calls) for look in steady]
    said = wrong(leak)
    assert [words.split()[0] for words in said] == ["memory", "tasks", "files", "tasks"]
    collected_at_times = [replace(look, tasks=31 + 30 * (n % 5)) for n, look in enumerate(steady)]
    assert wrong(collected_at_times) == ["tasks were left by calls that were over: 31 to 151 with nobody there"]
