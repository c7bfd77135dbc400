"""The Smart Router: which media server takes an answered call.

Twilio waits on the phone meanwhile, so the router has a time limit, and whoever asks has the static stream URL
for when it is over. Calls that ask at the same time are served by one transaction: while one is under way the
next ones gather, so that a rush makes transactions larger instead of more.
"""

import asyncio
from typing import Protocol

from breeze_buddy.store import conversations, pods
from breeze_buddy.store.database import Database
from breeze_buddy.store.errors import NotFound, Unavailable
from breeze_buddy.store.limits import within
from breeze_buddy.store.pods import Allocation, Wanted

MOST_AT_ONCE = 64
"""Calls of one transaction."""


class StreamRouter(Protocol):
    """Chooses a media server for a call, and counts the streams that it was offered.

    Both methods raise NotFound for a call that does not exist, Unavailable when there is no decision in time.
    """

    async def allocate(self, call_id: str) -> Allocation:
        """For a call that was answered; the same for the same call while that pod takes streams."""

    async def reallocate(self, call_id: str) -> Allocation:
        """For a call whose stream broke: elsewhere, if there is another place."""


class OneServer:
    """The router of a stack without pod isolation: every call goes to the same URL."""

    def __init__(self, database: Database, stream_url: str) -> None:
        self._database = database
        self._stream_url = stream_url

    async def allocate(self, call_id: str) -> Allocation:
        async with self._database.write() as tx:
            standing = await conversations.standing(tx, call_id)
            await conversations.count_stream(tx, call_id)
        return Allocation(call_id, standing.lead_id, standing.streams + 1, stream_url=self._stream_url)

    async def reallocate(self, call_id: str) -> Allocation:
        return await self.allocate(call_id)


class SmartRouter:
    """The router over the registered pods. `limit_s` is how long one decision may take."""

    def __init__(self, database: Database, *, limit_s: float) -> None:
        self._database = database
        self._limit_s = limit_s
        self._waiting: list[tuple[Wanted, asyncio.Future[Allocation]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def allocate(self, call_id: str) -> Allocation:
        return await self._ask(Wanted(call_id))

    async def reallocate(self, call_id: str) -> Allocation:
        return await self._ask(Wanted(call_id, elsewhere=True))

    async def _ask(self, wanted: Wanted) -> Allocation:
        answer: asyncio.Future[Allocation] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, answer))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(self._limit_s):
                return await answer
        except TimeoutError as error:
            raise Unavailable(f"no decision within {self._limit_s:g} s") from error

    async def _serve(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                # Whoever gave up while it waited has been sent elsewhere.
                await self._decide([(wanted, answer) for wanted, answer in batch if not answer.done()])
        finally:
            self._serving = None

    async def _decide(self, batch: list[tuple[Wanted, "asyncio.Future[Allocation]"]]) -> None:
        # One answer for a call, however often it is asked for at once.
        by_call = {wanted.call_id: wanted for wanted, _ in batch}
        if not by_call:
            return
        why = "the allocation failed"
        found: dict[str, Allocation] | None = None
        try:
            found = await within(self._limit_s, self._allocate(list(by_call.values())))
        except Unavailable as error:
            why = str(error)
        finally:
            for wanted, answer in batch:
                if answer.done():
                    continue
                if found is None:
                    answer.set_exception(Unavailable(why))
                elif wanted.call_id in found:
                    answer.set_result(found[wanted.call_id])
                else:
                    answer.set_exception(NotFound("call", wanted.call_id))

    async def _allocate(self, wanted: list[Wanted]) -> dict[str, Allocation]:
        async with self._database.write() as tx:
            return await pods.allocate(tx, wanted, now=self._database.now())
