"""Recordings over REST: of the account, of a call, on a live call, and their sound."""

import audioop
import wave
from collections.abc import Iterable
from io import BytesIO
from typing import cast

from aiohttp import web

from breeze_buddy.simulator.call_parameters import BAD_PARAMETER, Form, recording_request
from breeze_buddy.simulator.calls import Call
from breeze_buddy.simulator.errors import ApiError, not_found
from breeze_buddy.simulator.exchange import Exchange
from breeze_buddy.simulator.pages import page_of
from breeze_buddy.simulator.program import finish_recording
from breeze_buddy.simulator.recordings import Recording
from breeze_buddy.simulator.rest import ROOT, check_credentials

NOT_RECORDABLE = 21220
SKIP = "skip"


class RecordingRoutes:
    """`/Recordings` and `/Calls/{Sid}/Recordings`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._store = exchange.studio.recordings

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        router = app.router
        of_call = ROOT + "/Calls/{call}/Recordings"
        router.add_get(ROOT + "/Recordings.json", self.list)
        router.add_get(ROOT + "/Recordings/{sid}.json", self.read)
        router.add_delete(ROOT + "/Recordings/{sid}.json", self.delete)
        router.add_get(ROOT + "/Recordings/{sid}.wav", self.sound)
        router.add_get(ROOT + "/Recordings/{sid}.mp3", self.no_mp3)
        router.add_get(ROOT + "/Recordings/{sid}", self.sound)
        router.add_get(ROOT + "/Conferences/{conference}/Recordings.json", self.list)
        router.add_get(of_call + ".json", self.list)
        router.add_post(of_call + ".json", self.start)
        router.add_get(of_call + "/{sid}.json", self.read)
        router.add_post(of_call + "/{sid}.json", self.update)
        router.add_delete(of_call + "/{sid}.json", self.delete)

    async def list(self, request: web.Request) -> web.Response:
        """Recordings of the account, of one call or of one conference, newest first."""
        check_credentials(request, self._exchange.account)
        call_sid = request.match_info.get("call") or request.query.get("CallSid")
        conference_sid = request.match_info.get("conference") or request.query.get("ConferenceSid")
        recordings: Iterable[Recording] = self._store.newest_first()
        if call_sid:
            recordings = reversed(self._store.of_call(call_sid))
        elif conference_sid:
            recordings = reversed(self._store.of_conference(conference_sid))
        return web.json_response(
            page_of(
                recordings,
                path=request.path,
                query=request.query,
                key="recordings",
                show=lambda recording: self._show(request, recording),
            )
        )

    async def read(self, request: web.Request) -> web.Response:
        """One recording."""
        check_credentials(request, self._exchange.account)
        return web.json_response(self._show(request, self._recording(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a recording that is not running."""
        check_credentials(request, self._exchange.account)
        recording = self._recording(request)
        if recording.is_open:
            raise ApiError(BAD_PARAMETER, "A recording in progress cannot be deleted", 400)
        self._store.delete(recording)
        return web.Response(status=204)

    async def start(self, request: web.Request) -> web.Response:
        """Begin recording a live call."""
        check_credentials(request, self._exchange.account)
        call = self._live_call(request)
        form = cast(Form, await request.post())
        recording = self._exchange.studio.start_recording(call, recording_request(form, "StartCallRecordingAPI"))
        return web.json_response(self._show(request, recording), status=201)

    async def update(self, request: web.Request) -> web.Response:
        """Pause, resume or stop; ``Twilio.CURRENT`` stands for the one that runs."""
        check_credentials(request, self._exchange.account)
        call = self._live_call(request)
        recording = self._recording(request)
        form = cast(Form, await request.post())
        status = form.get("Status")
        if not recording.is_open:
            raise ApiError(NOT_RECORDABLE, "The recording is not in progress")
        if status == "paused":
            recording.pause(skip=form.get("PauseBehavior") == SKIP)
        elif status == "in-progress":
            recording.resume()
        elif status == "stopped":
            finish_recording(call, recording, self._exchange.callbacks)
        else:
            raise ApiError(BAD_PARAMETER, "Status is paused, in-progress or stopped")
        return web.json_response(self._show(request, recording))

    async def sound(self, request: web.Request) -> web.StreamResponse:
        """The WAV file; ``RequestedChannels`` 1 mixes a dual recording, 2 is refused for a mono one."""
        check_credentials(request, self._exchange.account)
        recording = self._recording(request)
        if recording.status != "completed":
            raise not_found(request.path)
        asked = request.query.get("RequestedChannels", str(recording.channels))
        if asked not in ("1", "2"):
            raise ApiError(BAD_PARAMETER, "RequestedChannels is 1 or 2")
        if asked == "2" and recording.channels == 1:
            raise ApiError(21220, "This recording is mono; it cannot be requested with two channels", 400)
        if asked == "1" and recording.channels == 2:
            return web.Response(body=_mixed(recording), content_type="audio/x-wav")
        return web.FileResponse(recording.path, headers={"Content-Type": "audio/x-wav"})

    async def no_mp3(self, request: web.Request) -> web.Response:
        """MP3 is not made here."""
        check_credentials(request, self._exchange.account)
        raise ApiError(BAD_PARAMETER, "The simulator serves recordings as .wav only", 400)

    def _show(self, request: web.Request, recording: Recording) -> dict[str, object]:
        host_url = f"{request.scheme}://{request.host}"
        return recording.resource(host_url=host_url, within_call="call" in request.match_info)

    def _recording(self, request: web.Request) -> Recording:
        sid, call_sid = request.match_info["sid"], request.match_info.get("call")
        if sid == "Twilio.CURRENT" and call_sid:
            running = [recording for recording in self._store.of_call(call_sid) if recording.is_open]
            if running:
                return running[-1]
            raise not_found(request.path)
        recording = self._store.by_sid.get(sid)
        if recording is None or call_sid not in (None, recording.call_sid):
            raise not_found(request.path)
        return recording

    def _live_call(self, request: web.Request) -> Call:
        call = self._exchange.calls.by_sid.get(request.match_info["call"])
        if call is None:
            raise not_found(request.path)
        if call.status != "in-progress":
            raise ApiError(
                NOT_RECORDABLE, "Requested resource is not eligible for recording: the call is not in progress"
            )
        return call


def _mixed(recording: Recording) -> bytes:
    with wave.open(str(recording.path)) as file:
        pcm = audioop.tomono(file.readframes(file.getnframes()), 2, 1, 1)
        rate = file.getframerate()
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()
