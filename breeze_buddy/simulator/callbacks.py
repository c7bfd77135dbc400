"""Callbacks of a call: their fields, their order, and the queue that sends them.

Callbacks of one call leave in order, but one that is not answered within a second no longer holds up the next, and
none ever holds up a call. Faults lose, delay, repeat or reorder them.
"""

import asyncio
from typing import Protocol
from urllib.parse import urlencode

from breeze_buddy.simulator.background import Tasks
from breeze_buddy.simulator.calls import Call, CallbackWitness
from breeze_buddy.simulator.conference import Conference, Seat
from breeze_buddy.simulator.dates import now_s, rfc2822
from breeze_buddy.simulator.faults import Fault, Faults
from breeze_buddy.simulator.recordings import Recording
from breeze_buddy.simulator.webhooks import Webhooks

IN_ORDER_FOR_S = 1.0
REORDER_AT_MOST_S = 2.0
Form = dict[str, str]


class Told(Protocol):
    """What callbacks are about, a call or a conference: it keeps their order and their record."""

    attempt: int
    callbacks: list[CallbackWitness]
    last_callback: asyncio.Event | None
    held_callbacks: list[asyncio.Event]

    @property
    def sid(self) -> str:
        """Its identifier."""


class Callbacks:
    """Composes and posts callbacks."""

    def __init__(self, webhooks: Webhooks, faults: Faults, tasks: Tasks, base_url: str) -> None:
        self.base_url = base_url
        self._webhooks = webhooks
        self._faults = faults
        self._tasks = tasks

    def status(self, call: Call, event: str, recording: Recording | None = None) -> None:
        """A call progress event: initiated, ringing, answered or completed. Counted even if nobody asked for it."""
        sequence = call.sequence
        call.sequence += 1
        request = call.request
        if not request.status_callback or event not in request.status_callback_events:
            return
        form = call_form(call) | {
            "CallStatus": "initiated" if event == "initiated" else call.status,
            "Timestamp": rfc2822(now_s()) or "",
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(sequence),
        }
        if event == "completed" and call.ending is not None:
            form |= {
                "CallDuration": str(call.duration_s),
                "Duration": str(call.duration_minutes),
                "SipResponseCode": str(call.ending.sip_code),
            }
            if call.answered_by:
                form["AnsweredBy"] = call.answered_by
            if recording is not None:
                form |= {
                    "RecordingUrl": self.recording_url(recording),
                    "RecordingSid": recording.sid,
                    "RecordingDuration": str(round(recording.duration_s)),
                }
        self.post(call, event, request.status_callback, request.status_callback_method, form, to=call.to)

    def recording(self, call: Call, recording: Recording, event: str) -> None:
        """A recording event: in-progress, completed or absent."""
        request = recording.request
        if not request.callback or event not in request.callback_events:
            return
        form = {
            "AccountSid": call.account_sid,
            "CallSid": call.sid,
            "RecordingSid": recording.sid,
            "RecordingUrl": self.recording_url(recording),
            "RecordingStatus": event,
            "RecordingChannels": str(recording.channels),
            "RecordingStartTime": rfc2822(recording.created_s) or "",
            "RecordingSource": request.source,
            "RecordingTrack": request.track,
            "ErrorCode": "0",
        }
        if recording.conference_sid:
            form["ConferenceSid"] = recording.conference_sid
        if event != "in-progress":
            form["RecordingDuration"] = str(round(recording.duration_s))
        self.post(call, "recording", request.callback, request.callback_method, form, to=call.to)

    def amd(self, call: Call, answered_by: str, duration_ms: int) -> None:
        """The result of asynchronous answering machine detection."""
        request = call.request
        if request.async_amd_callback:
            form = {
                "CallSid": call.sid,
                "AccountSid": call.account_sid,
                "AnsweredBy": answered_by,
                "MachineDetectionDuration": str(duration_ms),
            }
            self.post(call, "amd", request.async_amd_callback, request.async_amd_callback_method, form, to=call.to)

    def stream(self, call: Call, url: str, method: str, event: str, stream_sid: str, name: str, error: str) -> None:
        """A stream event: stream-started, stream-stopped or stream-error."""
        form = {
            "AccountSid": call.account_sid,
            "CallSid": call.sid,
            "StreamSid": stream_sid,
            "StreamName": name or stream_sid,
            "StreamEvent": event,
            "Timestamp": rfc2822(now_s()) or "",
        }
        if error:
            form["StreamError"] = error
        self.post(call, "stream", url, method, form, to=call.to)

    def conference(self, conference: Conference, event: str, seat: Seat | None, extra: Form) -> None:
        """Something happened in a conference: its creator's URL hears of it if they asked for such events.

        Faults may name the event or just ``conference``, and a participant's number.
        """
        sequence = conference.sequence = conference.sequence + 1
        settings = conference.settings
        if not settings.status_callback or subscription_of(event) not in settings.status_callback_events:
            return
        form = {
            "AccountSid": conference.account_sid,
            "ConferenceSid": conference.sid,
            "FriendlyName": conference.name,
            "SequenceNumber": str(sequence),
            "StatusCallbackEvent": event,
            "Timestamp": rfc2822(now_s()) or "",
        }
        if seat is not None:
            form |= {
                "CallSid": seat.call.sid,
                "Muted": _word(seat.muted),
                "Hold": _word(seat.hold),
                "Coaching": _word(seat.coach is not None),
                "EndConferenceOnExit": _word(seat.end_on_exit),
                "StartConferenceOnEnter": _word(seat.settings.start_on_enter),
            }
            if seat.settings.label:
                form["ParticipantLabel"] = seat.settings.label
            if seat.coach is not None:
                form["CallSidToCoach"] = seat.coach
        to = (seat or conference.roster[0]).call.to
        url, method = settings.status_callback, settings.status_callback_method
        self.post(conference, event, url, method, form | extra, to=to, family="conference")

    def recording_url(self, recording: Recording) -> str:
        """Where the recording's sound is, without an extension, as callbacks give it."""
        return f"{self.base_url}/2010-04-01/Accounts/{recording.account_sid}/Recordings/{recording.sid}"

    def post(self, told: Told, event: str, url: str, method: str, form: Form, *, to: str, family: str = "") -> None:
        """Put a callback in the queue, with the fault that befalls it."""
        about = f"{told.attempt}/{form.get('RecordingStatus', '')}"
        fault = self._faults.strike("callback_", to=to, event=event, about=about, family=family)
        kind = fault.kind.removeprefix("callback_") if fault else None
        witness = CallbackWitness(event, url, now_s(), urlencode({n: v for n, v in form.items() if v}), fault=kind)
        told.callbacks.append(witness)
        if kind == "lost":
            witness.result = "lost"
            return
        before, sent = told.last_callback, asyncio.Event()
        if fault and kind == "late":
            work = self._late(fault.delay_s, witness, method, form)
        elif kind == "reordered":
            told.held_callbacks.append(sent)
            work = self._after(sent, witness, method, form)
        else:
            told.last_callback = sent
            held, told.held_callbacks = told.held_callbacks, []
            work = self._in_order(before, [sent, *held], fault, witness, method, form)
        self._tasks.start(work, f"callback {event} of {told.sid}")

    async def _in_order(
        self,
        before: asyncio.Event | None,
        then: list[asyncio.Event],
        fault: Fault | None,
        witness: CallbackWitness,
        method: str,
        form: Form,
    ) -> None:
        await _wait(before, IN_ORDER_FOR_S)
        for _ in range(fault.times if fault else 1):
            await self._send(witness, method, form)
        for event in then:
            event.set()

    async def _after(self, released: asyncio.Event, witness: CallbackWitness, method: str, form: Form) -> None:
        await _wait(released, REORDER_AT_MOST_S)
        await self._send(witness, method, form)

    async def _late(self, delay_s: float, witness: CallbackWitness, method: str, form: Form) -> None:
        await asyncio.sleep(delay_s)
        await self._send(witness, method, form)

    async def _send(self, witness: CallbackWitness, method: str, form: Form) -> None:
        answer = await self._webhooks.request(method, witness.url, list(form.items()))
        witness.attempts.extend(answer.attempts)
        witness.done_s = now_s()
        witness.result = str(answer.status) if answer.status is not None else (answer.error or "no answer")


def subscription_of(event: str) -> str:
    """The word with which ``statusCallbackEvent`` asks for such an event."""
    about, _, what = event.partition("-")
    if about == "announcement":
        return about
    return "speaker" if what.startswith("speech") else what.removeprefix("un")


def _word(value: bool) -> str:
    return "true" if value else "false"


async def _wait(event: asyncio.Event | None, at_most_s: float) -> None:
    if event is None or event.is_set():
        return
    try:
        async with asyncio.timeout(at_most_s):
            await event.wait()
    except TimeoutError:
        return


def call_form(call: Call) -> Form:
    """The fields that every request about a call carries."""
    form = {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "From": call.caller,
        "To": call.to,
        "Caller": call.caller,
        "Called": call.to,
        "CallStatus": call.status,
        "Direction": call.request.direction,
        "ApiVersion": "2010-04-01",
    }
    if call.request.parent_sid:
        form["ParentCallSid"] = call.request.parent_sid
    for role, number in (("From", call.caller), ("To", call.to), ("Caller", call.caller), ("Called", call.to)):
        form |= {f"{role}City": "", f"{role}State": "", f"{role}Zip": "", f"{role}Country": country_of(number)}
    return form


def country_of(number: str) -> str:
    """The country that the simulator's people live in, by dialling code; empty elsewhere."""
    for code, country in (("+1", "US"), ("+44", "GB"), ("+91", "IN")):
        if number.startswith(code):
            return country
    return ""
