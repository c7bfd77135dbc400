"""Which pod a call gets: the least loaded of its pool that lives, never more than it can take."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.pod import PodInput
from breeze_buddy.store import pods, schema
from breeze_buddy.store.database import Database
from breeze_buddy.store.errors import NotFound, Unavailable
from breeze_buddy.store.limits import within
from breeze_buddy.store.pods import SILENT_AFTER, Allocation, Wanted
from tests.store.stage import Stage, person


class Fleet:
    """Pods and calls on a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def pod(self, name: str, *, capacity: int = 10, pool: str | None = None) -> None:
        pod = PodInput(name=name, stream_url=f"wss://{name}.example.com/ws", capacity=capacity, pool=pool)
        async with self.stage.database.write() as tx:
            await pods.register(tx, pod, now=self.stage.now)

    async def beat(self, *names: str) -> list[bool]:
        async with self.stage.database.write() as tx:
            return [await pods.beat(tx, name, now=self.stage.now) for name in names]

    async def drain(self, name: str) -> None:
        async with self.stage.database.write() as tx:
            await pods.drain(tx, name)

    async def calls(self, count: int, *, pool: str | None = None, first: int = 0) -> list[str]:
        """Calls that are on, of a campaign of this pool."""
        await self.stage.number(person(8000 + first), channels=count)
        campaign = await self.stage.campaign(f"of {pool} from {first}", on=[person(8000 + first)])
        async with self.stage.database.write() as tx:
            await tx.execute(update(schema.campaigns).where(schema.campaigns.c.id == campaign.id).values(pool=pool))
        await self.stage.leads(campaign, [person(first + place) for place in range(count)])
        grants = await self.stage.grant()
        for grant in grants:
            await self.stage.dial(grant.call_id)
        assert len(grants) == count
        return [grant.call_id for grant in grants]

    async def ask(self, *call_ids: str, elsewhere: bool = False) -> list[Allocation]:
        wanted = [Wanted(call_id, elsewhere=elsewhere) for call_id in call_ids]
        async with self.stage.database.write() as tx:
            found = await pods.allocate(tx, wanted, now=self.stage.now)
        return [found[call_id] for call_id in call_ids]

    async def names(self, *call_ids: str, **how: Any) -> list[str | None]:
        return [one.pod for one in await self.ask(*call_ids, **how)]

    async def live(self) -> dict[str, int]:
        async with self.stage.database.read() as tx:
            return {pod.name: pod.live for pod in await pods.listed(tx, now=self.stage.now)}


@pytest.fixture
def fleet(stage: Stage) -> Fleet:
    return Fleet(stage)


async def test_the_least_loaded_pod_by_its_size_takes_the_next_call(fleet: Fleet) -> None:
    await fleet.pod("large", capacity=20)
    await fleet.pod("small", capacity=10)
    got = [(await fleet.names(call))[0] for call in await fleet.calls(9)]
    assert (got.count("large"), got.count("small")) == (6, 3)


async def test_calls_of_one_transaction_see_each_other(fleet: Fleet) -> None:
    await fleet.pod("a", capacity=3)
    await fleet.pod("b", capacity=3)
    got = await fleet.names(*await fleet.calls(7))
    assert sorted(name or "" for name in got) == ["", "a", "a", "a", "b", "b", "b"]
    assert await fleet.live() == {"a": 3, "b": 3}


async def test_an_answer_names_the_stream_and_the_lead(fleet: Fleet) -> None:
    await fleet.pod("a")
    (call,) = await fleet.calls(1)
    (got,) = await fleet.ask(call)
    row = await fleet.stage.row("calls", call)
    assert got == Allocation(call, row["lead_id"], 1, "a", "wss://a.example.com/ws")


async def test_the_same_call_keeps_its_pod_and_counts_once(fleet: Fleet) -> None:
    await fleet.pod("a")
    await fleet.pod("b")
    one, two = await fleet.calls(2)
    assert await fleet.names(one) == ["a"]
    assert await fleet.names(two) == ["b"]
    assert await fleet.names(two) == ["b"]
    assert await fleet.names(one, one) == ["a", "a"]
    assert await fleet.live() == {"a": 1, "b": 1}


async def test_a_full_pod_still_has_the_place_of_its_own_call(fleet: Fleet) -> None:
    await fleet.pod("a", capacity=1)
    one, two = await fleet.calls(2)
    assert await fleet.names(one) == ["a"]
    assert await fleet.names(two) == [None]
    assert await fleet.names(one) == ["a"]


async def test_a_silent_pod_gets_no_stream_until_it_beats(fleet: Fleet) -> None:
    await fleet.pod("a")
    one, two, three = await fleet.calls(3)
    fleet.stage.now += SILENT_AFTER - timedelta(milliseconds=1)
    assert await fleet.names(one) == ["a"]
    fleet.stage.pass_time(milliseconds=1)
    assert await fleet.names(two) == [None]
    assert await fleet.beat("a") == [False]
    assert await fleet.names(three) == ["a"]


async def test_a_draining_pod_gets_no_stream_and_is_told_so(fleet: Fleet) -> None:
    await fleet.pod("a")
    await fleet.pod("b", capacity=1)
    one, two, three = await fleet.calls(3)
    assert await fleet.names(one) == ["a"]
    await fleet.drain("a")
    assert await fleet.beat("a", "b") == [True, False]
    assert await fleet.names(two, three) == ["b", None]
    assert await fleet.live() == {"a": 1, "b": 1}


async def test_a_pod_that_begins_anew_is_empty_and_takes_streams(fleet: Fleet) -> None:
    await fleet.pod("a", capacity=1)
    one, two = await fleet.calls(2)
    await fleet.ask(one)
    await fleet.drain("a")
    await fleet.pod("a", capacity=1)
    assert await fleet.live() == {"a": 0}
    assert await fleet.names(two) == ["a"]


async def test_a_call_whose_stream_broke_goes_elsewhere_if_there_is_a_place(fleet: Fleet) -> None:
    await fleet.pod("a")
    await fleet.pod("b", capacity=1)
    one, two = await fleet.calls(2)
    assert await fleet.names(one) == ["a"]
    assert await fleet.names(one, elsewhere=True) == ["b"]
    assert await fleet.live() == {"a": 0, "b": 1}
    assert await fleet.names(two, elsewhere=True) == ["a"]
    assert await fleet.names(two, elsewhere=True) == ["a"], "the only place is better than none"


async def test_a_pod_that_lost_a_stream_comes_last_until_it_beats(fleet: Fleet) -> None:
    await fleet.pod("a")
    await fleet.pod("b")
    one, two, three = await fleet.calls(3)
    await fleet.ask(one)
    fleet.stage.pass_time(seconds=1)
    assert await fleet.names(one, elsewhere=True) == ["b"]
    assert await fleet.names(two) == ["b"], "a is empty, and doubted"
    fleet.stage.pass_time(seconds=1)
    await fleet.beat("a")
    assert await fleet.names(three) == ["a"]


async def test_a_general_pod_comes_before_one_of_the_pool_that_lost_a_stream(fleet: Fleet) -> None:
    for name in ("mine-1", "mine-2"):
        await fleet.pod(name, pool="vip")
    await fleet.pod("general")
    one, two = await fleet.calls(2, pool="vip")
    assert await fleet.names(one, two) == ["mine-1", "mine-2"]
    fleet.stage.pass_time(seconds=1)
    assert await fleet.names(one, elsewhere=True) == ["mine-2"]
    assert await fleet.names(one, two, elsewhere=True) == ["general", "general"]
    fleet.stage.pass_time(seconds=1)
    await fleet.beat("mine-1")
    assert await fleet.names(two, elsewhere=True) == ["mine-1"]


async def test_a_campaign_uses_its_pool_first_and_general_pods_then(fleet: Fleet) -> None:
    await fleet.pod("general")
    await fleet.pod("mine", pool="vip", capacity=1)
    one, two = await fleet.calls(2, pool="vip")
    (other,) = await fleet.calls(1, first=100)
    assert await fleet.names(other) == ["general"]
    assert await fleet.names(one, two) == ["mine", "general"]


async def test_others_never_use_a_dedicated_pool(fleet: Fleet) -> None:
    await fleet.pod("theirs", pool="vip")
    assert await fleet.names(*await fleet.calls(1)) == [None]
    assert await fleet.names(*await fleet.calls(1, pool="other", first=100)) == [None]


async def test_the_end_of_a_call_frees_its_place(fleet: Fleet) -> None:
    await fleet.pod("a", capacity=2)
    one, two, three = await fleet.calls(3)
    assert await fleet.names(one, two, three) == ["a", "a", None]
    await fleet.stage.end(one, CallStatus.COMPLETED)
    assert await fleet.live() == {"a": 1}
    await fleet.stage.finish(two)  # Twilio was asked; no callback ever came
    assert await fleet.live() == {"a": 0}
    assert await fleet.names(three) == ["a"]


async def test_a_stream_that_came_without_the_router_is_counted(fleet: Fleet) -> None:
    await fleet.pod("a", capacity=1)
    one, two = await fleet.calls(2)
    async with fleet.stage.database.write() as tx:
        await pods.hold(tx, one, "a", now=fleet.stage.now)
    assert await fleet.names(two) == [None]
    async with fleet.stage.database.write() as tx:
        await pods.release(tx, one, now=fleet.stage.now, pod="b")
    assert await fleet.live() == {"a": 1}, "it is not b's to give back"
    async with fleet.stage.database.write() as tx:
        await pods.release(tx, one, now=fleet.stage.now, pod="a")
    assert await fleet.names(two) == ["a"]


async def test_an_unknown_call_is_left_out(fleet: Fleet) -> None:
    await fleet.pod("a")
    (call,) = await fleet.calls(1)
    async with fleet.stage.database.write() as tx:
        found = await pods.allocate(tx, [Wanted("nobody"), Wanted(call)], now=fleet.stage.now)
    assert set(found) == {call}


async def test_a_pod_that_is_not_listed_cannot_beat_or_drain(fleet: Fleet) -> None:
    with pytest.raises(NotFound, match="no pod 'a'"):
        await fleet.beat("a")
    with pytest.raises(NotFound):
        await fleet.drain("a")


async def test_pods_long_silent_are_forgotten(fleet: Fleet) -> None:
    await fleet.pod("old")
    fleet.stage.pass_time(hours=2)
    await fleet.pod("new")
    assert await fleet.live() == {"new": 0}


async def test_processes_that_allocate_at_once_never_overfill_a_pod(fleet: Fleet) -> None:
    for name in ("a", "b", "c"):
        await fleet.pod(name, capacity=5)
    calls = await fleet.calls(24)
    stage = fleet.stage
    processes = [Database(stage.database.url) for _ in range(4)]

    async def one(place: int, call: str) -> str | None:
        async with processes[place % 4].write() as tx:
            return (await pods.allocate(tx, [Wanted(call)], now=stage.now))[call].pod

    try:
        # Each call is asked for twice, by two processes.
        got = await asyncio.gather(*(one(place + again, call) for again in (0, 1) for place, call in enumerate(calls)))
    finally:
        for process in processes:
            await process.close()
    assert await fleet.live() == {"a": 5, "b": 5, "c": 5}
    first, second = got[:24], got[24:]
    assert sum(name is not None for name in first) == 15
    assert all(a == b for a, b in zip(first, second, strict=True) if a and b)


async def test_a_database_that_does_not_answer_is_given_up_in_time(database: Database) -> None:
    """Another transaction holds what this one needs."""
    stage = Stage(database)
    fleet = Fleet(stage)
    await fleet.pod("a")
    (call,) = await fleet.calls(1)
    async with database.write() as other:
        await pods.allocate(other, [Wanted(call)], now=stage.now)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match=r"within 0\.2 s"):
            await within(0.2, fleet.ask(call))
        assert asyncio.get_running_loop().time() - began < 2
    assert await fleet.names(call) == ["a"], "the database goes on afterwards"
    assert await fleet.live() == {"a": 1}
