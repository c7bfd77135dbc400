"""One `<Connect><Stream>` of a call: an endpoint whose other side is a media server's WebSocket."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from breeze_buddy.simulator.playout import Playout
from breeze_buddy.simulator.sids import new_sid
from breeze_buddy.simulator.signatures import sign
from breeze_buddy.simulator.stream_socket import StreamSocket
from breeze_buddy.simulator.stream_wire import Clear, Mark, Media, StreamWriter, read
from breeze_buddy.simulator.twiml import ConnectStream

FIRST_TIMESTAMP_MS = 60
"""Streams do not begin at 0: the socket opens a moment after the sound."""


@dataclass
class StreamWitness:
    """What happened on a stream, in messages, bytes and seconds."""

    sid: str
    url: str
    frames_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0
    marks_received: int = 0
    clears_received: int = 0
    clears_at_s: list[float] = field(default_factory=list)
    first_audio_at_s: float | None = None
    ended: str | None = None


class MediaStream:
    """Connects, then trades 20 ms of sound at each tick until one side ends it."""

    sources = ("agent-stream",)

    def __init__(
        self, verb: ConnectStream, *, account_sid: str, auth_token: str, call_sid: str, clock_s: Callable[[], float]
    ) -> None:
        self.sid = new_sid("MZ")
        self.witness = StreamWitness(self.sid, verb.url)
        self._verb = verb
        self._auth_token = auth_token
        self._clock_s = clock_s
        self._playout = Playout()
        self._socket: StreamSocket | None = None
        self._writer = StreamWriter(
            account_sid=account_sid, call_sid=call_sid, stream_sid=self.sid, first_timestamp_ms=FIRST_TIMESTAMP_MS
        )

    async def connect(self) -> None:
        """Open the WebSocket and say connected and start. Raises CallFault 31920 when it cannot be opened."""
        headers = {"X-Twilio-Signature": sign(self._auth_token, self._verb.url), "User-Agent": "TwilioMediaStreams/1.0"}
        self._socket = await StreamSocket.connect(self._verb.url, headers, self._receive)
        self._socket.send(self._writer.connected())
        self._socket.send(self._writer.start(dict(self._verb.parameters)))

    async def until_closed(self) -> None:
        """Wait for the media server to close the socket. Raises CallFault when it broke instead."""
        if self._socket is None:
            return
        fault = await asyncio.shield(self._socket.closed)
        self.witness.ended = "closed by the media server" if fault is None else fault.text
        if fault is not None:
            raise fault

    def stop(self) -> None:
        """End the stream from Twilio's side: stop, then close. Harmless when it has ended."""
        if self._socket is None:
            return
        if not self._socket.closed.done():
            self.witness.ended = "stopped by the call"
            self._socket.send(self._writer.stop())
        self._socket.close()

    def abort(self) -> None:
        """Drop the connection, whatever its state."""
        if self._socket is not None:
            self._socket.abort()

    def exchange(self, said: bytes) -> bytes | None:
        """20 ms of the callee out, 20 ms of the agent in."""
        if self._socket is None:
            return None
        for name in self._playout.due_marks():
            self._socket.send(self._writer.mark(name))
        self._socket.send(self._writer.media(said))
        self.witness.frames_sent += 1
        return self._playout.next_frame()

    def press(self, digit: str) -> None:
        """A key of the callee."""
        if self._socket is not None:
            self._socket.send(self._writer.dtmf(digit))

    def _receive(self, text: bytes) -> None:
        command = read(text, self.sid)
        witness = self.witness
        witness.messages_received += 1
        if isinstance(command, Media):
            witness.bytes_received += len(command.media.payload)
            if witness.first_audio_at_s is None:
                witness.first_audio_at_s = round(self._clock_s(), 3)
            self._playout.media(command.media.payload)
        elif isinstance(command, Mark):
            witness.marks_received += 1
            self._playout.mark(command.mark.name)
            if self._playout.is_empty:
                self._echo(self._playout.due_marks())
        elif isinstance(command, Clear):
            witness.clears_received += 1
            witness.clears_at_s.append(round(self._clock_s(), 3))
            self._echo(self._playout.clear())

    def _echo(self, names: list[str]) -> None:
        if self._socket is not None:
            for name in names:
                self._socket.send(self._writer.mark(name))
