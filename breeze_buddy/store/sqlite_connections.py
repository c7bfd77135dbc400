"""Connections to SQLite that visit their thread once for each statement.

aiosqlite runs a connection in a thread of its own and goes there for every step: the cursor, the statement, its rows,
the cursor's end. A lead takes some fifty statements, and those visits cost more than the statements. Here a
statement brings its rows along, and a rollback that has nothing to undo stays away.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Self

import aiosqlite

_AT_ONCE = 500
"""Rows that come with the statement; those beyond are fetched when they are asked for."""


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
        await self._connection.visit(self._execute, sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
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

    # In the connection's thread

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


class Connection(aiosqlite.Connection):
    """Knows whether there can be anything to roll back."""

    _touched = False

    @property
    def raw(self) -> sqlite3.Connection:
        """For use in the connection's thread."""
        return self._conn

    async def visit(self, work: Any, *arguments: Any) -> Any:
        """Have something done in the connection's thread."""
        # Before the wait: whoever is cancelled in it leaves behind a statement that may still be executed.
        self._touched = True
        return await self._execute(work, *arguments)  # type: ignore[no-untyped-call]

    def cursor(self) -> Cursor:  # type: ignore[override]
        return Cursor(self)

    async def commit(self) -> None:
        await super().commit()
        self._touched = False

    async def rollback(self) -> None:
        if self._touched:
            await super().rollback()
            self._touched = False


def connect(path: str, **options: Any) -> Connection:
    """To be awaited, like aiosqlite's own."""
    connection = Connection(lambda: sqlite3.connect(path, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy has it with aiosqlite's own: an exit does not wait for it
    return connection
