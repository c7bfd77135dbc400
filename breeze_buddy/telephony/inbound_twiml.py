"""What a caller to us gets whom the agent does not take, in Twilio's markup language."""

from typing import Literal

from twilio.twiml.voice_response import VoiceResponse  # type: ignore[import-untyped]


def reject(reason: Literal["rejected", "busy"]) -> str:
    """Do not answer; the caller hears a not-in-service message, or a busy tone. It costs nothing."""
    response = VoiceResponse()
    response.reject(reason=reason)
    return str(response)


def redirect(phone: str) -> str:
    """Dial another phone and connect the caller to it; the call ends with that one."""
    response = VoiceResponse()
    response.dial().number(phone)
    return str(response)
