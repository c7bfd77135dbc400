"""One attempt to reach a lead, as facts.

Facts come from Twilio's callbacks, which may be late, repeated or out of order, and from Twilio's own
answer when asked. `CallFacts.merge` is commutative, associative and idempotent, so the same set of
callbacks in any order gives the same facts.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import TypeVar


class CallStatus(StrEnum):
    """Twilio's words for where a call is; the hyphens are Twilio's."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset(
    {CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.FAILED, CallStatus.NO_ANSWER, CallStatus.CANCELED}
)

# Later in a call's life is higher. Two different terminal words for one call are settled by the sequence
# number, then by this order: a call that was answered was answered.
_ORDER = {
    status: place
    for place, status in enumerate(
        (
            CallStatus.QUEUED,
            CallStatus.INITIATED,
            CallStatus.RINGING,
            CallStatus.IN_PROGRESS,
            CallStatus.CANCELED,
            CallStatus.NO_ANSWER,
            CallStatus.FAILED,
            CallStatus.BUSY,
            CallStatus.COMPLETED,
        )
    )
}


class Direction(StrEnum):
    """Who called whom: we the person, or the person us."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"


class AnsweredBy(StrEnum):
    """Who answered, by answering machine detection; the finer words of Twilio are folded into these."""

    UNKNOWN = "unknown"
    HUMAN = "human"
    FAX = "fax"
    MACHINE = "machine"


class Progress(StrEnum):
    """How far our own side of an attempt has come; it decides what a second run of `dial` may do."""

    GRANTED = "granted"  # the line is leased; nothing was sent
    INTENDED = "intended"  # committed before `POST /Calls`: from here on it may have been sent
    DIALLED = "dialled"  # Twilio's CallSid is known
    NOT_CREATED = "not_created"  # Twilio certainly made no call
    ENDED = "ended"  # facts are complete and the line is free


class FailureClass(StrEnum):
    """What a refusal to create a call means for the lead and its campaign."""

    PERMANENT = "permanent"  # this number can never be called
    NOT_PERMITTED = "not_permitted"  # this account may not call this number
    CONFIGURATION = "configuration"  # no call can succeed until somebody mends the account
    RETRYABLE = "retryable"  # not now; it does not count as an attempt
    AMBIGUOUS = "ambiguous"  # the call may exist


_T = TypeVar("_T", datetime, int, str, float)


def _earliest(a: _T | None, b: _T | None) -> _T | None:
    return b if a is None else a if b is None else min(a, b)


def _largest(a: _T | None, b: _T | None) -> _T | None:
    return b if a is None else a if b is None else max(a, b)


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of one call. Times are aware; durations are seconds; `sequence` is Twilio's number
    of the callback that `status` came from (-1 when it came from asking)."""

    status: CallStatus | None = None
    sequence: int = -1
    sid: str | None = None
    initiated_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: int | None = None
    sip_code: int | None = None
    answered_by: AnsweredBy | None = None
    error_code: int | None = None

    def merge(self, other: "CallFacts") -> "CallFacts":
        """Both sets of facts as one; the order of merging does not matter."""
        later = max(self, other, key=CallFacts._place)
        return CallFacts(
            status=later.status,
            sequence=later.sequence,
            sid=_largest(self.sid, other.sid),
            initiated_at=_earliest(self.initiated_at, other.initiated_at),
            ringing_at=_earliest(self.ringing_at, other.ringing_at),
            answered_at=_earliest(self.answered_at, other.answered_at),
            ended_at=_earliest(self.ended_at, other.ended_at),
            duration_s=_largest(self.duration_s, other.duration_s),
            sip_code=_largest(self.sip_code, other.sip_code),
            answered_by=_largest_answer(self.answered_by, other.answered_by),
            error_code=_largest(self.error_code, other.error_code),
        )

    def _place(self) -> tuple[int, int, int]:
        if self.status is None:
            return (0, self.sequence, -1)
        if self.status.is_terminal:
            return (2, self.sequence, _ORDER[self.status])
        return (1, _ORDER[self.status], self.sequence)

    def changes(self, before: "CallFacts") -> dict[str, object]:
        """The fields in which these facts differ from `before`, for a write that touches no more."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(before, field.name)
        }


def _largest_answer(a: AnsweredBy | None, b: AnsweredBy | None) -> AnsweredBy | None:
    order = list(AnsweredBy)
    known = [answer for answer in (a, b) if answer is not None]
    return max(known, key=order.index) if known else None
