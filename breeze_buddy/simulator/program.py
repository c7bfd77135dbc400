"""Runs a call's TwiML: fetches documents, carries out verbs one after the other, falls back once.

A program is a task of its own beside the line's sound; moving a live call elsewhere ends the task and starts another.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from weakref import WeakSet

from breeze_buddy.simulator import twiml
from breeze_buddy.simulator.callbacks import Callbacks, Form, call_form
from breeze_buddy.simulator.calls import Call
from breeze_buddy.simulator.conferences import Conferences
from breeze_buddy.simulator.dialling import Dialler, Dialling
from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.gathering import Gathering
from breeze_buddy.simulator.line import Playback
from breeze_buddy.simulator.media_stream import MediaStream
from breeze_buddy.simulator.recordings import Recording, RecordingRequest, RecordingStore
from breeze_buddy.simulator.sound import SAMPLE_RATE_HZ, SILENCE_BYTE
from breeze_buddy.simulator.sounds import FETCH_FAILED, Sounds
from breeze_buddy.simulator.speech import ANNOUNCER, Speech
from breeze_buddy.simulator.webhooks import Webhooks

TRIAL_PREFIX = "This call comes from a trial account."
APPLICATION_ERROR = "An application error has occurred."
KEY_TONE_S = 0.25
REDIRECTS_MAX = 50
SIP_BUSY, SIP_UNAVAILABLE = 486, 480
NOT_ANSWERING = (twiml.Reject, twiml.Pause, twiml.Redirect)
"""Verbs that leave an inbound call ringing."""


@dataclass(frozen=True)
class Document:
    """Where TwiML comes from: text at hand, or a URL to ask."""

    url: str | None = None
    method: str = "POST"
    text: str | None = None


@dataclass(frozen=True)
class Studio:
    """What programs work with."""

    account_sid: str
    auth_token: str
    allow_insecure_streams: bool
    trial: bool
    speech: Speech
    webhooks: Webhooks
    sounds: Sounds
    callbacks: Callbacks
    recordings: RecordingStore
    conferences: Conferences
    streams: "WeakSet[MediaStream]" = field(default_factory=WeakSet)

    def start_recording(self, call: Call, request: RecordingRequest) -> Recording:
        """Record the call from now on."""
        recording = self.recordings.start(call.account_sid, call.sid, request)
        call.line.recordings.append(recording)
        self.callbacks.recording(call, recording, "in-progress")
        return recording


class Program:
    """The instructions of one call, being carried out.

    ``pick_up`` answers an inbound call; it is awaited before the first verb that needs an answered call.
    """

    def __init__(
        self, call: Call, studio: Studio, dialler: Dialler, pick_up: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.call = call
        self.hung_up = False
        self.dialling = Dialling(call, studio.conferences, dialler)
        self._studio = studio
        self._pick_up = pick_up
        self._documents = 0

    async def run(self, document: Document, *, announce_trial: bool = False) -> None:
        """Carry out a document and those it leads to; returns when the call has nothing left to do."""
        call = self.call
        self.hung_up = False
        if announce_trial and self._studio.trial:
            await self._say(TRIAL_PREFIX)
        here: Document | None = document
        extra: Form = {}
        while here is not None:
            self._documents += 1
            asked = here
            try:
                if self._documents > REDIRECTS_MAX:
                    raise CallFault(FETCH_FAILED, f"More than {REDIRECTS_MAX} documents in one call")
                here, extra = await self._carry_out(twiml.parse(await self._text(asked, extra)), asked)
                await self._answered()
            except CallFault as fault:
                request = call.request
                call.notify(fault.code, fault.text)
                if call.fallback_used or not request.fallback_url:
                    await self._answered()
                    await self._say(APPLICATION_ERROR)
                    return
                call.fallback_used = True
                extra = {"ErrorCode": str(fault.code), "ErrorUrl": asked.url or ""}
                here = Document(request.fallback_url, request.fallback_method)

    async def run_at(self, url: str, method: str) -> None:
        """Carry out the document at a URL; ``hung_up`` says afterwards whether it ended with `<Hangup>`."""
        await self.run(Document(url, method))

    async def _text(self, document: Document, extra: Form) -> str | bytes:
        if document.text is not None:
            return document.text
        url = document.url or ""
        form = call_form(self.call) | extra
        if self.call.answered_by:
            form["AnsweredBy"] = self.call.answered_by
        answer = await self._studio.webhooks.request(document.method, url, list(form.items()))
        if not answer.is_ok:
            raise CallFault(FETCH_FAILED, f"{url} answered {answer.error or answer.status}")
        return answer.body

    async def _carry_out(self, verbs: list[twiml.Verb], here: Document) -> tuple[Document | None, Form]:
        """Where to go on and with which extra fields, or None when the call is to end."""
        url = here.url
        for verb in verbs:
            if self._pick_up is not None and not isinstance(verb, NOT_ANSWERING):
                await self._answered()
            onward: Document | None = None
            extra: Form = {}
            match verb:
                case twiml.Say():
                    await self._repeat(verb.loop, await self._studio.speech.say(verb.text, ANNOUNCER), "say")
                case twiml.Play(digits=digits) if digits:
                    self.call.digits_sent += digits
                    await self._pause(KEY_TONE_S * len(digits))
                case twiml.Play():
                    await self._play(verb, url)
                case twiml.Pause() if self._pick_up is not None:
                    await asyncio.sleep(verb.length_s)
                case twiml.Pause():
                    await self._pause(verb.length_s)
                case twiml.Redirect():
                    return Document(twiml.resolve(url, verb.url), verb.method), {}
                case twiml.Hangup():
                    self.hung_up = True
                    return None, {}
                case twiml.Reject():
                    self._reject(verb)
                    return None, {}
                case twiml.Gather():
                    onward, extra = await self._gather(verb, here)
                case twiml.Dial():
                    onward, extra = await self._dial(verb, url)
                case twiml.ConnectStream():
                    await self._stream(verb, url)
                    if verb.action:
                        onward = Document(twiml.resolve(url, verb.action), verb.action_method)
                case twiml.StartRecording():
                    self._record(verb, url)
                case twiml.StopRecording():
                    self._stop_recordings()
            if onward is not None:
                return onward, extra
        return None, {}

    async def _answered(self) -> None:
        """Answer an inbound call, if that has not happened yet."""
        if self._pick_up is not None and self.call.ending is None:
            pick_up, self._pick_up = self._pick_up, None
            await pick_up()

    def _reject(self, verb: twiml.Reject) -> None:
        self._pick_up = None
        if self.call.answered_s is None:
            busy = verb.reason == "busy"
            self.call.end("busy" if busy else "no-answer", SIP_BUSY if busy else SIP_UNAVAILABLE, "<Reject>")

    async def _gather(self, verb: twiml.Gather, here: Document) -> tuple[Document | None, Form]:
        gathering = Gathering(verb, await self._studio.sounds.prompt(verb.prompt, here.url))
        line = self.call.line
        line.attach(gathering)
        try:
            digits, key = await gathering.done
        finally:
            line.detach(gathering)
        if not digits and not verb.action_on_empty:
            return None, {}
        extra = {"Digits": digits, "msg": "Gather End"} | ({"FinishedOnKey": key} if key else {})
        if verb.action:
            return Document(twiml.resolve(here.url, verb.action), verb.action_method), extra
        return Document(twiml.resolve(here.url, ""), verb.action_method), extra

    async def _dial(self, verb: twiml.Dial, url: str | None) -> tuple[Document | None, Form]:
        extra = await self.dialling.dial(verb, url)
        if not verb.action:
            return None, {}
        return Document(twiml.resolve(url, verb.action), verb.action_method), extra

    async def _say(self, text: str) -> None:
        await self._repeat(1, await self._studio.speech.say(text, ANNOUNCER), "say")

    async def _pause(self, seconds: float) -> None:
        await self._repeat(1, SILENCE_BYTE * round(seconds * SAMPLE_RATE_HZ), "silence")

    async def _repeat(self, times: int, ulaw: bytes, source: str) -> None:
        line, played = self.call.line, 0
        while ulaw and (times == 0 or played < times):
            playback = Playback(ulaw, source)
            line.attach(playback)
            try:
                await playback.done
            finally:
                line.detach(playback)
            played += 1

    async def _play(self, verb: twiml.Play, url: str | None) -> None:
        try:
            ulaw = await self._studio.sounds.played(twiml.resolve(url, verb.url))
        except CallFault as fault:
            self.call.notify(fault.code, fault.text)
            return
        await self._repeat(verb.loop, ulaw, "play")

    async def _stream(self, verb: twiml.ConnectStream, url: str | None) -> None:
        """Until the media server closes the stream, or at once when there is none: the next verb follows."""
        call, studio = self.call, self._studio
        stream: MediaStream | None = None
        error = ""
        try:
            twiml.check_stream_url(verb.url, allow_insecure=studio.allow_insecure_streams)
            callee = call.line.callee
            stream = MediaStream(
                verb,
                account_sid=studio.account_sid,
                auth_token=studio.auth_token,
                call_sid=call.sid,
                clock_s=lambda: callee.clock_s if callee else 0.0,
            )
            studio.streams.add(stream)
            call.streams.append(stream.witness)
            await stream.connect()
            self._tell_stream(verb, url, "stream-started", stream.sid, "")
            call.line.attach(stream)
            await stream.until_closed()
        except CallFault as fault:
            call.notify(fault.code, fault.text)
            error = f"{fault.code} {fault.text}"
            if stream is not None:
                stream.witness.ended = stream.witness.ended or fault.text
            self._tell_stream(verb, url, "stream-error", stream.sid if stream else "", error)
        finally:
            if stream is not None:
                call.line.detach(stream)
                stream.stop()
        if stream is not None and not error:
            self._tell_stream(verb, url, "stream-stopped", stream.sid, "")

    def _tell_stream(self, verb: twiml.ConnectStream, url: str | None, event: str, sid: str, error: str) -> None:
        if verb.status_callback:
            target = twiml.resolve(url, verb.status_callback)
            self._studio.callbacks.stream(self.call, target, verb.status_callback_method, event, sid, verb.name, error)

    def _record(self, verb: twiml.StartRecording, url: str | None) -> None:
        callback = twiml.resolve(url, verb.status_callback) if verb.status_callback else None
        request = RecordingRequest(
            channels=verb.channels,
            track=verb.track,
            source="StartCallRecordingAPI",
            callback=callback,
            callback_method=verb.status_callback_method,
            callback_events=verb.status_callback_events,
        )
        self._studio.start_recording(self.call, request)

    def _stop_recordings(self) -> None:
        for recording in list(self.call.line.recordings):
            finish_recording(self.call, recording, self._studio.callbacks)


def finish_recording(call: Call, recording: Recording, callbacks: Callbacks) -> None:
    """End one recording of a live call and say so."""
    if recording in call.line.recordings:
        call.line.recordings.remove(recording)
    recording.close()
    recording.finish()
    callbacks.recording(call, recording, recording.status)


def is_http_url(url: str) -> bool:
    """Whether Twilio could ask this URL."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
