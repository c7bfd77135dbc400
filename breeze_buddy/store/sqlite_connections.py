"""Connections to SQLite that seldom visit their thread.

aiosqlite runs a connection in a thread of its own and goes there for every step: the cursor, the statement, its rows,
the cursor's end. A lead takes some seventy statements, and those visits cost more than the statements. Here a
statement of microseconds is executed where it is asked: a change of one row by its key, and a query, which is broken
off and goes to the thread after all when it takes longer. The beginning of a write goes there when it has to wait for
another process; a commit always does. A statement brings its rows along, and a rollback that has nothing to undo stays
away.
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Self

import aiosqlite

_AT_ONCE = 500
"""Rows that come with the statement; those beyond are fetched when they are asked for."""

_BRIEF_STEPS = 20_000
"""Steps of SQLite's machine that a query may take where it is asked: one or two milliseconds."""

_FEW = 20
"""Rows that are changed where it is asked."""

_BY_KEY = re.compile(
    r"(UPDATE \S+ SET |DELETE FROM \S+ ).*WHERE \w+\.\"?(id|sid|key|call_id|phone|name)\"? = \?( AND .*)?"
)
_ONE_ROW = re.compile(r"INSERT INTO \w+ \([^()]*\) VALUES \([^()]*\)( ON CONFLICT .*)?( RETURNING .*)?")


class Cursor:
    """What SQLAlchemy needs of a cursor: one statement and its rows."""

    def __init__(self, connection: "Connection") -> None:
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1
        self._connection = connection
        self._rows: list[Any] = []
        self._rest: sqlite3.Cursor | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Any = ()) -> Self:
        kind = _kind(sql)
        self._connection.touch(writes=kind != "query")
        if kind == "change":
            self._execute(sql, parameters)
        elif kind == "write":
            if not self._begin_here(sql):
                await self._connection.visit(self._execute, sql, parameters)
        elif kind != "query" or not self._query_here(sql, parameters):
            await self._connection.visit(self._execute, sql, parameters)
        return self

    def _query_here(self, sql: str, parameters: Any) -> bool:
        """Whether the query was quick enough; if not, nothing has happened."""
        raw = self._connection.raw
        raw.set_progress_handler(_stop, _BRIEF_STEPS)
        try:
            self._execute(sql, parameters)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return False
        finally:
            raw.set_progress_handler(None, 0)
        return True

    def _begin_here(self, sql: str) -> bool:
        """Whether nobody else was writing; if somebody was, nothing has happened."""
        raw = self._connection.raw
        raw.execute("PRAGMA busy_timeout=0")
        try:
            self._execute(sql, ())
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        finally:
            raw.execute(f"PRAGMA busy_timeout={self._connection.busy_ms}")
        return True

    async def executemany(self, sql: str, parameters: Sequence[Any]) -> Self:
        self._connection.touch(writes=True)
        if len(parameters) <= _FEW and _kind(sql) == "change":
            self._executemany(sql, parameters)
        else:
            await self._connection.visit(self._executemany, sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        if self._rest is not None:
            rows += await self._connection.visit(self._rest.fetchall)
        return rows

    async def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        wanted = size or self.arraysize
        if len(self._rows) < wanted and self._rest is not None:
            self._rows += await self._connection.visit(self._rest.fetchmany, max(wanted, _AT_ONCE))
        rows, self._rows = self._rows[:wanted], self._rows[wanted:]
        return rows

    async def fetchone(self) -> Any:
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def close(self) -> None:
        self._rows = []
        rest, self._rest = self._rest, None
        if rest is not None:
            await self._connection.visit(rest.close)

    # In the connection's thread, or where it was asked

    def _execute(self, sql: str, parameters: Any) -> None:
        self._take(self._connection.raw.execute(sql, parameters))

    def _executemany(self, sql: str, parameters: Iterable[Any]) -> None:
        self._take(self._connection.raw.executemany(sql, parameters))

    def _take(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchmany(_AT_ONCE) if cursor.description is not None else []
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        if len(self._rows) < _AT_ONCE:
            cursor.close()
        else:
            self._rest = cursor


def _stop() -> int:
    return 1


@lru_cache(maxsize=2000)
def _kind(sql: str) -> str:
    """ "query" and "change" are for here, "write" begins one; all else may take long, or wait."""
    flat = " ".join(sql.split())
    if flat == "BEGIN IMMEDIATE":
        return "write"
    if flat.startswith("SELECT ") or flat == "BEGIN":
        return "query"
    if "SELECT" not in flat and (_BY_KEY.fullmatch(flat) or _ONE_ROW.fullmatch(flat)):
        return "change"
    return "other"


class Connection(aiosqlite.Connection):
    """Knows whether there can be anything to roll back."""

    _touched = _wrote = False
    busy_ms = 0
    """How long a statement waits for another process."""

    @property
    def raw(self) -> sqlite3.Connection:
        """For use in the connection's thread."""
        return self._conn

    def touch(self, *, writes: bool) -> None:
        """There may be something to roll back from now on, or to commit. Said before a statement: whoever is cancelled
        while it waits leaves one behind that may still be executed."""
        self._touched = True
        self._wrote = self._wrote or writes

    async def visit(self, work: Any, *arguments: Any) -> Any:
        """Have something done in the connection's thread."""
        return await self._execute(work, *arguments)  # type: ignore[no-untyped-call]

    def cursor(self) -> Cursor:  # type: ignore[override]
        return Cursor(self)

    async def commit(self) -> None:
        if self._wrote:
            await super().commit()
        else:
            self.raw.commit()
        self._touched = self._wrote = False

    async def rollback(self) -> None:
        if self._touched:
            await super().rollback()
            self._touched = self._wrote = False


def connect(path: str, **options: Any) -> Connection:
    """To be awaited, like aiosqlite's own."""
    connection = Connection(lambda: sqlite3.connect(path, **options), iter_chunk_size=64)
    connection.busy_ms = round(options.get("timeout", 5.0) * 1000)
    connection._thread.daemon = True  # as SQLAlchemy has it with aiosqlite's own: an exit does not wait for it
    return connection
