"""HTTP requests at a rate (open loop) or as fast as they are answered (closed loop), over kept connections."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

MOST_CONNECTIONS = 256
ANSWER_LIMIT_S = 20.0


@dataclass
class Measured:
    """Latencies in seconds of all answers, and the bodies of those that were 200."""

    took_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.bodies) / self.took_s

    def percentile_ms(self, percent: float) -> float:
        """Milliseconds within which that many of a hundred were answered."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] * 1000


class _Connection(asyncio.Protocol):
    """HTTP/1.1, one request at a time, answers with a Content-Length."""

    def __init__(self) -> None:
        self.closed = False
        self._got = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed without an answer"))

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) >= int(fields[b"content-length"]):
            self._got = b""
            self._answer.set_result((int(head.split(b" ", 2)[1]), body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Load:
    """One client of one server. As a context manager it closes its connections."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: deque[_Connection] = deque()
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def __aenter__(self) -> "Load":
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._idle:
            connection.close()

    async def open_loop(self, requests: Sequence[bytes], *, rate: float, seed: int = 1) -> Measured:
        """Requests at random moments, `rate` a second on average, whether or not others were answered.

        A latency counts from the moment at which the request was due.
        """
        chance = random.Random(seed)
        measured = Measured()
        began = due = time.perf_counter()
        tasks = []
        for request in requests:
            due += chance.expovariate(rate)
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            tasks.append(asyncio.create_task(self._one(request, due, measured)))
        await asyncio.gather(*tasks)
        measured.took_s = time.perf_counter() - began
        return measured

    async def closed_loop(self, requests: Sequence[bytes], *, clients: int, seconds: float) -> Measured:
        """As many requests as `clients` get answered, each asking again at once, for `seconds`."""
        measured = Measured()
        waiting = iter(requests)
        began = time.perf_counter()

        async def client() -> None:
            for request in waiting:
                now = time.perf_counter()
                if now - began >= seconds:
                    return
                await self._one(request, now, measured)
            raise AssertionError("not enough requests were prepared for so quick a server")

        await asyncio.gather(*(client() for _ in range(clients)))
        measured.took_s = time.perf_counter() - began
        return measured

    async def _one(self, request: bytes, due: float, measured: Measured) -> None:
        async with self._free:
            try:
                status, body = await self._answered(request)
            except (OSError, TimeoutError) as error:
                measured.failures.append(repr(error))
                return
        measured.latencies_s.append(time.perf_counter() - due)
        if status == 200:
            measured.bodies.append(body)
        else:
            measured.failures.append(f"{status} {body[:200]!r}")

    async def _answered(self, request: bytes) -> tuple[int, bytes]:
        kept = bool(self._idle)
        connection = await self._connection()
        try:
            answer = await connection.ask(request)
        except (OSError, TimeoutError):
            connection.close()
            if kept and connection.closed:  # the server closed it in this moment, for it had been idle
                return await self._answered(request)
            raise
        self._idle.append(connection)
        return answer

    async def _connection(self) -> _Connection:
        """A kept one that the server has not closed meanwhile, or a new one."""
        while self._idle:
            if not (kept := self._idle.pop()).closed:
                return kept
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        return connection
