"""All conferences of the account: found by name or SID, made by whoever comes first, and told about by callback."""

import asyncio
from collections.abc import Iterator
from typing import Any

from breeze_buddy.simulator.audio_clock import AudioClock
from breeze_buddy.simulator.background import Tasks
from breeze_buddy.simulator.callbacks import Callbacks, call_form
from breeze_buddy.simulator.calls import Call
from breeze_buddy.simulator.conference import ADD_FAILED, HUNG_UP, MOVED, Conference, Seat
from breeze_buddy.simulator.dates import iso, now_s, rfc2822
from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.join_settings import JoinSettings
from breeze_buddy.simulator.music import Loop, hold_music
from breeze_buddy.simulator.recordings import RecordingRequest, RecordingStore
from breeze_buddy.simulator.sounds import Sounds


class Conferences:
    """The account's conferences. One name is at most one live conference."""

    def __init__(
        self,
        account_sid: str,
        *,
        clock: AudioClock,
        callbacks: Callbacks,
        tasks: Tasks,
        sounds: Sounds,
        recordings: RecordingStore,
        recording_delay_s: float,
    ) -> None:
        self.by_sid: dict[str, Conference] = {}
        self._account_sid = account_sid
        self._live: dict[str, Conference] = {}
        self._attempts: dict[str, int] = {}
        self._clock = clock
        self._callbacks = callbacks
        self._tasks = tasks
        self._sounds = sounds
        self._recordings = recordings
        self._recording_delay_s = recording_delay_s

    def at(self, settings: JoinSettings) -> Conference:
        """The live conference of that name, or a new one with the settings of who comes first."""
        found = self._live.get(settings.name)
        if found is not None:
            return found
        attempt = self._attempts[settings.name] = self._attempts.get(settings.name, 0) + 1
        conference = Conference(self._account_sid, settings, self._tell, attempt=attempt)
        self.by_sid[conference.sid] = self._live[settings.name] = conference
        self._clock.join_mixer(conference)
        return conference

    def find(self, name_or_sid: str) -> Conference | None:
        """A conference by SID, live or ended, or the live one of a name."""
        return self.by_sid.get(name_or_sid) or self._live.get(name_or_sid)

    def newest_first(self) -> Iterator[Conference]:
        """As a list shows them."""
        return reversed(self.by_sid.values())

    def clear(self) -> None:
        """Forget all; nobody is told."""
        for conference in self._live.values():
            self._clock.leave(conference)
            if conference.recording is not None:
                conference.recording.close()
        self.by_sid.clear()
        self._live.clear()

    def join(self, seat: Seat, conference: Conference) -> bool:
        """Sit down, with the sound that belongs to waiting; False when there is no room."""
        if not conference.join(seat):
            return False
        settings = seat.settings
        if settings.wait_url is None:
            seat.waiting = Loop(hold_music())
        elif settings.wait_url == "":
            seat.waiting = Loop(b"")
        elif conference.started_s is None:
            self.play_while_waiting(conference, seat, settings.wait_url, settings.wait_method)
        if conference.settings.record and conference.recording is None:
            self._record(conference, seat.call)
        conference.rewire()
        return True

    def gone(self, seat: Seat, conference: Conference) -> None:
        """The seat's call was moved elsewhere or has ended."""
        conference.leave(seat, HUNG_UP if seat.call.ending is not None else MOVED)

    def play_while_waiting(self, conference: Conference, seat: Seat, url: str, method: str) -> None:
        """Fetch what this seat hears until the conference starts."""

        async def fetch() -> None:
            seat.waiting = Loop(await self._heard_at(conference, seat, url, method))
            conference.rewire()

        self._tasks.start(fetch(), f"wait URL of {seat.call.sid}")

    def hold(self, conference: Conference, seat: Seat, url: str | None, method: str) -> None:
        """Put a seat on hold, with music of its own or from ``url``."""
        seat.hold, seat.updated_s = True, now_s()
        seat.holding = Loop(hold_music() if url is None else b"")
        if url:

            async def fetch() -> None:
                seat.holding = Loop(await self._heard_at(conference, seat, url, method))
                conference.rewire()

            self._tasks.start(fetch(), f"hold URL of {seat.call.sid}")
        conference.rewire()
        self._tell(conference, "participant-hold", seat, {})

    def unhold(self, conference: Conference, seat: Seat) -> None:
        """Back among the others."""
        seat.hold, seat.holding, seat.updated_s = False, None, now_s()
        conference.rewire()
        self._tell(conference, "participant-unhold", seat, {})

    def mute(self, conference: Conference, seat: Seat, muted: bool) -> None:
        """Nobody hears a muted seat."""
        seat.muted, seat.updated_s = muted, now_s()
        conference.rewire()
        self._tell(conference, "participant-mute" if muted else "participant-unmute", seat, {})

    def modified(self, conference: Conference, seat: Seat) -> None:
        """Coaching or what happens on exit was changed."""
        seat.updated_s = now_s()
        conference.rewire()
        self._tell(conference, "participant-modify", seat, {})

    def announce(self, conference: Conference, seat: Seat | None, url: str, method: str) -> None:
        """Play something to one seat, or to all."""

        async def fetch() -> None:
            clip = await self._heard_at(conference, seat, url, method)
            seats = [s for s in conference.seats if seat in (None, s)]
            extra = {"AnnounceUrl": url}
            conference.overlay(
                seats, "announcement", clip, lambda: self._tell(conference, "announcement-end", seat, extra)
            )

        self._tasks.start(fetch(), f"announcement in {conference.sid}")

    async def _heard_at(self, conference: Conference, seat: Seat | None, url: str, method: str) -> bytes:
        form = {"ConferenceSid": conference.sid, "FriendlyName": conference.name, "AccountSid": conference.account_sid}
        call = seat.call if seat else conference.seats[0].call if conference.seats else None
        if seat is not None:
            form = call_form(seat.call) | form
        try:
            return await self._sounds.heard_at(url, method, list(form.items()))
        except CallFault as fault:
            if call is not None:
                call.notify(fault.code, fault.text)
            return b""

    def _record(self, conference: Conference, call: Call) -> None:
        settings = conference.settings
        request = RecordingRequest(
            source="Conference",
            callback=settings.recording_callback,
            callback_method=settings.recording_callback_method,
            callback_events=settings.recording_callback_events,
        )
        conference.recording = self._recordings.start(conference.account_sid, call.sid, request, conference.sid)
        self._callbacks.recording(call, conference.recording, "in-progress")

    async def _process(self, call: Call, conference: Conference) -> None:
        await asyncio.sleep(self._recording_delay_s)
        recording = conference.recording
        if recording is not None and recording.sid in self._recordings.by_sid:
            recording.finish()
            self._callbacks.recording(call, recording, recording.status)

    def _tell(self, conference: Conference, event: str, seat: Seat | None, extra: dict[str, str]) -> None:
        if event == "conference-end":
            self._live.pop(conference.name, None)
            self._clock.leave(conference)
            if conference.recording is not None:
                conference.recording.close()
                self._tasks.start(self._process(conference.roster[0].call, conference), f"sound of {conference.sid}")
        self._callbacks.conference(conference, event, seat, extra)


def conference_resource(conference: Conference) -> dict[str, Any]:
    """As the REST interface shows it."""
    own = f"/2010-04-01/Accounts/{conference.account_sid}/Conferences/{conference.sid}"
    return {
        "account_sid": conference.account_sid,
        "api_version": "2010-04-01",
        "call_sid_ending_conference": conference.ended_by,
        "date_created": rfc2822(conference.created_s),
        "date_updated": rfc2822(conference.updated_s),
        "friendly_name": conference.name,
        "reason_conference_ended": conference.reason_ended,
        "region": "us1",
        "sid": conference.sid,
        "status": conference.status,
        "subresource_uris": {"participants": own + "/Participants.json", "recordings": own + "/Recordings.json"},
        "uri": own + ".json",
    }


def participant_status(seat: Seat) -> str:
    """queued, connecting, ringing, connected, complete or failed."""
    if seat.is_in:
        return "connected"
    if seat.left_s is not None or not seat.call.is_live:
        return "failed" if seat.left_because == ADD_FAILED else "complete"
    if seat.call.dialled_s is None:
        return "queued"
    return "ringing" if seat.call.status == "ringing" else "connecting"


def participant_resource(conference: Conference, seat: Seat) -> dict[str, Any]:
    """As the REST interface shows it."""
    own = f"/2010-04-01/Accounts/{conference.account_sid}/Conferences/{conference.sid}/Participants/{seat.call.sid}"
    return {
        "account_sid": conference.account_sid,
        "call_sid": seat.call.sid,
        "call_sid_to_coach": seat.coach,
        "coaching": seat.coach is not None,
        "conference_sid": conference.sid,
        "date_created": rfc2822(seat.created_s),
        "date_updated": rfc2822(seat.updated_s),
        "end_conference_on_exit": seat.end_on_exit,
        "hold": seat.hold,
        "label": seat.settings.label or None,
        "muted": seat.muted,
        "queue_time": seat.call.resource()["queue_time"],
        "start_conference_on_enter": seat.settings.start_on_enter,
        "status": participant_status(seat),
        "uri": own + ".json",
    }


def conference_witness(conference: Conference) -> dict[str, Any]:
    """All that happened in a conference, for tests and demonstrations. Times are ISO 8601; seconds are seconds."""
    return {
        "sid": conference.sid,
        "friendly_name": conference.name,
        "status": conference.status,
        "created": iso(conference.created_s),
        "started": iso(conference.started_s),
        "ended": iso(conference.ended_s),
        "reason_ended": conference.reason_ended,
        "ended_by": conference.ended_by,
        "participants": [
            {
                "call_sid": seat.call.sid,
                "label": seat.settings.label,
                "from": seat.call.caller,
                "to": seat.call.to,
                "status": participant_status(seat),
                "invited": iso(seat.created_s),
                "joined": iso(seat.joined_s),
                "left": iso(seat.left_s),
                "left_because": seat.left_because,
            }
            for seat in conference.roster
        ],
        "alone": [
            one
            | {
                "start": iso(one["start"]),
                "end": iso(one["end"]),
                "seconds": round(one["seconds"], 3),
                "dialling_s": round(one["dialling_s"], 3),
            }
            for one in conference.alone()
        ],
        "callbacks": [callback.witness() for callback in conference.callbacks],
    }
