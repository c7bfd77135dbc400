"""The database's schema as an operator meets it: migrations, and the refusal to run without them."""

import asyncio
import os
import sys

import pytest

from breeze_buddy.store import migrate
from breeze_buddy.store.database import Database, DatabaseUrlError


async def test_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    async with database.read() as tx:
        assert await migrate.differences(tx) == []


async def test_a_process_refuses_a_database_without_migrations(database_url: str) -> None:
    database = Database(database_url)
    try:
        with pytest.raises(migrate.SchemaOutdated, match="breeze migrate"):
            await migrate.check_current(database)
    finally:
        await database.close()


async def test_two_migrations_at_once_wait_for_each_other(database_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url}
    command = (sys.executable, "-m", "breeze_buddy.cli", "migrate", "--skip-temporal")
    both = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(2)]
    assert await asyncio.gather(*(process.wait() for process in both)) == [0, 0]
    database = Database(database_url)
    try:
        await migrate.check_current(database)
    finally:
        await database.close()


@pytest.mark.parametrize("url", ["mysql://somewhere/db", "not a url"])
def test_an_unusable_url_says_how_to_write_one(url: str) -> None:
    with pytest.raises(DatabaseUrlError):
        Database(url)
