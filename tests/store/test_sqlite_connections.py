"""SQLite from an event loop: quick statements at once, slow ones without holding up anybody, nothing left behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from breeze_buddy.store.database import Database

SLOW = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000) SELECT count(*) FROM n"


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'some.db'}")
    async with opened.write() as tx:
        await tx.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"))
    yield opened
    await opened.close()


async def names(database: Database) -> list[str]:
    async with database.read() as tx:
        return [str(name) for name in await tx.scalars(text("SELECT name FROM things ORDER BY id"))]


async def test_what_was_written_is_read_and_what_failed_is_not(database: Database) -> None:
    async with database.write() as tx:
        await tx.execute(text("INSERT INTO things (id, name) VALUES (:id, :name)"), {"id": 1, "name": "one"})
        await tx.execute(text("UPDATE things SET name = :name WHERE things.id = :id"), {"id": 1, "name": "uno"})

    async def write_two_of_which_one_is_there() -> None:
        async with database.write() as tx:
            await tx.execute(text("INSERT INTO things (id, name) VALUES (:id, :name)"), {"id": 2, "name": "two"})
            await tx.execute(text("INSERT INTO things (id, name) VALUES (:id, :name)"), {"id": 3, "name": "uno"})

    with pytest.raises(IntegrityError):
        await write_two_of_which_one_is_there()
    assert await names(database) == ["uno"]


async def test_more_rows_than_come_at_once_come_all(database: Database) -> None:
    async with database.write() as tx:
        rows = [{"id": n, "name": f"thing {n}"} for n in range(1234)]
        await tx.execute(text("INSERT INTO things (id, name) VALUES (:id, :name)"), rows)
    assert await names(database) == [f"thing {n}" for n in range(1234)]


@pytest.mark.parametrize("query", [SLOW.replace("WITH", "SELECT * FROM (WITH", 1) + ")", SLOW])
async def test_a_slow_query_holds_up_nobody(database: Database, query: str) -> None:
    async def ask() -> int:
        async with database.read() as tx:
            return int(await tx.scalar(text(query)) or 0)

    asking = asyncio.create_task(ask())
    longest_s = 0.0
    while not asking.done():
        before = time.monotonic()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.monotonic() - before)
    began = time.monotonic()
    assert await ask() == asking.result() == 3_000_000
    assert longest_s < (time.monotonic() - began) / 2


async def test_who_is_cancelled_in_the_middle_of_a_write_leaves_nothing_behind(database: Database) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with database.write() as tx:
            await tx.execute(text("INSERT INTO things (id, name) VALUES (1, 'one')"))
            inside.set()
            await asyncio.sleep(60)

    writing = asyncio.create_task(write())
    await inside.wait()
    waiting = asyncio.create_task(write())  # for its turn
    await asyncio.sleep(0)
    for task in (waiting, writing):
        task.cancel()
    await asyncio.gather(waiting, writing, return_exceptions=True)
    async with database.write() as tx:
        await tx.execute(text("INSERT INTO things (id, name) VALUES (2, 'two')"))
    assert await names(database) == ["two"]
