"""The Twilio account as `breeze doctor` looks at it: what it is, what its numbers do, and Twilio's clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """`status` is `active`, `suspended` or `closed`; `clock` is Twilio's own time, in whole seconds, None when it
    did not say."""

    name: str
    status: str
    trial: bool
    clock: datetime | None


@dataclass(frozen=True, slots=True)
class OwnedNumber:
    """One of the account's numbers, and where Twilio asks what to do with a call to it."""

    phone: str
    voice: bool
    voice_url: str
    voice_method: str
    voice_fallback_url: str
    status_callback: str


def owned_number(number: Any) -> OwnedNumber:
    """From an `IncomingPhoneNumberInstance`."""
    capabilities = number.capabilities or {}
    able = capabilities.get("voice") if isinstance(capabilities, dict) else getattr(capabilities, "voice", False)
    return OwnedNumber(
        phone=str(number.phone_number),
        voice=bool(able),
        voice_url=number.voice_url or "",
        voice_method=(number.voice_method or "POST").upper(),
        voice_fallback_url=number.voice_fallback_url or "",
        status_callback=number.status_callback or "",
    )
