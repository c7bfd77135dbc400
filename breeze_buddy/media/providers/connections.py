"""HTTP and WebSocket connections to providers: one pool for the process, without a limit of its own."""

import aiohttp

CONNECT_S = 3.0
READ_S = 10.0
"""Nothing for so long, where something is wanted, is a failure."""
KEPT_S = 60.0


class Connections:
    """Opened at the first use, on the event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The usual limit of 100 connections would have the 101st caller wait for another's sentence.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
