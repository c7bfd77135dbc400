"""The client end of a Media Streams WebSocket, on the sans-I/O layer of `websockets`.

Sending is a plain function call, so that one ticker can feed a hundred sockets without a task for each.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from breeze_buddy.simulator.errors import CallFault

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
UNSENT_MAX_BYTES = 1 << 20
HANDSHAKE_FAILED = 31920
CONNECTION_LOST = 31921
BINARY_FRAME = 31950


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class StreamSocket(asyncio.Protocol):
    """One WebSocket: ``on_text`` gets each message, ``closed`` resolves when it is gone.

    ``closed`` carries None after a proper close by either side, else the CallFault that ended it.
    """

    def __init__(self, url: str, headers: Mapping[str, str], on_text: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self._wire = ClientProtocol(parse_uri(url), max_size=16 << 20)
        self._headers = headers
        self._on_text = on_text
        self._transport: asyncio.Transport | None = None
        self._fragments: list[bytes] = []
        self._opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[CallFault | None] = loop.create_future()

    @classmethod
    async def connect(cls, url: str, headers: Mapping[str, str], on_text: Callable[[bytes], None]) -> "StreamSocket":
        """Connect and shake hands. Raises CallFault 31920 when the other side cannot be reached or declines."""
        loop = asyncio.get_running_loop()
        try:
            socket = cls(url, headers, on_text)
        except InvalidURI as error:
            raise CallFault(HANDSHAKE_FAILED, f"Not a WebSocket URL: {error}") from error
        uri = socket._wire.uri
        context = _tls() if uri.secure else None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: socket, uri.host, uri.port, ssl=context)
                await socket._opened
        except (OSError, TimeoutError, InvalidHandshake) as error:
            socket.abort()
            raise CallFault(HANDSHAKE_FAILED, f"No WebSocket at {url}: {error or type(error).__name__}") from error
        except asyncio.CancelledError:
            socket.abort()
            raise
        return socket

    def send(self, text: bytes) -> None:
        """Send a text message; does nothing once the socket is closing. A peer that does not read is cut off."""
        if self._transport is None or self._wire.state is not State.OPEN:
            return
        if self._transport.get_write_buffer_size() > UNSENT_MAX_BYTES:
            self._end(CallFault(CONNECTION_LOST, "The media server does not read its stream"))
            self.abort()
            return
        self._wire.send_text(text)
        self._flush()

    def close(self) -> None:
        """Say goodbye; the connection is dropped when the other side has said so too, or does not in time."""
        if self._wire.state is State.OPEN:
            self._wire.send_close(1000)
            self._flush()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def fail(self, code: int, fault: CallFault) -> None:
        """Close with an error that the other side can read."""
        self._end(fault)
        if self._wire.state is State.OPEN:
            self._wire.send_close(code, fault.text[:120])
            self._flush()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the TCP (and TLS) connection stands; ask for the upgrade."""
        self._transport = cast(asyncio.Transport, transport)
        request = self._wire.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self._wire.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Asyncio's: bytes arrived."""
        self._wire.receive_data(data)
        self._take_events()
        self._flush()

    def eof_received(self) -> None:
        """Asyncio's: the other side sends no more."""
        self._wire.receive_eof()
        self._take_events()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Asyncio's: the connection is gone."""
        if self._wire.state is not State.CLOSED:
            self._wire.receive_eof()
        if not self._opened.done():
            self._opened.set_exception(ConnectionError(f"connection lost in the handshake: {error or 'closed'}"))
            self._opened.exception()
        clean = self._wire.close_rcvd is not None
        self._end(
            None if clean else CallFault(CONNECTION_LOST, f"The stream's connection was lost: {error or 'closed'}")
        )

    def _take_events(self) -> None:
        for event in self._wire.events_received():
            if isinstance(event, Response):
                if self._wire.handshake_exc is None:
                    self._opened.set_result(None)
            elif isinstance(event, Frame):
                self._take_frame(event)
        if self._wire.handshake_exc is not None and not self._opened.done():
            self._opened.set_exception(self._wire.handshake_exc)
            self._opened.exception()
        if self._wire.close_rcvd is not None:
            self._end(None)

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self.fail(1003, CallFault(BINARY_FRAME, "A binary frame arrived; Media Streams are text"))
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            if frame.fin and not self._fragments:
                self._deliver(bytes(frame.data))
                return
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(self._fragments)
                self._fragments.clear()
                self._deliver(whole)

    def _deliver(self, text: bytes) -> None:
        if self.closed.done():
            return
        try:
            self._on_text(text)
        except CallFault as fault:
            self.fail(1007, fault)

    def _end(self, fault: CallFault | None) -> None:
        if not self.closed.done():
            self.closed.set_result(fault)

    def _flush(self) -> None:
        if self._transport is None:
            return
        for data in self._wire.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
        if self._wire.close_expected():
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)
