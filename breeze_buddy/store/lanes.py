"""Greenlets that are used again.

SQLAlchemy runs each statement of an asynchronous connection in a greenlet of its own, so that its synchronous code can
wait for the driver. Python 3.11 maps a piece of memory for each greenlet's frames and unmaps it at its end, which
costs more than many a statement does. Here greenlets go on to the next statement instead.
"""

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]
from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

_MOST_KEPT = 64


class _Lane(greenlet):  # type: ignore[misc]
    """Runs one function after the other. What `sqlalchemy.util.await_` hands out within one is waited for outside."""

    __sqlalchemy_greenlet_provider__ = True

    def __init__(self) -> None:
        super().__init__()
        self.idle = True
        self.result: Any = None
        self.error: Exception | None = None

    def run(self, work: Callable[[], Any]) -> None:
        while True:
            try:
                self.result = work()
            except Exception as error:  # noqa: BLE001 (it is raised where it is waited for)
                self.error = error
            self.idle = True
            del work
            assert self.parent is not None
            work = self.parent.switch()

    def taken(self) -> tuple[Any, Exception | None]:
        """What came of it: nothing of it stays in a lane that is idle."""
        result, error = self.result, self.error
        self.result = self.error = None
        return result, error


class _Kept(threading.local):
    """A greenlet belongs to the thread that made it."""

    def __init__(self) -> None:
        self.lanes: list[_Lane] = []


_kept = _Kept()


async def run(work: Callable[[], Any]) -> Any:
    """The result of a synchronous function of SQLAlchemy's that may wait for its driver.

    Whoever is cancelled while it waits has the function cancelled there.
    """
    free = _kept.lanes
    lane = free.pop() if free else _Lane()
    lane.parent = here = getcurrent()
    lane.gr_context = here.gr_context
    lane.idle = False
    said = lane.switch(work)
    while not lane.idle:
        try:
            value = await said
        except BaseException:  # noqa: BLE001 (it goes on within)
            said = lane.throw(*sys.exc_info())
        else:
            said = lane.switch(value)
    lane.gr_context = None
    result, error = lane.taken()
    if len(free) < _MOST_KEPT:
        free.append(lane)
    if error is None:
        return result
    try:
        raise error
    finally:
        del error  # which knows this frame, and would stay for long if the frame knew it


class LaneConnection(AsyncConnection):
    """Executes in lanes."""

    async def execute(
        self, statement: Executable, parameters: Any = None, *, execution_options: Any = None
    ) -> CursorResult[Any]:
        connection = self.sync_connection
        assert connection is not None, "the connection is not open"
        work = partial(connection.execute, statement, parameters, execution_options=execution_options)
        result: CursorResult[Any] = await run(work)
        return result
