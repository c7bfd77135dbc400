"""Brings a database to the newest schema, and tells whether it is there."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from breeze_buddy.store.database import Database, Transaction
from breeze_buddy.store.schema import metadata

_MIGRATION_LOCK = 7_242_002


class SchemaOutdated(RuntimeError):
    """The database is not at the schema this code needs."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that this code is written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("the package holds no migrations: it was built without its data files")
    return head


async def upgrade(database_url: str) -> str:
    """Run all missing migrations and return the revision reached. Two at once wait for each other."""
    database = Database(database_url)
    _make_folder(database)
    try:
        async with database.write() as tx:
            if not database.is_sqlite:
                await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            await tx.run_sync(lambda connection: command.upgrade(_config(connection), "head"))
    finally:
        await database.close()
    return newest_revision()


async def check_current(database: Database) -> None:
    """Raise SchemaOutdated, saying what to run, unless all migrations have been run."""
    async with database.read() as tx:
        found = await current_revision(tx)
    if found != newest_revision():
        raise SchemaOutdated(
            f"the database is at revision {found or 'none'} and this version needs {newest_revision()}: "
            "run `breeze migrate`"
        )


async def current_revision(tx: Transaction) -> str | None:
    return await tx.run_sync(lambda connection: MigrationContext.configure(connection).get_current_revision())


async def differences(tx: Transaction) -> list[object]:
    """What the tables in the database lack or have beyond the ones in `schema.py`; empty when they agree."""

    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    return await tx.run_sync(compare)


def _make_folder(database: Database) -> None:
    file = make_url(database.url).database
    if database.is_sqlite and file and file != ":memory:":
        Path(file).parent.mkdir(parents=True, exist_ok=True)
