"""Workflows run in the worker's event loop, which they do not disturb."""

import asyncio
import contextvars
import threading

import pytest

from breeze_buddy.cli.in_the_loop import InTheLoop

name = contextvars.ContextVar("name", default="nobody")


async def test_what_is_given_runs_here_as_if_no_loop_were_running() -> None:
    def work(here: int) -> tuple[bool, str]:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        inner = asyncio.new_event_loop()
        try:
            return threading.get_ident() == here, inner.run_until_complete(asyncio.sleep(0, name.get()))
        finally:
            inner.close()

    name.set("the worker")
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(InTheLoop(1), work, threading.get_ident())
    assert found == (True, "nobody")
    assert asyncio.get_running_loop() is loop
    assert name.get() == "the worker"


async def test_an_error_is_that_of_the_work_and_the_loop_goes_on() -> None:
    def work() -> None:
        raise ValueError("within")

    loop = asyncio.get_running_loop()
    with pytest.raises(ValueError, match="within"):
        await loop.run_in_executor(InTheLoop(1), work)
    assert asyncio.get_running_loop() is loop
