"""The database: reachable, at the schema of this version, with a clock like ours; and the numbers in it."""

import asyncio

from breeze_buddy.cli.doctor.clocks import compare
from breeze_buddy.cli.doctor.finding import Area, Finding
from breeze_buddy.domain.number import Number
from breeze_buddy.settings import Settings
from breeze_buddy.store import numbers
from breeze_buddy.store.condition import condition
from breeze_buddy.store.database import Database, DatabaseUrlError
from breeze_buddy.store.errors import Unavailable

AREA = Area("database")
_LIMIT_S = 15.0


async def look(settings: Settings) -> tuple[list[Finding], list[Number] | None]:
    """What was found, and the registered numbers; None when they cannot be read."""
    try:
        database = Database(settings.database_url)
    except DatabaseUrlError as error:
        return [_unreachable(str(error))], None
    try:
        async with asyncio.timeout(_LIMIT_S):
            found = await condition(database)
            findings = [AREA.ok("reachable", "SQLite" if database.is_sqlite else "PostgreSQL")]
            if found.revision != found.needed:
                return [*findings, _outdated(found.revision, found.needed)], None
            findings.append(AREA.ok("schema", f"revision {found.revision}"))
            findings.append(compare(AREA, "the database's", found.ahead_s))
            async with database.read() as tx:
                return findings, await numbers.listed(tx)
    except Unavailable as error:
        return [_unreachable(str(error))], None
    except TimeoutError:
        return [_unreachable(f"no answer within {_LIMIT_S:g} s")], None
    finally:
        await database.close()


def _unreachable(why: str) -> Finding:
    return AREA.failed(
        "reachable", why, "check DATABASE_URL and that the database runs; `breeze migrate` makes a new SQLite file"
    )


def _outdated(revision: str | None, needed: str) -> Finding:
    return AREA.failed(
        "schema",
        f"at revision {revision or 'none'}, and this version needs {needed}",
        "run `breeze migrate` (of this version, on every machine), then restart the API, the workers and the media "
        "servers",
    )
