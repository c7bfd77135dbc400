"""The router's benchmark in short: what it counts must be right at any speed, and the speed is not absurd."""

from bench.router import Plan, Report, run, table


async def test_a_short_run_allocates_every_call_once_and_evenly() -> None:
    plan = Plan(rate=60, seconds=2, warm_up_s=0.5, pods=4, clients=4)
    report = await run(plan)
    assert report.wrong() == []
    assert len(report.open_loop.bodies) == 120
    # A machine that does other things too.
    assert report.open_loop.percentile_ms(50) < 1000
    assert report.closed_loop.rate > 20
    printed = table(plan, report).splitlines()
    assert len(printed) == 4
    assert printed[2].startswith("| open loop, 60/s offered | 120 ")


async def test_a_wrong_run_is_told_from_a_good_one() -> None:
    from bench.load import Measured

    good = Measured(
        1.0,
        [0.001, 0.002],
        [b'<Stream url="ws://pod-0.example.com/ws"/>', b'<Stream url="ws://pod-1.example.com/ws"/>'],
    )
    none = Measured(1.0, [], [])
    assert Report(none, good, none, {"pod-0": 1, "pod-1": 1}, 9).wrong() == []
    assert "leases differ" in Report(none, good, none, {"pod-0": 2, "pod-1": 1}, 9).wrong()[0]
    static = Measured(1.0, [0.1], [b'<Stream url="ws://127.0.0.1:9/nobody"/>'])
    assert "names no pod" in Report(none, static, none, {"pod-0": 0, "pod-1": 0}, 9).wrong()[0]
    assert "has 1 streams" in Report(none, good, none, {"pod-0": 1, "pod-1": 1}, 0).wrong()[0]
