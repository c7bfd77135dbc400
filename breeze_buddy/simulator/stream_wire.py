"""Twilio's side of the Media Streams protocol, as text frames in and out. Pure: no socket, no clock.

Numbers are strings, one sequence runs over all event types, and `connected` is outside that sequence.
"""

import base64
import json
from collections.abc import Mapping

import msgspec

from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.sound import FRAME_MS, SILENCE_FRAME

MALFORMED = 31924
_SILENCE_BASE64 = base64.b64encode(SILENCE_FRAME)


class MediaBody(msgspec.Struct):
    """Sound for the callee: µ-law, base64 in the message."""

    payload: bytes


class MarkBody(msgspec.Struct):
    """A name to hear back when the sound before it has played."""

    name: str


class Media(msgspec.Struct, tag_field="event", tag="media", rename="camel"):
    """Play this after what is already waiting."""

    stream_sid: str
    media: MediaBody


class Mark(msgspec.Struct, tag_field="event", tag="mark", rename="camel"):
    """Say when the sound sent before has played."""

    stream_sid: str
    mark: MarkBody


class Clear(msgspec.Struct, tag_field="event", tag="clear", rename="camel"):
    """Forget what is waiting to be played."""

    stream_sid: str


Command = Media | Mark | Clear
_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


def read(text: bytes, stream_sid: str) -> Command:
    """A message from the media server. Raises CallFault 31924 when it is malformed or for another stream."""
    try:
        command = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CallFault(MALFORMED, f"Malformed stream message: {error}") from error
    if command.stream_sid != stream_sid:
        raise CallFault(MALFORMED, f"The stream message is for {command.stream_sid}, this stream is {stream_sid}")
    return command


class StreamWriter:
    """Builds the messages of one stream, counting sequence numbers and chunks."""

    def __init__(self, *, account_sid: str, call_sid: str, stream_sid: str, first_timestamp_ms: int) -> None:
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._sid = stream_sid
        self._sequence = 0
        self._chunk = 0
        self._timestamp_ms = first_timestamp_ms
        self._media_end = b'"},"streamSid":"' + stream_sid.encode() + b'"}'

    def connected(self) -> bytes:
        """The first message on the socket."""
        return _json({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, parameters: Mapping[str, str]) -> bytes:
        """Who calls, in which format, with the <Parameter>s of the TwiML."""
        return self._numbered(
            "start",
            {
                "accountSid": self._account_sid,
                "streamSid": self._sid,
                "callSid": self._call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(parameters),
            },
        )

    def media(self, frame: bytes) -> bytes:
        """20 ms of what the callee says."""
        self._sequence += 1
        self._chunk += 1
        payload = _SILENCE_BASE64 if frame is SILENCE_FRAME else base64.b64encode(frame)
        head = (
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d","payload":"'
            % (self._sequence, self._chunk, self._timestamp_ms)
        )
        self._timestamp_ms += FRAME_MS
        return head + payload + self._media_end

    def dtmf(self, digit: str) -> bytes:
        """A key that the callee pressed."""
        return self._numbered("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> bytes:
        """The echo of a mark."""
        return self._numbered("mark", {"name": name})

    def stop(self) -> bytes:
        """The last message: the stream has ended on Twilio's side."""
        return self._numbered("stop", {"accountSid": self._account_sid, "callSid": self._call_sid})

    def _numbered(self, event: str, body: dict[str, object]) -> bytes:
        self._sequence += 1
        return _json({"event": event, "sequenceNumber": str(self._sequence), event: body, "streamSid": self._sid})


def _json(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
