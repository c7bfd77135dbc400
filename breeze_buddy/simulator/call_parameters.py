"""Reads and checks the parameters of `POST /Calls` and `POST …/Recordings`, with Twilio's error codes."""

from urllib.parse import urlsplit

from multidict import MultiDictProxy

from breeze_buddy.simulator.account import E164, Account
from breeze_buddy.simulator.calls import CallRequest
from breeze_buddy.simulator.errors import ApiError
from breeze_buddy.simulator.program import is_http_url
from breeze_buddy.simulator.recordings import RecordingRequest
from breeze_buddy.simulator.twiml import TWIML_MAX_CHARS

TIMEOUT_MAX_S = 600
TIMEOUT_DEFAULT_S = 60
TIME_LIMIT_MAX_S = 14_400
STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")
RECORDING_EVENTS = ("in-progress", "completed", "absent")

NO_TO, NO_FROM = 21201, 21213
BAD_URL, NOT_OUR_NUMBER, BAD_TO, BAD_FROM = 21205, 21210, 21211, 21212
NO_SUCH_APPLICATION, NOT_VERIFIED = 21218, 21219
BAD_STATUS_CALLBACK, BAD_STATUS_EVENTS = 21609, 21626
BAD_PARAMETER = 20001


Form = MultiDictProxy[str]
"""A form whose names may repeat."""


def call_request(form: Form, account: Account) -> CallRequest:
    """The parameters of a new call. Raises ApiError with the code of what is wrong."""
    to, caller = form.get("To", "").strip(), form.get("From", "").strip()
    check_numbers(to, caller, account)
    check_source(form)
    url, twiml = form.get("Url") or None, form.get("Twiml") or None
    status_callback = form.get("StatusCallback") or None
    if status_callback and not is_http_url(status_callback):
        raise ApiError(BAD_STATUS_CALLBACK, f"StatusCallback is not a valid URL: {status_callback}")
    events = tuple(form.getall("StatusCallbackEvent", [])) or ("completed",)
    if any(event not in STATUS_EVENTS for event in events):
        raise ApiError(BAD_STATUS_EVENTS, f"StatusCallbackEvent is one of {', '.join(STATUS_EVENTS)}, once for each")
    send_digits = form.get("SendDigits", "")
    detection = form.get("MachineDetection") or None
    if detection not in (None, "Enable", "DetectMessageEnd"):
        raise ApiError(BAD_PARAMETER, "MachineDetection is Enable or DetectMessageEnd")
    return CallRequest(
        to=to,
        caller=caller,
        url=url,
        method=read_method(form, "Method"),
        twiml=twiml,
        fallback_url=read_url(form, "FallbackUrl"),
        fallback_method=read_method(form, "FallbackMethod"),
        status_callback=status_callback,
        status_callback_method=read_method(form, "StatusCallbackMethod"),
        status_callback_events=events,
        timeout_s=min(max(read_whole(form, "Timeout", TIMEOUT_DEFAULT_S), 1), TIMEOUT_MAX_S),
        time_limit_s=min(read_whole(form, "TimeLimit", TIME_LIMIT_MAX_S), TIME_LIMIT_MAX_S),
        send_digits=send_digits,
        recording=recording_request(form, "OutboundAPI") if form.get("Record", "").lower() == "true" else None,
        machine_detection=None if send_digits else detection,
        async_amd=form.get("AsyncAmd", "").lower() == "true",
        async_amd_callback=read_url(form, "AsyncAmdStatusCallback"),
        async_amd_callback_method=read_method(form, "AsyncAmdStatusCallbackMethod"),
    )


def recording_request(form: Form, source: str) -> RecordingRequest:
    """How to record, from the same names in both places."""
    channels, track = form.get("RecordingChannels") or "mono", form.get("RecordingTrack") or "both"
    if channels not in ("mono", "dual"):
        raise ApiError(BAD_PARAMETER, "RecordingChannels is mono or dual")
    if track not in ("inbound", "outbound", "both"):
        raise ApiError(BAD_PARAMETER, "RecordingTrack is inbound, outbound or both")
    events = [event for value in form.getall("RecordingStatusCallbackEvent", []) for event in value.split()]
    if any(event not in RECORDING_EVENTS for event in events):
        raise ApiError(BAD_PARAMETER, f"RecordingStatusCallbackEvent is one of {', '.join(RECORDING_EVENTS)}")
    return RecordingRequest(
        channels=2 if channels == "dual" else 1,
        track=track,
        source=source,
        callback=read_url(form, "RecordingStatusCallback"),
        callback_method=read_method(form, "RecordingStatusCallbackMethod"),
        callback_events=tuple(events) or ("completed",),
    )


def check_numbers(to: str, caller: str, account: Account) -> None:
    """Whom to call, and as whom. Raises ApiError with the code of what is wrong."""
    if not to:
        raise ApiError(NO_TO, "No 'To' number is specified")
    if not caller:
        raise ApiError(NO_FROM, "No 'From' number is specified")
    if not E164.fullmatch(to):
        raise ApiError(BAD_TO, f"The phone number you are attempting to call, {to}, is not valid.")
    if not E164.fullmatch(caller):
        raise ApiError(BAD_FROM, f"The source phone number provided, {caller}, is not valid.")
    if not account.may_call_from(caller):
        raise ApiError(
            NOT_OUR_NUMBER,
            f"The source phone number provided, {caller}, is neither a number of this account nor verified for it.",
        )
    if not account.may_call(to):
        raise ApiError(NOT_VERIFIED, f"The number {to} is unverified. Trial accounts may only call verified numbers.")


def check_source(form: Form) -> None:
    """Where instructions come from: a URL or TwiML that could be right. Raises ApiError."""
    url, twiml = form.get("Url") or "", form.get("Twiml") or ""
    if url:
        if not is_http_url(url):
            raise ApiError(BAD_URL, f"Url is not a valid URL: {url}")
    elif twiml:
        if len(twiml) > TWIML_MAX_CHARS:
            raise ApiError(BAD_PARAMETER, f"Twiml is limited to {TWIML_MAX_CHARS} characters; this has {len(twiml)}")
    elif form.get("ApplicationSid"):
        raise ApiError(NO_SUCH_APPLICATION, f"ApplicationSid {form['ApplicationSid']} is not valid")
    else:
        raise ApiError(BAD_URL, "Url parameter is required.")


def read_url(form: Form, name: str) -> str | None:
    """A URL, or None. Raises ApiError when it is none."""
    url = form.get(name) or None
    if url is not None and not urlsplit(url).scheme.startswith("http"):
        raise ApiError(BAD_URL, f"{name} is not a valid URL: {url}")
    return url


def read_method(form: Form, name: str, default: str = "POST") -> str:
    """GET or POST. Raises ApiError for anything else."""
    method = (form.get(name) or default).upper()
    if method not in ("GET", "POST"):
        raise ApiError(BAD_PARAMETER, f"{name} is GET or POST")
    return method


def read_whole(form: Form, name: str, default: int) -> int:
    """A whole number. Raises ApiError for anything else."""
    text = form.get(name)
    if not text:
        return default
    if not text.isdigit():
        raise ApiError(BAD_PARAMETER, f"{name} is a whole number of seconds")
    return int(text)
