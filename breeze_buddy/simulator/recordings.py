"""Recordings: 8 kHz 16-bit WAV files written while the call goes on, and the resources that describe them.

The first channel of a dual recording is the leg that Twilio dialled, what the callee said; the second is what the
callee heard. Time that nobody speaks in is silence, so a moment of the file is a moment of the call.
"""

import audioop
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from breeze_buddy.simulator.dates import now_s, rfc2822
from breeze_buddy.simulator.sids import new_sid
from breeze_buddy.simulator.sound import FRAME_BYTES, FRAME_S, SAMPLE_RATE_HZ, SILENCE_FRAME, frames_of

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_SILENCE_PCM = bytes(2 * FRAME_BYTES)
_BUFFER_BYTES = 1 << 15


@dataclass(frozen=True)
class RecordingRequest:
    """How to record and whom to tell."""

    channels: int = 1
    track: str = "both"
    source: str = "OutboundAPI"
    callback: str | None = None
    callback_method: str = "POST"
    callback_events: tuple[str, ...] = ("completed",)


@dataclass
class Recording:
    """One recording: its state, and while it runs its open file."""

    account_sid: str
    call_sid: str
    request: RecordingRequest
    path: Path
    sid: str = field(default_factory=lambda: new_sid("RE"))
    status: str = "in-progress"
    created_s: float = field(default_factory=now_s)
    updated_s: float = field(default_factory=now_s)
    frames: int = 0
    skipping: bool = False
    conference_sid: str | None = None
    _file: BinaryIO | None = None

    @property
    def channels(self) -> int:
        """1 or 2; one track alone is always mono."""
        return self.request.channels if self.request.track == "both" else 1

    @property
    def duration_s(self) -> float:
        """Seconds of sound written."""
        return self.frames * FRAME_S

    @property
    def is_open(self) -> bool:
        """Whether it is recording or paused."""
        return self.status in ("in-progress", "paused")

    def open(self) -> None:
        """Create the file."""
        self._file = self.path.open("wb", buffering=_BUFFER_BYTES)
        self._file.write(_header(self.channels, 0))

    def write(self, said: bytes, heard: bytes) -> None:
        """20 ms of both sides in µ-law."""
        if self._file is None or self.skipping:
            return
        if self.status == "paused":
            said = heard = SILENCE_FRAME
        left, right = _pcm(said), _pcm(heard)
        if self.request.track == "inbound":
            pcm = left
        elif self.request.track == "outbound":
            pcm = right
        elif self.channels == 1:
            pcm = audioop.add(left, right, 2)
        else:
            pcm = audioop.add(audioop.tostereo(left, 2, 1, 0), audioop.tostereo(right, 2, 0, 1), 2)
        self._file.write(pcm)
        self.frames += 1

    def write_silence(self, seconds: float) -> None:
        """So much of both sides at once."""
        for _ in range(frames_of(seconds)):
            self.write(SILENCE_FRAME, SILENCE_FRAME)

    def pause(self, *, skip: bool) -> None:
        """Stop hearing: silence goes into the file, or nothing when ``skip``."""
        self.status, self.skipping, self.updated_s = "paused", skip, now_s()

    def resume(self) -> None:
        """Hear again."""
        self.status, self.skipping, self.updated_s = "in-progress", False, now_s()

    def close(self) -> None:
        """Write the sizes into the header; the recording is being processed until the exchange says completed."""
        if self._file is None:
            return
        self._file.seek(0)
        self._file.write(_header(self.channels, self.frames * FRAME_BYTES))
        self._file.close()
        self._file = None
        self.status, self.updated_s = "processing", now_s()

    def finish(self) -> None:
        """Processing is over: completed, or absent when nothing was recorded."""
        self.status, self.updated_s = ("completed" if self.frames else "absent"), now_s()

    def resource(self, *, host_url: str, within_call: bool) -> dict[str, Any]:
        """As the REST interface shows it."""
        account = f"/2010-04-01/Accounts/{self.account_sid}"
        own = f"{account}/Recordings/{self.sid}"
        done = self.status == "completed"
        body: dict[str, Any] = {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "call_sid": self.call_sid,
            "conference_sid": self.conference_sid,
            "channels": self.channels,
            "date_created": rfc2822(self.created_s),
            "date_updated": rfc2822(self.updated_s),
            "start_time": rfc2822(self.created_s),
            "price": None,
            "price_unit": "USD",
            "duration": str(round(self.duration_s)) if done else "-1",
            "sid": self.sid,
            "source": self.request.source,
            "status": self.status,
            "error_code": None,
            "encryption_details": None,
        }
        if within_call:
            return body | {
                "uri": f"{account}/Calls/{self.call_sid}/Recordings/{self.sid}.json",
                "track": self.request.track,
            }
        return body | {
            "uri": own + ".json",
            "media_url": host_url + own,
            "subresource_uris": {
                "add_on_results": own + "/AddOnResults.json",
                "transcriptions": own + "/Transcriptions.json",
            },
        }


@dataclass
class RecordingStore:
    """All recordings, with their files in one folder."""

    folder: Path
    by_sid: dict[str, Recording] = field(default_factory=dict)
    by_call: dict[str, list[Recording]] = field(default_factory=dict)

    def start(
        self, account_sid: str, call_sid: str, request: RecordingRequest, conference_sid: str | None = None
    ) -> Recording:
        """Begin a recording now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        recording = Recording(account_sid, call_sid, request, Path(), conference_sid=conference_sid)
        recording.path = self.folder / f"{recording.sid}.wav"
        recording.open()
        self.by_sid[recording.sid] = recording
        if conference_sid is None:
            self.by_call.setdefault(call_sid, []).append(recording)
        return recording

    def of_conference(self, conference_sid: str) -> list[Recording]:
        """The recordings of a conference, oldest first."""
        return [recording for recording in self.by_sid.values() if recording.conference_sid == conference_sid]

    def of_call(self, call_sid: str) -> list[Recording]:
        """The recordings of a call, oldest first; those of its conferences are not among them."""
        return self.by_call.get(call_sid, [])

    def delete(self, recording: Recording) -> None:
        """Forget a recording and remove its file."""
        recording.close()
        self.by_sid.pop(recording.sid, None)
        if recording.conference_sid is None:
            self.by_call.get(recording.call_sid, []).remove(recording)
        recording.path.unlink(missing_ok=True)

    def newest_first(self) -> Iterable[Recording]:
        """All recordings as a list shows them."""
        return reversed(self.by_sid.values())

    def clear(self) -> None:
        """Forget all; the files go too."""
        for recording in list(self.by_sid.values()):
            self.delete(recording)
        self.by_call.clear()


def _pcm(frame: bytes) -> bytes:
    return _SILENCE_PCM if frame is SILENCE_FRAME else audioop.ulaw2lin(frame, 2)


def _header(channels: int, samples: int) -> bytes:
    size = samples * 2 * channels
    rate = SAMPLE_RATE_HZ
    return _HEADER.pack(
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate,
        rate * 2 * channels,
        2 * channels,
        16,
        b"data",
        size,
    )
