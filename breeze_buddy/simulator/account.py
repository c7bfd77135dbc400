"""The account: its credentials, its numbers, and whether it is on trial."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from breeze_buddy.simulator.dates import now_s, rfc2822
from breeze_buddy.simulator.sids import new_sid

E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass
class Number:
    """One phone number of the account."""

    phone: str
    sid: str = field(default_factory=lambda: new_sid("PN"))
    created_s: float = field(default_factory=now_s)
    friendly_name: str = ""
    voice: bool = True
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"


@dataclass(frozen=True)
class CallerId:
    """A number of somebody else that was verified for the account."""

    phone: str

    @property
    def sid(self) -> str:
        """The same each time it is asked."""
        return "PN" + hashlib.sha256(self.phone.encode()).hexdigest()[:32]


@dataclass
class Account:
    """Who calls. With no number registered, every From is accepted."""

    sid: str
    auth_token: str
    trial: bool = False
    verified: set[str] = field(default_factory=set)
    numbers: dict[str, Number] = field(default_factory=dict)
    created_s: float = field(default_factory=now_s)

    def set_numbers(self, phones: list[str]) -> None:
        """Own exactly these numbers; those already owned keep their identifiers."""
        self.numbers = {phone: self.numbers.get(phone) or Number(phone) for phone in phones}

    def add_numbers(self, phones: list[str]) -> None:
        """Own these numbers too."""
        self.set_numbers([*self.numbers, *phones])

    def set_up(self, phone: str, settings: Mapping[str, str]) -> Number:
        """Own this number, if not yet, and change some of what calls to it do."""
        number = self.numbers.setdefault(phone, Number(phone))
        for name, value in settings.items():
            setattr(number, name, value)
        return number

    def may_call_from(self, phone: str) -> bool:
        """Whether this caller id belongs to the account."""
        return not self.numbers or phone in self.numbers or phone in self.verified

    def may_call(self, phone: str) -> bool:
        """Whether a trial lets this number be called."""
        return not self.trial or phone in self.verified

    def resource(self) -> dict[str, Any]:
        """As the REST interface shows it."""
        own = f"/2010-04-01/Accounts/{self.sid}"
        parts = {"calls": "Calls", "incoming_phone_numbers": "IncomingPhoneNumbers", "recordings": "Recordings"}
        return {
            "auth_token": self.auth_token,
            "date_created": rfc2822(self.created_s),
            "date_updated": rfc2822(self.created_s),
            "friendly_name": "Simulated account",
            "owner_account_sid": self.sid,
            "sid": self.sid,
            "status": "active",
            "subresource_uris": {name: f"{own}/{part}.json" for name, part in parts.items()},
            "type": "Trial" if self.trial else "Full",
            "uri": own + ".json",
        }

    def caller_id_resource(self, caller_id: CallerId) -> dict[str, Any]:
        """A verified caller id as the REST interface shows it."""
        return {
            "account_sid": self.sid,
            "date_created": rfc2822(self.created_s),
            "date_updated": rfc2822(self.created_s),
            "friendly_name": caller_id.phone,
            "phone_number": caller_id.phone,
            "sid": caller_id.sid,
            "uri": f"/2010-04-01/Accounts/{self.sid}/OutgoingCallerIds/{caller_id.sid}.json",
        }

    def number_resource(self, number: Number) -> dict[str, Any]:
        """One of its numbers as the REST interface shows it."""
        empty = ("address", "identity", "sms_application", "trunk", "voice_application", "emergency_address", "bundle")
        return dict.fromkeys(f"{name}_sid" for name in empty) | {
            "account_sid": self.sid,
            "address_requirements": "none",
            "api_version": "2010-04-01",
            "beta": False,
            "capabilities": {"voice": number.voice, "sms": False, "mms": False, "fax": False},
            "date_created": rfc2822(number.created_s),
            "date_updated": rfc2822(number.created_s),
            "emergency_address_status": "unregistered",
            "emergency_status": "Inactive",
            "friendly_name": number.friendly_name or number.phone,
            "origin": "twilio",
            "phone_number": number.phone,
            "sid": number.sid,
            "sms_fallback_method": "POST",
            "sms_fallback_url": "",
            "sms_method": "POST",
            "sms_url": "",
            "status": "in-use",
            "status_callback": number.status_callback,
            "status_callback_method": number.status_callback_method,
            "type": "local",
            "uri": f"/2010-04-01/Accounts/{self.sid}/IncomingPhoneNumbers/{number.sid}.json",
            "voice_caller_id_lookup": False,
            "voice_fallback_method": number.voice_fallback_method,
            "voice_fallback_url": number.voice_fallback_url,
            "voice_method": number.voice_method,
            "voice_receive_mode": "voice",
            "voice_url": number.voice_url,
        }
