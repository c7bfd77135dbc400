"""Where a worker runs its workflows: in its event loop, between its other work.

Temporal's own way is a pool of threads. Python runs one thread at a time, so that changes threads a dozen times a lead
for nothing: an activation of ours takes a millisecond and never waits. What is given up is Temporal's watch over
workflows that never come to an end: one would stop its worker, not only itself. There is no such loop in ours, and the
tests run them in Temporal's sandbox.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class InTheLoop(ThreadPoolExecutor):
    """Runs what it is given at once, in the thread that gives it; it never starts one of its own."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)  # a workflow is a loop of its own
        try:
            done.set_result(contextvars.Context().run(fn, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 (whoever waits for the result gets it)
            done.set_exception(error)
        finally:
            asyncio._set_running_loop(outer)
        return done
