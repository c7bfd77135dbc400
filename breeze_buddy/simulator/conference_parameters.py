"""Reads and checks the parameters of `POST …/Participants`, with Twilio's error codes."""

from breeze_buddy.simulator.account import Account
from breeze_buddy.simulator.call_parameters import (
    BAD_PARAMETER,
    BAD_STATUS_EVENTS,
    STATUS_EVENTS,
    TIME_LIMIT_MAX_S,
    Form,
    check_numbers,
    read_method,
    read_url,
    read_whole,
    recording_request,
)
from breeze_buddy.simulator.calls import CallRequest
from breeze_buddy.simulator.errors import ApiError
from breeze_buddy.simulator.join_settings import DEFAULT_EVENTS, EVENTS, MAX_PARTICIPANTS, JoinSettings

RING_MIN_S, RING_MAX_S, RING_DEFAULT_S = 5, 600, 60
BEEPS = ("true", "false", "onEnter", "onExit")


def participant_request(form: Form, account: Account, name: str) -> tuple[CallRequest, JoinSettings]:
    """Whom to dial into the conference of this name, and how they enter it. Raises ApiError."""
    to, caller = form.get("To", "").strip(), form.get("From", "").strip()
    check_numbers(to, caller, account)
    detection = form.get("MachineDetection") or None
    if detection not in (None, "Enable", "DetectMessageEnd"):
        raise ApiError(BAD_PARAMETER, "MachineDetection is Enable or DetectMessageEnd")
    timeout_s = read_whole(form, "Timeout", RING_DEFAULT_S)
    if not RING_MIN_S <= timeout_s <= RING_MAX_S:
        raise ApiError(BAD_PARAMETER, f"Timeout is between {RING_MIN_S} and {RING_MAX_S} seconds")
    request = CallRequest(
        to=to,
        caller=caller,
        status_callback=read_url(form, "StatusCallback"),
        status_callback_method=read_method(form, "StatusCallbackMethod"),
        status_callback_events=_events(form, "StatusCallbackEvent", STATUS_EVENTS, ("completed",)),
        timeout_s=timeout_s,
        time_limit_s=min(read_whole(form, "TimeLimit", TIME_LIMIT_MAX_S), TIME_LIMIT_MAX_S),
        recording=recording_request(form, "OutboundAPI") if yes(form, "Record") else None,
        machine_detection=detection,
        async_amd=True,
        async_amd_callback=read_url(form, "AmdStatusCallback"),
        async_amd_callback_method=read_method(form, "AmdStatusCallbackMethod"),
    )
    beep = form.get("Beep") or "true"
    if beep not in BEEPS:
        raise ApiError(BAD_PARAMETER, f"Beep is one of {', '.join(BEEPS)}")
    settings = JoinSettings(
        name=name,
        label=form.get("Label", ""),
        muted=yes(form, "Muted"),
        beep=beep,
        start_on_enter=yes(form, "StartConferenceOnEnter", default=True),
        end_on_exit=yes(form, "EndConferenceOnExit"),
        wait_url=read_url(form, "WaitUrl") or "" if "WaitUrl" in form else None,
        wait_method=read_method(form, "WaitMethod"),
        max_participants=read_whole(form, "MaxParticipants", MAX_PARTICIPANTS),
        coach=coached(form),
        status_callback=read_url(form, "ConferenceStatusCallback"),
        status_callback_method=read_method(form, "ConferenceStatusCallbackMethod"),
        status_callback_events=_events(form, "ConferenceStatusCallbackEvent", EVENTS, DEFAULT_EVENTS),
        record=form.get("ConferenceRecord") in ("true", "record-from-start"),
        recording_callback=read_url(form, "ConferenceRecordingStatusCallback"),
        recording_callback_method=read_method(form, "ConferenceRecordingStatusCallbackMethod"),
    )
    return request, settings


def coached(form: Form) -> str | None:
    """The SID of the call that is coached, or None. Raises ApiError when nobody is named."""
    sid = form.get("CallSidToCoach") or None
    if "Coaching" in form and not yes(form, "Coaching"):
        return None
    if yes(form, "Coaching") and sid is None:
        raise ApiError(BAD_PARAMETER, "Coaching needs CallSidToCoach")
    return sid


def yes(form: Form, name: str, *, default: bool = False) -> bool:
    """A boolean; anything but true is false."""
    return form[name].lower() == "true" if name in form else default


def _events(form: Form, name: str, known: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    events = tuple(event for value in form.getall(name, []) for event in value.split())
    if any(event not in known for event in events):
        raise ApiError(BAD_STATUS_EVENTS, f"{name} is one of {', '.join(known)}")
    return events or default
