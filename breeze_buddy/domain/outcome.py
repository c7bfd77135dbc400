"""The outcome of a lead: one word, computed once from the facts of its calls and never written over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from breeze_buddy.domain.call import AnsweredBy, CallStatus, FailureClass
from breeze_buddy.domain.conversation import Ending


class Outcome(StrEnum):
    COMPLETED = "COMPLETED"  # the conversation reached its end
    TRANSFERRED = "TRANSFERRED"  # a human took over and talked
    HUNG_UP = "HUNG_UP"  # the person answered and hung up before the end
    NO_INPUT = "NO_INPUT"  # the person answered and said nothing
    CALLBACK_REQUESTED = "CALLBACK_REQUESTED"  # asked to be called again, and no retry was left for it
    DO_NOT_CALL = "DO_NOT_CALL"
    VOICEMAIL = "VOICEMAIL"
    NO_ANSWER = "NO_ANSWER"
    BUSY = "BUSY"
    FAILED = "FAILED"
    CALL_CANCELED = "CALL_CANCELED"  # Twilio's `canceled`
    DROPPED = "DROPPED"  # answered, and our side lost the conversation
    INVALID_NUMBER = "INVALID_NUMBER"
    NOT_PERMITTED = "NOT_PERMITTED"  # the account may not call this number
    EXPIRED = "EXPIRED"  # its time was over before it was reached
    CANCELLED = "CANCELLED"  # somebody of ours cancelled the lead or its campaign


@dataclass(frozen=True, slots=True)
class Attempt:
    """The facts of one attempt that the rules look at."""

    status: CallStatus | None = None
    refusal: FailureClass | None = None  # Twilio made no call, and why
    answered_by: AnsweredBy | None = None
    ending: Ending | None = None  # of the conversation; None when there was none
    callback_at: datetime | None = None
    do_not_call: bool = False
    no_media: bool = False  # answered, and we had no media server for it: our failure
    cancelled_by_us: bool = False

    @property
    def counts(self) -> bool:
        """Whether this attempt uses one of the lead's `1 + max_retries`."""
        if self.no_media and self.ending is None:
            return False
        return self.refusal in (None, FailureClass.PERMANENT, FailureClass.NOT_PERMITTED)

    @property
    def machine(self) -> bool:
        return self.answered_by in (AnsweredBy.MACHINE, AnsweredBy.FAX)


_BY_STATUS = {
    CallStatus.NO_ANSWER: Outcome.NO_ANSWER,
    CallStatus.BUSY: Outcome.BUSY,
    CallStatus.FAILED: Outcome.FAILED,
    CallStatus.CANCELED: Outcome.CALL_CANCELED,
}
_BY_ENDING = {
    Ending.REACHED_END: Outcome.COMPLETED,
    Ending.TOO_LONG: Outcome.COMPLETED,
    Ending.CALLER_HUNG_UP: Outcome.HUNG_UP,
    Ending.NO_INPUT: Outcome.NO_INPUT,
    Ending.LOST: Outcome.DROPPED,
    Ending.TRANSFERRED: Outcome.TRANSFERRED,
    Ending.VOICEMAIL: Outcome.VOICEMAIL,
}


def outcome_of(attempts: Sequence[Attempt], *, cancelled: bool = False) -> Outcome:
    """The outcome of a lead that finishes after `attempts`, the oldest first.

    The last attempt that counts decides; `cancelled` says that our side withdrew the lead.
    """
    counted = [attempt for attempt in attempts if attempt.counts]
    last = counted[-1] if counted else None
    if last is not None and last.do_not_call:
        return Outcome.DO_NOT_CALL
    reached_end = last is not None and last.ending in (Ending.REACHED_END, Ending.TRANSFERRED)
    if not reached_end and (cancelled or (last is not None and last.cancelled_by_us)):
        return Outcome.CANCELLED
    if last is None:
        return Outcome.FAILED
    if last.refusal is FailureClass.PERMANENT:
        return Outcome.INVALID_NUMBER
    if last.refusal is FailureClass.NOT_PERMITTED:
        return Outcome.NOT_PERMITTED
    if last.status in _BY_STATUS:
        return _BY_STATUS[last.status]
    if last.machine and last.ending is not Ending.REACHED_END:
        return Outcome.VOICEMAIL
    if last.callback_at is not None:
        return Outcome.CALLBACK_REQUESTED
    return _BY_ENDING[last.ending] if last.ending is not None else Outcome.HUNG_UP
