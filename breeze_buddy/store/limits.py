"""Database work that somebody waits for on the phone: bounded in time, and its failures told as one error."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from breeze_buddy.store.errors import Unavailable

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_given_up: set[asyncio.Task[Any]] = set()


async def within(limit_s: float, work: Coroutine[Any, Any, _T]) -> _T:
    """The result of `work`; Unavailable when it takes longer than `limit_s`, or when the database fails in it.

    Work that took too long is cancelled and not waited for: a driver may sit in a lock for much longer (SQLite's
    does). Its transaction is rolled back whenever it comes out.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        _give_up(task)
        raise
    if not done:
        _give_up(task)
        raise Unavailable(f"the database did not answer within {limit_s:g} s")
    try:
        return task.result()
    except (SQLAlchemyError, OSError) as error:
        raise Unavailable(f"the database failed: {error}") from error


async def settled(limit_s: float) -> None:
    """Wait until the work that was given up has come out of the database, at most `limit_s`: a connection must not
    be closed under it."""
    loop = asyncio.get_running_loop()
    here = [task for task in _given_up if task.get_loop() is loop]
    if here:
        await asyncio.wait(here, timeout=limit_s)


def _give_up(task: asyncio.Task[Any]) -> None:
    task.cancel()
    _given_up.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[Any]) -> None:
    _given_up.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("database work that had been given up failed: %s", error)
