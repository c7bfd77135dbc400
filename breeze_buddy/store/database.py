"""Connections and transactions, on SQLite (WAL) or PostgreSQL.

A write on SQLite takes the write lock at once (`BEGIN IMMEDIATE`) and waits for it, so that two
processes on one file queue up instead of failing half-way.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from breeze_buddy.store import limits, sqlite_connections
from breeze_buddy.store.errors import UnusableText
from breeze_buddy.store.lanes import LaneConnection

SQLITE_BUSY_MS = 30_000
# Any constants: the advisory locks on PostgreSQL under which lines are granted, campaigns made, pods allocated.
_DISPATCH_LOCK = 7_242_001
_ENROLMENT_LOCK = 7_242_003
_ALLOCATION_LOCK = 7_242_004
# One of two numbers, the other one is made of the campaign's id: these locks are apart from those of one number.
_ADDING_CLASS = 7_242_005
# PostgreSQL's "character not in repertoire" and "untranslatable character".
_REFUSED_TEXT = frozenset({"22021", "22P05"})

_ALLOCATION = text("SELECT pg_advisory_xact_lock(:key), set_config('synchronous_commit', 'off', true)")
_ADDING = text("SELECT pg_advisory_xact_lock(:class, hashtext(:campaign_id))")

Transaction = AsyncConnection


class DatabaseUrlError(ValueError):
    """A DATABASE_URL that cannot be used; the message says how to write it."""


def utc_now() -> datetime:
    """The time as the store keeps it: aware, in UTC."""
    return datetime.now(UTC)


class Database:
    """One process's pool of connections. Make one, pass it around, `close` it at the end."""

    def __init__(self, url: str, *, pool_size: int = 10, clock: Callable[[], datetime] = utc_now) -> None:
        """`clock` gives the aware time that everything in the store is dated by.

        Raises DatabaseUrlError unless `url` names SQLite (aiosqlite) or PostgreSQL (asyncpg).
        """
        self.now = clock
        self.url = async_url(url)
        self._engine = _engine(self.url, pool_size)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        event.listen(self._engine.sync_engine, "handle_error", _name_unusable_text)
        # SQLite lets one write at a time, and lets others try again after ever longer pauses. Among ourselves the
        # next one goes on at once.
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.is_sqlite else nullcontext()

    @property
    def engine(self) -> AsyncEngine:
        return self._engine

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that is committed at the end, or rolled back when an exception passes."""
        async with self._turn, LaneConnection(self._engine) as connection:
            await connection.execution_options(breeze_write=True)
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """A transaction that changes nothing."""
        async with LaneConnection(self._engine) as connection, connection.begin():
            yield connection

    async def answers(self) -> bool:
        """Whether the database can be read now."""
        try:
            async with self.read() as tx:
                await tx.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return False
        return True

    async def close(self) -> None:
        """Give back all connections, after those that sit in a lock have come out of it."""
        await limits.settled(SQLITE_BUSY_MS / 1000 + 5)
        await self._engine.dispose()


def insert_into(tx: Transaction, table: Table) -> Any:
    """An INSERT of this database, which can say what is to happen on a conflict."""
    dialect: Any = postgresql if tx.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


async def serialise_dispatch(tx: Transaction) -> None:
    """Until this transaction ends no other one grants lines or takes channels away: decisions see each other."""
    await _serialise(tx, _DISPATCH_LOCK)


async def serialise_enrolment(tx: Transaction) -> None:
    """Until this transaction ends no other one makes campaigns: what one does not find, no other one is making."""
    await _serialise(tx, _ENROLMENT_LOCK)


async def serialise_adding(tx: Transaction, campaign_id: str) -> None:
    """Until this transaction ends no other one adds leads to this campaign or cancels pages of them.

    Not the campaign's row: who grants a line to one of its leads, or finishes a call, changes that, and does not wait.
    """
    if tx.dialect.name == "postgresql":
        await tx.execute(_ADDING, {"class": _ADDING_CLASS, "campaign_id": campaign_id})


async def serialise_allocation(tx: Transaction) -> None:
    """Until this transaction ends no other one gives calls to pods: nobody gets the place that another one took.

    Its commit does not wait for the disk: the lock is held for less, and a lease that a crash of the database
    undoes is written again when the stream comes.
    """
    if tx.dialect.name == "postgresql":
        await tx.execute(_ALLOCATION, {"key": _ALLOCATION_LOCK})


async def _serialise(tx: Transaction, key: int) -> None:
    # A write on SQLite is alone anyway.
    if tx.dialect.name == "postgresql":
        await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _name_unusable_text(context: ExceptionContext) -> None:
    """The one mistake in a statement that is not ours: a request brought text that no table takes."""
    error: BaseException | None = context.original_exception
    while error is not None:
        if isinstance(error, UnicodeEncodeError) or getattr(error, "sqlstate", None) in _REFUSED_TEXT:
            raise UnusableText from context.original_exception
        error = error.__cause__


def async_url(url: str) -> str:
    """`url` with the asynchronous driver that we use. Raises DatabaseUrlError."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlError(f"DATABASE_URL is not a database URL: {error}") from error
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    kind = parsed.get_backend_name()
    if kind not in drivers:
        raise DatabaseUrlError(
            f"DATABASE_URL names {kind!r}: write sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST/NAME"
        )
    return parsed.set(drivername=drivers[kind]).render_as_string(hide_password=False)


def _engine(url: str, pool_size: int) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(
            url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, hide_parameters=True
        )
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        connect_args={
            "async_creator_fn": sqlite_connections.connect,
            "timeout": SQLITE_BUSY_MS / 1000,
            "cached_statements": 512,
        },
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={SQLITE_BUSY_MS}", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        _use_wal(cursor)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("breeze_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _use_wal(cursor: Any) -> None:
    """Of several who turn a new file to WAL in one moment, SQLite tells some at once that it is locked, however long
    they would wait. They look again."""
    deadline_s = time.monotonic() + SQLITE_BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
        else:
            return
