"""The wire protocol of Twilio Media Streams (bidirectional), without sockets, clocks or queues.

Text frames in, typed events out, and the other way round. Numbers travel as strings, audio as base64 of
µ-law at 8 kHz, and one sequence number runs over all events but `connected`.
"""

from base64 import b64encode
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

MAX_MESSAGE_BYTES = 64 * 1024
"""Far above anything Twilio sends: a 20 ms frame is about 300 bytes."""
MESSAGES_AHEAD = 2000
MESSAGES_A_SECOND = 100
BYTES_AHEAD = 1024 * 1024
BYTES_A_SECOND = 50_000
"""A telephone makes some 55 messages and 18,000 bytes a second, and a network that was stuck delivers all at once what
was kept meanwhile. Whoever sends more than this would use up the time of other calls."""

MOST_DIGITS = 18
Name = Annotated[str, Meta(min_length=1, max_length=512)]


class WireError(Exception):
    """The peer broke the protocol; its stream is closed. `code` is for logs and counters."""

    code = "wire"


class MalformedMessage(WireError):
    """Not JSON, or a field is missing or of the wrong kind."""

    code = "malformed"


class Oversized(WireError):
    """A message of more than MAX_MESSAGE_BYTES."""

    code = "oversized"


class Flooding(WireError):
    """More messages, or more sound, than a telephone makes in the time."""

    code = "flooding"


class OutOfOrder(WireError):
    """An event that cannot come now: before `start`, after `stop`, twice, or with an old sequence number."""

    code = "out_of_order"


class WrongStream(WireError):
    """An event that names another stream than the one that started."""

    code = "wrong_stream"


class UnsupportedMedia(WireError):
    """Audio that is not µ-law, 8 kHz, mono, or not of the caller's track."""

    code = "unsupported_media"


class _Message(Struct, frozen=True, rename="camel", tag_field="event"):
    pass


class Connected(_Message, frozen=True, tag="connected"):
    """The first message of a socket; it says nothing about the call yet."""

    protocol: str
    version: str


class MediaFormat(Struct, frozen=True, rename="camel"):
    encoding: str
    sample_rate: int
    channels: int


class StartDetails(Struct, frozen=True, rename="camel"):
    stream_sid: Name
    call_sid: Name
    account_sid: Name
    media_format: MediaFormat
    tracks: tuple[str, ...] = ()
    custom_parameters: dict[str, str] = {}


class Start(_Message, frozen=True, tag="start"):
    """The call that the socket carries, and the `<Parameter>`s of its TwiML."""

    sequence_number: str
    stream_sid: Name
    start: StartDetails


class MediaDetails(Struct, frozen=True, rename="camel"):
    payload: bytes  # msgspec decodes the base64
    track: str = "inbound"
    chunk: str = "1"
    timestamp: str = "0"


class Media(_Message, frozen=True, tag="media"):
    """Audio of the caller, usually 20 ms."""

    sequence_number: str
    stream_sid: Name
    media: MediaDetails


class DtmfDetails(Struct, frozen=True, rename="camel"):
    digit: Annotated[str, Meta(pattern=r"^[0-9A-D*#]$")]
    track: str = "inbound_track"


class Dtmf(_Message, frozen=True, tag="dtmf"):
    """A key that the caller pressed."""

    sequence_number: str
    stream_sid: Name
    dtmf: DtmfDetails


class MarkDetails(Struct, frozen=True, rename="camel"):
    name: str


class Mark(_Message, frozen=True, tag="mark"):
    """A mark of ours comes back: what was sent before it has played, or was cleared."""

    sequence_number: str
    stream_sid: Name
    mark: MarkDetails


class StopDetails(Struct, frozen=True, rename="camel"):
    account_sid: str = ""
    call_sid: str = ""


class Stop(_Message, frozen=True, tag="stop"):
    """The stream ended: the caller hung up, or the call was moved elsewhere."""

    sequence_number: str
    stream_sid: Name
    stop: StopDetails = StopDetails()


class Unknown(Struct, frozen=True):
    """An event that this server does not know; a new kind must not end calls."""

    event: str


Event = Connected | Start | Media | Dtmf | Mark | Stop | Unknown

_Known = Connected | Start | Media | Dtmf | Mark | Stop
_decoder: msgspec.json.Decoder[_Known] = msgspec.json.Decoder(_Known)
_KNOWN = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})


class _AnyEvent(Struct):
    event: str


_any_decoder = msgspec.json.Decoder(_AnyEvent)


def parse(message: bytes) -> Event:
    """One text frame as an event. Raises MalformedMessage, Oversized."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise Oversized(f"a message of {len(message)} bytes; {MAX_MESSAGE_BYTES} is the most")
    try:
        return _decoder.decode(message)
    except msgspec.ValidationError as error:
        unknown = _unknown_event(message)
        if unknown is not None:
            return unknown
        raise MalformedMessage(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(str(error)) from error


def _unknown_event(message: bytes) -> Unknown | None:
    try:
        name = _any_decoder.decode(message).event
    except msgspec.DecodeError:
        return None
    return None if name in _KNOWN else Unknown(name)


class StreamReader:
    """What one socket may send next: `connected`, `start`, anything, `stop`, nothing.

    Sequence numbers must grow; a gap is no error.
    """

    def __init__(self) -> None:
        self._connected = False
        self._stopped = False
        self._sequence = 0
        self.stream_sid: str | None = None

    def receive(self, message: bytes) -> Event:
        """The event in `message`. Raises a WireError."""
        if self._stopped:
            raise OutOfOrder("a message after stop")
        event = parse(message)
        if type(event) is Media and event.stream_sid == self.stream_sid:  # nearly all of them
            self._count(event.sequence_number)
            if event.media.track != "inbound":
                raise UnsupportedMedia(f"track {event.media.track!r}; only inbound is read")
            return event
        if isinstance(event, Unknown):
            return event
        if isinstance(event, Connected):
            if self._connected:
                raise OutOfOrder("connected came twice")
            self._connected = True
            return event
        if isinstance(event, Start):
            self._start(event)
        elif self.stream_sid is None:
            raise OutOfOrder(f"{type(event).__name__.lower()} before start")
        elif event.stream_sid != self.stream_sid:
            raise WrongStream("the message names another stream")
        self._count(event.sequence_number)
        if isinstance(event, Dtmf) and event.dtmf.track != "inbound_track":
            raise UnsupportedMedia(f"a key on track {event.dtmf.track!r}; only inbound_track is the caller's")
        self._stopped = isinstance(event, Stop)
        return event

    def _start(self, event: Start) -> None:
        if not self._connected:
            raise OutOfOrder("start before connected")
        if self.stream_sid is not None:
            raise OutOfOrder("start came twice")
        if event.start.stream_sid != event.stream_sid:
            raise WrongStream("start names two streams")
        given = event.start.media_format
        if (given.encoding, given.sample_rate, given.channels) != ("audio/x-mulaw", 8000, 1):
            raise UnsupportedMedia(
                f"{given.encoding} at {given.sample_rate} Hz with {given.channels} channels; "
                "only audio/x-mulaw at 8000 Hz, mono, is carried"
            )
        self.stream_sid = event.stream_sid

    def _count(self, number: str) -> None:
        if not (number.isdigit() and number.isascii() and len(number) <= MOST_DIGITS):
            raise MalformedMessage(f"the sequence number {number[:MOST_DIGITS]!r} is no number")
        sequence = int(number)
        if sequence <= self._sequence:
            raise OutOfOrder(f"sequence number {sequence} after {self._sequence}")
        self._sequence = sequence


class Allowance:
    """What one peer may send: pure, told how long the stream is there."""

    def __init__(self) -> None:
        self._messages = 0
        self._bytes = 0
        self._most_messages = MESSAGES_AHEAD
        self._most_bytes = BYTES_AHEAD

    def exceeded(self, message_bytes: int) -> bool:
        """Count a message: whether it is more than was allowed when `renew` was last called."""
        self._messages += 1
        self._bytes += message_bytes
        return self._messages > self._most_messages or self._bytes > self._most_bytes

    def renew(self, age_s: float) -> None:
        """The stream is `age_s` old. Raises Flooding when even that is too young for what has come."""
        self._most_messages = MESSAGES_AHEAD + int(age_s * MESSAGES_A_SECOND)
        self._most_bytes = BYTES_AHEAD + int(age_s * BYTES_A_SECOND)
        if self._messages > self._most_messages or self._bytes > self._most_bytes:
            raise Flooding(f"{self._messages} messages, {self._bytes} bytes in {age_s:.1f} s")


class StreamWriter:
    """Messages to Twilio for one stream, as the bytes of text frames."""

    def __init__(self, stream_sid: str) -> None:
        sid = msgspec.json.encode(stream_sid)
        self._media = b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"'
        self._mark = b'{"event":"mark","streamSid":' + sid + b',"mark":{"name":'
        self._clear = b'{"event":"clear","streamSid":' + sid + b"}"

    def media(self, mulaw: bytes) -> bytes:
        """Audio of any length, without a file header."""
        return self._media + b64encode(mulaw) + b'"}}'

    def mark(self, name: str) -> bytes:
        """Comes back with the same name when what was sent before it has played."""
        return self._mark + msgspec.json.encode(name) + b"}}"

    def clear(self) -> bytes:
        """Drops what Twilio has not played yet; every pending mark comes back."""
        return self._clear
