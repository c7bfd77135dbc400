"""What state a database is in, for somebody who looks at an installation from outside."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from breeze_buddy.store.database import Database, Transaction
from breeze_buddy.store.errors import Unavailable
from breeze_buddy.store.migrate import current_revision, newest_revision

_FAILURES = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True, slots=True)
class Condition:
    """`revision` of the schema, None where there is none; `needed` by this code; `ahead_s`: the database's clock
    before ours, negative when it is behind. SQLite's clock is this machine's."""

    revision: str | None
    needed: str
    ahead_s: float


async def condition(database: Database) -> Condition:
    """Raises Unavailable with the reason when the database does not answer. A missing file is not made."""
    _check_file(database)
    try:
        async with database.read() as tx:
            # Asked twice: the first answer bears the making of the connection.
            await _time(tx)
            before = datetime.now(UTC)
            theirs = await _time(tx)
            ours = before + (datetime.now(UTC) - before) / 2
            return Condition(await current_revision(tx), newest_revision(), (theirs - ours).total_seconds())
    except _FAILURES as error:
        raise Unavailable(str(error).partition("\n")[0] or type(error).__name__) from error


def _check_file(database: Database) -> None:
    file = make_url(database.url).database
    if database.is_sqlite and file and file != ":memory:" and not Path(file).exists():
        raise Unavailable(f"there is no file {file}")


async def _time(tx: Transaction) -> datetime:
    if tx.dialect.name == "postgresql":
        now = await tx.scalar(text("SELECT clock_timestamp()"))
        assert isinstance(now, datetime)
        return now.astimezone(UTC)
    said = await tx.scalar(text("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')"))
    return datetime.fromisoformat(str(said)).replace(tzinfo=UTC)
