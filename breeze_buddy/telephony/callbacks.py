"""Twilio's callbacks, from form fields to facts.

What a callback cannot be understood without is required, and MalformedCallback names it. Everything else
that cannot be read (a status that is new, a date that is none) is left out of the facts, with the reason in
`ignored`: one odd field must not cost us the news that a call has ended.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus
from breeze_buddy.domain.recording import RecordingFacts
from breeze_buddy.telephony import words

HIDDEN = "anonymous"
"""Stands for the phone of a caller who shows none, or one that is no phone number."""

Form = Mapping[str, str]
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_Value = TypeVar("_Value")


class MalformedCallback(ValueError):
    """A callback that lacks what it is about. `fields` are the names as Twilio writes them."""

    def __init__(self, kind: str, fields: tuple[str, ...]) -> None:
        super().__init__(f"this is no {kind} of Twilio: {', '.join(fields)} missing or empty")
        self.fields = fields


class _Callback(BaseModel):
    """Fields by Twilio's names; those we have no use for are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: ClassVar[str]

    call_sid: str = Field(alias="CallSid", min_length=1)
    account_sid: str = Field("", alias="AccountSid")
    ignored: tuple[str, ...] = Field((), description="what could not be read, and why")

    @classmethod
    def parse(cls, form: Form) -> Self:
        """Read the fields of a form. Raises MalformedCallback."""
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        reasons: list[str] = []
        try:
            return cls.model_validate({**texts, **cls._read(texts, reasons), "ignored": tuple(reasons)})
        except ValidationError as error:
            names = tuple(dict.fromkeys(str(problem["loc"][0]) for problem in error.errors()))
            raise MalformedCallback(cls.kind, names) from error

    @classmethod
    def _read(cls, form: Form, reasons: list[str]) -> dict[str, object]:
        """Our own reading of the fields that need one."""
        raise NotImplementedError


def _put(found: _Value | None, form: Form, name: str, what: str, reasons: list[str]) -> _Value | None:
    """`found`, noting a reason when the field is there and could not be read."""
    text = form.get(name, "")
    if text and found is None:
        reasons.append(f"{name} {text[:80]!r} is not {what}")
    return found


def _number(form: Form, name: str, reasons: list[str]) -> int | None:
    return _put(words.whole_number(form.get(name, "")), form, name, "a whole number", reasons)


def _moment(form: Form, name: str, reasons: list[str]) -> datetime | None:
    return _put(words.moment(form.get(name, "")), form, name, "an RFC 2822 date", reasons)


class StatusCallback(_Callback):
    """News of a call's status. `status` is None for a word that we do not know."""

    kind = "status callback"

    status_word: str = Field(alias="CallStatus", min_length=1)
    status: CallStatus | None = None
    sequence: int | None = None
    at: datetime | None = None
    duration_s: int | None = None
    sip_code: int | None = None
    error_code: int | None = None
    answered_by: AnsweredBy | None = None

    @classmethod
    def _read(cls, form: Form, reasons: list[str]) -> dict[str, object]:
        return {
            "status": _put(
                words.call_status(form.get("CallStatus", "")), form, "CallStatus", "a status we know", reasons
            ),
            "sequence": _number(form, "SequenceNumber", reasons),
            "at": _moment(form, "Timestamp", reasons),
            "duration_s": _number(form, "CallDuration", reasons),
            "sip_code": _number(form, "SipResponseCode", reasons),
            "error_code": _number(form, "ErrorCode", reasons),
            "answered_by": _put(
                words.answered_by(form.get("AnsweredBy", "")), form, "AnsweredBy", "an answer we know", reasons
            ),
        }

    def facts(self) -> CallFacts:
        """What this callback says of its call; nothing but its name and codes when the status is unknown."""
        ended = self.status is not None and self.status.is_terminal
        return CallFacts(
            status=self.status,
            sequence=-1 if self.status is None or self.sequence is None else self.sequence,
            sid=self.call_sid,
            initiated_at=self.at if self.status is CallStatus.INITIATED else None,
            ringing_at=self.at if self.status is CallStatus.RINGING else None,
            answered_at=self.at if self.status is CallStatus.IN_PROGRESS else None,
            ended_at=self.at if ended else None,
            duration_s=self.duration_s,
            sip_code=self.sip_code,
            answered_by=self.answered_by,
            error_code=self.error_code,
        )


class IncomingCall(_Callback):
    """Somebody calls one of our numbers: `from_phone` is E.164, or HIDDEN when the caller shows no number."""

    kind = "incoming call"

    to_phone: str = Field(alias="To", min_length=1)
    from_phone: str = HIDDEN

    @classmethod
    def _read(cls, form: Form, reasons: list[str]) -> dict[str, object]:
        phone = form.get("From", "").strip()
        return {"from_phone": phone if _E164.fullmatch(phone) else HIDDEN}


class RecordingCallback(_Callback):
    """News of a recording."""

    kind = "recording callback"

    recording_sid: str = Field(alias="RecordingSid", min_length=1)
    status_word: str = Field(alias="RecordingStatus", min_length=1)
    url: str | None = Field(None, alias="RecordingUrl")
    duration_s: int | None = None
    channels: int | None = None
    started_at: datetime | None = None
    error_code: int | None = None

    @classmethod
    def _read(cls, form: Form, reasons: list[str]) -> dict[str, object]:
        status = words.recording_status(form.get("RecordingStatus", ""))
        _put(status, form, "RecordingStatus", "a status we know", reasons)
        return {
            "duration_s": _number(form, "RecordingDuration", reasons),
            "channels": _number(form, "RecordingChannels", reasons),
            "started_at": _moment(form, "RecordingStartTime", reasons),
            "error_code": _number(form, "ErrorCode", reasons),
        }

    def facts(self) -> RecordingFacts:
        """What this callback says of its recording."""
        return RecordingFacts(
            sid=self.recording_sid,
            call_sid=self.call_sid,
            status=words.recording_status(self.status_word),
            url=self.url or None,
            duration_s=self.duration_s,
            channels=self.channels,
            started_at=self.started_at,
            error_code=self.error_code,
        )


class AmdCallback(_Callback):
    """Who answered, by answering machine detection in the background."""

    kind = "answering machine callback"

    answered_word: str = Field(alias="AnsweredBy", min_length=1)
    answered_by: AnsweredBy = AnsweredBy.UNKNOWN
    detection_ms: int | None = None

    @classmethod
    def _read(cls, form: Form, reasons: list[str]) -> dict[str, object]:
        found = words.answered_by(form.get("AnsweredBy", ""))
        _put(found, form, "AnsweredBy", "an answer we know", reasons)
        return {
            "answered_by": found or AnsweredBy.UNKNOWN,
            "detection_ms": _number(form, "MachineDetectionDuration", reasons),
        }

    def facts(self) -> CallFacts:
        """The answer as a fact of its call."""
        return CallFacts(sid=self.call_sid, answered_by=self.answered_by)


_OWN_IDENTITY = frozenset({"SequenceNumber", "RecordingSid"})


def dedupe_key(form: Form | Iterable[tuple[str, str]], idempotency_token: str | None) -> str:
    """The same for each delivery of one event, and another for every other event: 64 hexadecimal digits.

    An event that names its own place (a sequence number, a recording) is known by its fields, which are
    signed; `I-Twilio-Idempotency-Token` is not signed and tells only the others apart.
    """
    pairs = sorted(form.items() if isinstance(form, Mapping) else form)
    if idempotency_token and not any(name in _OWN_IDENTITY for name, _ in pairs):
        pairs.append(("I-Twilio-Idempotency-Token", idempotency_token))
    digest = hashlib.sha256()
    for name, value in pairs:
        for text in (name, value):
            data = text.encode()
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
