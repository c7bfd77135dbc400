"""What a call does, in Twilio's markup language, made by the official builder.

After `<Connect><Stream>` comes a `<Redirect>`: Twilio reaches it when our side closes the socket, be it that
the conversation ended or that a media server died; so it is both the clean end and the way back.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from twilio.twiml.voice_response import Connect, VoiceResponse  # type: ignore[import-untyped]

LONGEST_TWIML = 4000  # characters of `Twiml` in a request for a call
LONGEST_PARAMETER = 500  # name and value together stay below it


class TwimlError(ValueError):
    """Twilio would not take this markup; the message says which part and why."""


def stream(
    url: str,
    parameters: Mapping[str, str],
    continue_url: str,
    *,
    pause_s: int = 0,
    recording_callback: str | None = None,
) -> str:
    """Connect the call to the media server at `url` and hand it `parameters`; ask `continue_url` afterwards.

    `pause_s` seconds of silence come first: for a media server that was not there a moment ago. With
    `recording_callback` both sides are recorded from here on, and that URL hears of the recording.

    `url` is `wss://…` without a query (`ws://` serves a stack on one machine). Raises TwimlError.
    """
    check_stream_url(url)
    for name, value in parameters.items():
        if len(name) + len(value) >= LONGEST_PARAMETER:
            raise TwimlError(
                f"the stream's parameter {name!r} has {len(name) + len(value)} characters with its value; "
                f"Twilio takes fewer than {LONGEST_PARAMETER}"
            )
    response = VoiceResponse()
    if recording_callback is not None:
        response.start().recording(
            recording_status_callback=recording_callback,
            recording_status_callback_event="completed absent",
            channels="dual",
        )
    if pause_s:
        response.pause(length=pause_s)
    connect = Connect()
    streamed = connect.stream(url=url)
    for name, value in parameters.items():
        streamed.parameter(name=name, value=value)
    response.append(connect)
    response.redirect(continue_url, method="POST")
    return _text(response)


def wait(pause_s: int, continue_url: str) -> str:
    """Silence of `pause_s` seconds, then ask `continue_url`."""
    response = VoiceResponse()
    response.pause(length=pause_s)
    response.redirect(continue_url, method="POST")
    return _text(response)


def redirect(url: str) -> str:
    """Ask `url` what to do."""
    response = VoiceResponse()
    response.redirect(url, method="POST")
    return _text(response)


def hang_up() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return _text(response)


def apology(text: str) -> str:
    """Say `text` and end the call."""
    response = VoiceResponse()
    response.say(text)
    response.hangup()
    return _text(response)


def check_stream_url(url: str) -> None:
    """Raise TwimlError unless Twilio could open a stream to `url`."""
    parts = urlsplit(url)
    if parts.scheme not in ("wss", "ws") or not parts.hostname:
        raise TwimlError(f"{url!r} is not the address of a stream: it starts with wss:// and a host")
    if "?" in url or "#" in url:
        raise TwimlError(f"{url!r} has a query or fragment, which Twilio refuses (31920): send parameters instead")


def _text(response: VoiceResponse) -> str:
    text = str(response)
    if len(text) > LONGEST_TWIML:
        raise TwimlError(f"the TwiML has {len(text)} characters; Twilio takes {LONGEST_TWIML}")
    return text
