"""Shares of campaigns: of lines while calls last, of calls when lines are few. As properties, on the rule alone."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from breeze_buddy.store.sharing import Candidate, Sharing

BEGAN = datetime(2026, 7, 21, 12, tzinfo=UTC)


def candidate(name: str, weight: float, *, numbers: set[str], live: int = 0, tag: float = 0.0, **row: Any) -> Candidate:
    values = {"max_concurrent_calls": None, "priority": 0, "created_at": BEGAN, **row}
    return Candidate(SimpleNamespace(id=name, weight=weight, **values), live, 0, tag, set(numbers))  # type: ignore[arg-type]


class World:
    """Campaigns that always have somebody to call, on one number; every step a line comes free and is given away."""

    def __init__(self, weights: dict[str, float], channels: int, lengths: dict[str, int]) -> None:
        self.weights, self.channels, self.lengths = weights, channels, lengths
        self.live: list[tuple[int, str]] = []
        self.tags = dict.fromkeys(weights, 0.0)
        self.virtual_time = 0.0
        self.calls = dict.fromkeys(weights, 0)
        self.line_time = dict.fromkeys(weights, 0)
        self.waited = dict.fromkeys(weights, 0)
        self.longest_wait = dict.fromkeys(weights, 0)

    def step(self, now: int) -> None:
        self.live = [(end, name) for end, name in self.live if end > now]
        if len(self.live) < self.channels:
            running = [name for _, name in self.live]
            candidates = [
                candidate(name, weight, numbers={"n"}, live=running.count(name), tag=self.tags[name])
                for name, weight in self.weights.items()
            ]
            sharing = Sharing(candidates, {"n": self.channels}, self.virtual_time)
            while len(self.live) < self.channels:
                chosen = sharing.next()
                assert chosen is not None
                sharing.served(chosen)
                self.live.append((now + self.lengths[chosen.id], chosen.id))
                self.calls[chosen.id] += 1
                self.tags[chosen.id] = chosen.tag
            self.virtual_time = sharing.virtual_time
        for _, name in self.live:
            self.line_time[name] += 1
        on = {name for _, name in self.live}
        for name in self.weights:
            self.waited[name] = 0 if name in on else self.waited[name] + 1
            self.longest_wait[name] = max(self.longest_wait[name], self.waited[name])


WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0.5, 1.0, 2.0, 3.0, 5.0]), min_size=2, max_size=6)


@settings(max_examples=60, deadline=None)
@given(weights=WEIGHTS, length=st.integers(1, 3), channels=st.integers(1, 12))
def test_calls_of_one_length_are_shared_by_weight(weights: dict[str, float], length: int, channels: int) -> None:
    world = World(weights, channels, dict.fromkeys(weights, length))
    for now in range(600):
        world.step(now)
    total, of_all = sum(world.calls.values()), sum(weights.values())
    for name, weight in weights.items():
        assert abs(world.calls[name] / total - weight / of_all) < 0.05


@settings(max_examples=60, deadline=None)
@given(weights=WEIGHTS, channels=st.integers(1, 8), data=st.data())
def test_no_campaign_starves_whatever_its_calls_last(
    weights: dict[str, float], channels: int, data: st.DataObject
) -> None:
    lengths = {name: data.draw(st.integers(1, 30)) for name in weights}
    world = World(weights, channels, lengths)
    for now in range(1500):
        world.step(now)
    lightest, of_all = min(weights.values()), sum(weights.values())
    # The time without a call of its own: those that are on end, and the others have as many as the weights say.
    most = max(lengths.values()) * (2 + of_all / lightest / channels)
    assert all(wait <= most for wait in world.longest_wait.values())


def test_long_calls_take_no_lines_from_short_ones() -> None:
    world = World({"long": 1.0, "short": 1.0}, 10, {"long": 60, "short": 1})
    for now in range(1200):
        world.step(now)
    share = world.line_time["short"] / sum(world.line_time.values())
    assert 0.4 < share < 0.6


def test_who_was_away_does_not_take_over() -> None:
    """A campaign that comes back has its share from then on, not what it left unused."""
    sharing = Sharing(
        [candidate("back", 1, numbers={"n"}), candidate("busy", 1, numbers={"n"}, tag=500.0)], {"n": 1}, 499.0
    )
    served = []
    for _ in range(10):
        chosen = sharing.next()
        assert chosen is not None
        sharing.served(chosen)
        chosen.live = 0
        served.append(chosen.id)
    assert 4 <= served.count("back") <= 6


def test_a_large_campaign_delays_a_small_one_by_no_more_than_its_share() -> None:
    """A hundred thousand leads and ten, on the same ten lines: the ten have theirs within their share."""
    world = World({"large": 1.0}, 10, {"large": 3, "small": 3})
    for now in range(30):
        world.step(now)
    world.weights = {"large": 1.0, "small": 1.0}
    for per_campaign in (world.calls, world.line_time, world.waited, world.longest_wait):
        per_campaign["small"] = 0
    world.tags["small"] = 0.0
    large_before = world.calls["large"]
    now = 30
    while world.calls["small"] < 10:
        world.step(now)
        now += 1
    # Half of the lines, and what was on when it came: not one more than its fair share of calls before it.
    assert world.calls["large"] - large_before <= 10 + 10
    assert timedelta(seconds=now - 30) <= timedelta(seconds=9)


def test_each_number_is_divided_among_those_that_use_it() -> None:
    sharing = Sharing(
        [candidate("both", 1, numbers={"n", "m"}, live=2), candidate("one", 1, numbers={"n"}, live=1)],
        {"n": 2, "m": 2},
        0.0,
    )
    # "both" is entitled to one line of n and two of m, "one" to one of n.
    chosen = sharing.next()
    assert chosen is not None
    assert chosen.id == "both"
