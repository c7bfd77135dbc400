"""Runs a command's coroutine in the foreground: a first SIGINT, SIGTERM or SIGHUP asks it to end, a second insists."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


async def until_signalled(work: Coroutine[Any, Any, int], *, insist: Callable[[], None] = lambda: None) -> int:
    """The exit code of `work`, or INTERRUPTED when a signal cancelled it.

    `work` cleans up when it is cancelled; `insist` is called by each further signal meanwhile.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    signalled = False

    def stop() -> None:
        nonlocal signalled
        if signalled:
            insist()
        else:
            signalled = True
            task.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if not signalled:
            raise
        return INTERRUPTED
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` even when the caller is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
