"""This media server as a pod: it registers, beats, says when it drains, and leaves the list at its end.

    open ──beats──▶ (told to drain: no new streams, those it has go on) ──▶ drain ──▶ close

The router may have given it a call a moment before it said that it drains: such streams are still taken, for
`LATECOMERS_S`. A database that fails costs the pod new streams, never those it has.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from breeze_buddy.domain.pod import PodInput
from breeze_buddy.settings import Settings
from breeze_buddy.store import pods
from breeze_buddy.store.database import Database, Transaction
from breeze_buddy.store.errors import NotFound, Unavailable
from breeze_buddy.store.limits import within

_T = TypeVar("_T")

log = logging.getLogger(__name__)

BEAT_EVERY_S = 2.5
_ASK_AGAIN_S = 0.2
_DATABASE_LIMIT_S = 4.0
_ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104


def pod_of(settings: Settings) -> PodInput:
    """The pod that these settings describe. Raises ValidationError for a POD_NAME or stream URL that is none."""
    host = socket.gethostname() if settings.media_host in _ANY_ADDRESS else settings.media_host
    return PodInput(
        name=settings.pod_name or f"{host}:{settings.media_port}",
        stream_url=settings.pod_stream_url or settings.stream_url,
        pool=settings.pod_pool,
        capacity=settings.pod_capacity,
    )


@dataclass(frozen=True, slots=True)
class Served:
    """What the registration asks of the server: how many streams it has, and to take no more."""

    streams: Callable[[], int]
    refuse: Callable[[], None]


class Registration:
    """One pod's place on the list. `beat_every_s` is well below `pods.SILENT_AFTER`."""

    def __init__(
        self, database: Database, pod: PodInput, *, beat_every_s: float = BEAT_EVERY_S, latecomers_s: float = 5.0
    ) -> None:
        self.pod = pod
        self._database = database
        self._beat_every_s = beat_every_s
        self._latecomers_s = latecomers_s
        self._served: Served | None = None
        self._beats: asyncio.Task[None] | None = None
        self._draining = False

    async def open(self, served: Served) -> None:
        """Register, and beat from now on. Raises Unavailable."""
        self._served = served
        await self._register()
        self._beats = asyncio.create_task(self._beat_on())
        log.info("pod %s takes up to %d streams at %s", self.pod.name, self.pod.capacity, self.pod.stream_url)

    async def drain(self) -> None:
        """Say that no new streams are wanted; returns when those that are on their way are here."""
        if not self._draining:
            self._draining = True
            try:
                await self._write(lambda tx: pods.drain(tx, self.pod.name))
            except (NotFound, Unavailable) as error:
                log.warning("pod %s could not say that it drains: %s", self.pod.name, error)
                return
        await self._latecomers()

    async def close(self) -> None:
        """Leave the list."""
        if self._beats is not None:
            self._beats.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beats
        try:
            await self._write(lambda tx: pods.deregister(tx, self.pod.name, now=self._database.now()))
        except Unavailable as error:
            log.warning("pod %s could not leave the list; it is passed over as silent: %s", self.pod.name, error)

    async def _register(self) -> None:
        await self._write(lambda tx: pods.register(tx, self.pod, now=self._database.now()))

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._beat_every_s)
            try:
                told = await self._beat()
            except Unavailable as error:
                log.warning("pod %s could not beat: %s", self.pod.name, error)
                continue
            if told and not self._draining:
                await self._drain_as_told()

    async def _beat(self) -> bool:
        """Whether somebody wants this pod to drain."""
        try:
            return await self._write(lambda tx: pods.beat(tx, self.pod.name, now=self._database.now()))
        except NotFound:
            if not self._draining:
                log.warning("pod %s was off the list: it registers again", self.pod.name)
                await self._register()
            return False

    async def _drain_as_told(self) -> None:
        assert self._served is not None
        self._draining = True
        log.info("pod %s drains, as it was told to: %d streams go on", self.pod.name, self._served.streams())
        await self._latecomers()
        self._served.refuse()

    async def _latecomers(self) -> None:
        """Until every call that was given to this pod has its stream here, or for `latecomers_s`."""
        assert self._served is not None
        try:
            async with asyncio.timeout(self._latecomers_s):
                while await self._leased() > self._served.streams():  # noqa: ASYNC110 - it is in the database
                    await asyncio.sleep(_ASK_AGAIN_S)
        except TimeoutError:
            log.info("pod %s: calls that were given to it did not come", self.pod.name)
        except (NotFound, Unavailable) as error:
            log.warning("pod %s does not know which calls were given to it: %s", self.pod.name, error)

    async def _leased(self) -> int:
        """How many calls were given to this pod, and have not ended."""
        return (await self._write(lambda tx: pods.get(tx, self.pod.name, now=self._database.now()))).live

    async def _write(self, work: Callable[[Transaction], Awaitable[_T]]) -> _T:
        async def written() -> _T:
            async with self._database.write() as tx:
                return await work(tx)

        return await within(_DATABASE_LIMIT_S, written())
