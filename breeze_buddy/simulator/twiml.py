"""TwiML as data: a document becomes a list of verbs.

Follows Twilio's TwiML Voice reference for the verbs a call here can meet: Connect/Stream/Parameter, Dial with
Conference or Number, Gather, Reject, Say, Play, Pause, Redirect, Hangup, Start/Recording and Stop/Recording.
Pure: text in, verbs out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.join_settings import DEFAULT_EVENTS, EVENTS, MAX_PARTICIPANTS, JoinSettings

TWIML_MAX_CHARS = 4000
PARAMETER_MAX_CHARS = 500
INVALID_XML = 12100
INVALID_ELEMENT = 12200
INVALID_URL = 11100
STREAM_INVALID = 31920


@dataclass(frozen=True)
class Say:
    """Speak a text, ``loop`` times (0: until the call ends)."""

    text: str
    loop: int = 1


@dataclass(frozen=True)
class Play:
    """Play a WAV file, or press ``digits`` towards the callee."""

    url: str
    loop: int = 1
    digits: str = ""


@dataclass(frozen=True)
class Pause:
    """Say nothing for ``length_s`` seconds."""

    length_s: float = 1.0


@dataclass(frozen=True)
class Redirect:
    """Go on with another document; an empty URL asks for the same again."""

    url: str
    method: str = "POST"


@dataclass(frozen=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True)
class ConnectStream:
    """Join the call to a WebSocket both ways until that side closes it."""

    url: str
    name: str
    parameters: tuple[tuple[str, str], ...]
    status_callback: str | None = None
    status_callback_method: str = "POST"
    action: str | None = None
    action_method: str = "POST"


@dataclass(frozen=True)
class StartRecording:
    """Start recording and go on at once."""

    channels: int = 2
    track: str = "both"
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True)
class StopRecording:
    """Stop every recording of the call."""


@dataclass(frozen=True)
class Reject:
    """Refuse an inbound call without answering it: ``rejected`` or ``busy``."""

    reason: str = "rejected"


@dataclass(frozen=True)
class Gather:
    """Play what is nested while keys are awaited; ``num_digits`` 0 is any number of them."""

    prompt: "tuple[Verb, ...]" = ()
    num_digits: int = 0
    timeout_s: float = 5.0
    finish_on_key: str = "#"
    action: str | None = None
    action_method: str = "POST"
    action_on_empty: bool = False


@dataclass(frozen=True)
class DialledNumber:
    """A phone to dial; ``url`` is carried out for whoever answers before they are joined to the caller."""

    phone: str
    url: str | None = None
    method: str = "POST"
    status_callback: str | None = None
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True)
class Dial:
    """Join the call to a conference, or to the first of some phones that answers."""

    conference: JoinSettings | None = None
    numbers: tuple[DialledNumber, ...] = ()
    timeout_s: float = 30.0
    caller_id: str | None = None
    action: str | None = None
    action_method: str = "POST"


Verb = Say | Play | Pause | Redirect | Hangup | Reject | Gather | Dial | ConnectStream | StartRecording | StopRecording


def parse(document: str | bytes) -> list[Verb]:
    """The verbs of a TwiML document in order. Raises CallFault with Twilio's code when it is not TwiML."""
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 (the document is the customer's own)
    except (ElementTree.ParseError, ValueError) as error:
        raise CallFault(INVALID_XML, f"The TwiML cannot be parsed as XML: {error}") from error
    if root.tag != "Response":
        raise CallFault(INVALID_XML, f"TwiML begins with <Response>, this with <{root.tag}>")
    return [verb for element in root for verb in _verbs(element)]


def _verbs(element: ElementTree.Element) -> list[Verb]:
    read = _READERS.get(element.tag)
    if read is None:
        raise CallFault(
            INVALID_ELEMENT, f"<{element.tag}> is not a verb this simulator knows; it knows {sorted(_READERS)}"
        )
    return read(element)


def _say(element: ElementTree.Element) -> list[Verb]:
    return [Say(" ".join("".join(element.itertext()).split()), _whole(element, "loop", 1))]


def _play(element: ElementTree.Element) -> list[Verb]:
    return [Play(_text(element), _whole(element, "loop", 1), element.get("digits", ""))]


def _pause(element: ElementTree.Element) -> list[Verb]:
    return [Pause(float(_whole(element, "length", 1)))]


def _redirect(element: ElementTree.Element) -> list[Verb]:
    return [Redirect(_text(element), _method(element, "method"))]


def _hangup(_: ElementTree.Element) -> list[Verb]:
    return [Hangup()]


def _connect(element: ElementTree.Element) -> list[Verb]:
    if [child.tag for child in element] != ["Stream"]:
        raise CallFault(INVALID_ELEMENT, "<Connect> must hold exactly one <Stream>")
    stream = element[0]
    parameters = []
    for child in stream:
        if child.tag != "Parameter" or not child.get("name"):
            raise CallFault(INVALID_ELEMENT, "<Stream> holds only <Parameter name=… value=…/>")
        name, value = child.get("name", ""), child.get("value", "")
        if len(name) + len(value) >= PARAMETER_MAX_CHARS:
            raise CallFault(STREAM_INVALID, f"Stream parameter {name} is {PARAMETER_MAX_CHARS} characters or longer")
        parameters.append((name, value))
    return [
        ConnectStream(
            url=stream.get("url", "").strip(),
            name=stream.get("name", ""),
            parameters=tuple(parameters),
            status_callback=stream.get("statusCallback"),
            status_callback_method=_method(stream, "statusCallbackMethod"),
            action=element.get("action"),
            action_method=_method(element, "method"),
        )
    ]


def _start(element: ElementTree.Element) -> list[Verb]:
    verbs: list[Verb] = []
    for child in element:
        if child.tag != "Recording":
            raise CallFault(INVALID_ELEMENT, f"<Start><{child.tag}> is not known here; <Start><Recording> is")
        events = child.get("recordingStatusCallbackEvent", "completed").split()
        verbs.append(
            StartRecording(
                channels=1 if child.get("channels") == "mono" else 2,
                track=child.get("track", "both"),
                status_callback=child.get("recordingStatusCallback"),
                status_callback_method=_method(child, "recordingStatusCallbackMethod"),
                status_callback_events=tuple(events),
            )
        )
    return verbs


def _stop(element: ElementTree.Element) -> list[Verb]:
    if any(child.tag != "Recording" for child in element):
        raise CallFault(INVALID_ELEMENT, "<Stop> holds only <Recording/> here")
    return [StopRecording()]


def _reject(element: ElementTree.Element) -> list[Verb]:
    reason = element.get("reason", "rejected")
    if reason not in ("rejected", "busy"):
        raise CallFault(INVALID_ELEMENT, f"reason of <Reject> is rejected or busy, not {reason}")
    return [Reject(reason)]


def _gather(element: ElementTree.Element) -> list[Verb]:
    if "dtmf" not in element.get("input", "dtmf").split():
        raise CallFault(INVALID_ELEMENT, "<Gather> listens to keys only here: input is dtmf")
    nested = [verb for child in element for verb in _verbs(child)]
    if any(not isinstance(verb, Say | Play | Pause) for verb in nested):
        raise CallFault(INVALID_ELEMENT, "<Gather> holds only <Say>, <Play> and <Pause>")
    return [
        Gather(
            prompt=tuple(nested),
            num_digits=_whole(element, "numDigits", 0),
            timeout_s=float(_whole(element, "timeout", 5)),
            finish_on_key=element.get("finishOnKey", "#"),
            action=element.get("action"),
            action_method=_method(element, "method"),
            action_on_empty=_yes(element, "actionOnEmptyResult", "false"),
        )
    ]


def _dial(element: ElementTree.Element) -> list[Verb]:
    tags = {child.tag for child in element}
    if tags == {"Conference"} and len(element) == 1:
        conference, numbers = _conference(element[0]), []
    elif tags <= {"Number"}:
        conference, numbers = None, [_number(child) for child in element]
        if not numbers and _text(element):
            numbers = [DialledNumber(_text(element))]
    else:
        raise CallFault(INVALID_ELEMENT, "<Dial> holds one <Conference> or some <Number>s here")
    if conference is None and not numbers:
        raise CallFault(INVALID_ELEMENT, "<Dial> says nobody to dial")
    return [
        Dial(
            conference=conference,
            numbers=tuple(numbers),
            timeout_s=float(_whole(element, "timeout", 30)),
            caller_id=element.get("callerId"),
            action=element.get("action"),
            action_method=_method(element, "method"),
        )
    ]


def _number(element: ElementTree.Element) -> DialledNumber:
    return DialledNumber(
        phone=_text(element),
        url=element.get("url"),
        method=_method(element, "method"),
        status_callback=element.get("statusCallback"),
        status_callback_method=_method(element, "statusCallbackMethod"),
        status_callback_events=tuple(element.get("statusCallbackEvent", "completed").split()),
    )


def _conference(element: ElementTree.Element) -> JoinSettings:
    events = tuple(element.get("statusCallbackEvent", " ".join(DEFAULT_EVENTS)).split())
    if unknown := set(events) - set(EVENTS):
        raise CallFault(INVALID_ELEMENT, f"statusCallbackEvent of <Conference> does not know {sorted(unknown)}")
    name = _text(element)
    if not name:
        raise CallFault(INVALID_ELEMENT, "<Conference> has no name")
    return JoinSettings(
        name=name,
        label=element.get("participantLabel", ""),
        muted=_yes(element, "muted", "false"),
        beep=element.get("beep", "true"),
        start_on_enter=_yes(element, "startConferenceOnEnter", "true"),
        end_on_exit=_yes(element, "endConferenceOnExit", "false"),
        wait_url=element.get("waitUrl"),
        wait_method=_method(element, "waitMethod"),
        max_participants=_whole(element, "maxParticipants", MAX_PARTICIPANTS),
        coach=element.get("coach"),
        status_callback=element.get("statusCallback"),
        status_callback_method=_method(element, "statusCallbackMethod"),
        status_callback_events=events,
        record=element.get("record", "do-not-record") == "record-from-start",
        recording_callback=element.get("recordingStatusCallback"),
        recording_callback_method=_method(element, "recordingStatusCallbackMethod"),
        recording_callback_events=tuple(element.get("recordingStatusCallbackEvent", "completed").split()),
    )


_READERS: dict[str, Callable[[ElementTree.Element], list[Verb]]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Redirect": _redirect,
    "Hangup": _hangup,
    "Reject": _reject,
    "Gather": _gather,
    "Dial": _dial,
    "Connect": _connect,
    "Start": _start,
    "Stop": _stop,
}


def _text(element: ElementTree.Element) -> str:
    return (element.text or "").strip()


def _method(element: ElementTree.Element, name: str) -> str:
    method = element.get(name, "POST").upper()
    if method not in ("GET", "POST"):
        raise CallFault(INVALID_ELEMENT, f"{name} of <{element.tag}> is GET or POST, not {method}")
    return method


def _yes(element: ElementTree.Element, name: str, default: str) -> bool:
    return element.get(name, default).lower() == "true"


def _whole(element: ElementTree.Element, name: str, default: int) -> int:
    text = element.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise CallFault(INVALID_ELEMENT, f"{name} of <{element.tag}> is a whole number, not {text!r}")
    return int(text)


def check_stream_url(url: str, *, allow_insecure: bool) -> None:
    """Raises CallFault 31920 for a stream URL that Twilio refuses: not wss:, or with a query string."""
    parts = urlsplit(url)
    schemes = ("wss", "ws") if allow_insecure else ("wss",)
    if parts.scheme not in schemes or not parts.hostname:
        raise CallFault(STREAM_INVALID, f"The stream URL must begin with {' or '.join(schemes)}: {url}")
    if parts.query:
        raise CallFault(STREAM_INVALID, f"A stream URL takes no query string, use <Parameter>: {url}")


def resolve(document_url: str | None, url: str) -> str:
    """An absolute URL from one that may be relative to its document; raises CallFault 11100 when it cannot be."""
    absolute = urljoin(document_url, url) if document_url else url
    if urlsplit(absolute).scheme not in ("http", "https") or not urlsplit(absolute).hostname:
        raise CallFault(INVALID_URL, f"Not an http(s) URL: {url or '(empty)'}")
    return absolute
