"""Statements share greenlets, and nobody notices: results, errors, cancelling, threads."""

import asyncio
import contextlib
import contextvars
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.util.concurrency import await_

from breeze_buddy.store import lanes
from breeze_buddy.store.database import Database

name = contextvars.ContextVar("name", default="")


async def test_a_function_gets_what_it_waits_for_and_its_lane_is_used_again() -> None:
    def work(text: str) -> tuple[str, int]:
        return await_(asyncio.sleep(0.001, text)) + "!", id(lanes.getcurrent())

    first, second = [await lanes.run(partial(work, said)) for said in ("one", "two")]
    assert (first[0], second[0]) == ("one!", "two!")
    assert first[1] == second[1]


async def test_those_who_wait_at_the_same_time_do_not_meet() -> None:
    def work() -> str:
        before = name.get()
        await_(asyncio.sleep(0.001))
        assert name.get() == before
        return before

    async def one(place: int) -> str:
        name.set(str(place))
        found: str = await lanes.run(work)
        return found

    assert await asyncio.gather(*(one(place) for place in range(100))) == [str(place) for place in range(100)]


async def test_an_error_comes_out_as_it_is_and_the_lane_goes_on() -> None:
    class Odd(Exception):
        pass

    async def refused() -> None:
        raise Odd("within")

    def work(caught: bool) -> str:
        try:
            await_(refused())
        except Odd:
            if not caught:
                raise
        return str(await_(asyncio.sleep(0, "after")))

    assert await lanes.run(partial(work, True)) == "after"
    with pytest.raises(Odd, match="within"):
        await lanes.run(partial(work, False))
    assert await lanes.run(partial(work, True)) == "after"


async def test_who_is_cancelled_while_it_waits_cleans_up_within() -> None:
    told: list[str] = []

    def work() -> None:
        try:
            await_(asyncio.sleep(60))
        finally:
            told.append("cleaned up")

    waiting = asyncio.create_task(lanes.run(work))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert told == ["cleaned up"]
    assert await lanes.run(lambda: "still there") == "still there"


async def test_an_idle_lane_keeps_nothing() -> None:
    made: list[weakref.ref[Any]] = []

    class Rows:
        def __init__(self) -> None:
            made.append(weakref.ref(self))

    class Odd(Exception):
        pass

    def work(failing: bool) -> Rows:
        if failing:
            raise Odd(Rows())
        return Rows()

    await lanes.run(partial(work, False))
    with contextlib.suppress(Odd):
        await lanes.run(partial(work, True))
    assert [one() for one in made] == [None, None]


async def test_each_thread_has_lanes_of_its_own(tmp_path: Path) -> None:
    async def asked() -> int:
        database = Database(f"sqlite:///{tmp_path / 'lanes.db'}")
        async with database.read() as tx:
            found = await tx.scalar(text("SELECT 7"))
        await database.close()
        return int(found)

    assert await asked() == 7
    assert await asyncio.gather(*(asyncio.to_thread(asyncio.run, asked()) for _ in range(3))) == [7, 7, 7]
    assert await asked() == 7


async def test_a_statement_that_fails_leaves_its_transaction_to_be_rolled_back(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lanes.db'}")
    async with database.write() as tx:
        await tx.execute(text("CREATE TABLE told (what TEXT)"))

    async def half_way() -> None:
        async with database.write() as tx:
            await tx.execute(text("INSERT INTO told VALUES ('lost')"))
            await tx.execute(text("INSERT INTO nowhere VALUES (1)"))

    with pytest.raises(OperationalError, match="no such table"):
        await half_way()
    async with database.read() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM told")) == 0
    await database.close()
