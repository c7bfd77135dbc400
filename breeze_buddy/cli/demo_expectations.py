"""How each kind of simulated person must end, and in what a lead differs from that.

The table follows from the demo's template: one retry, and a machine is called once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.outcome import Outcome


class CallSeen(Protocol):
    """What is looked at of one call that counts as an attempt."""

    @property
    def status(self) -> str | None: ...

    @property
    def recording(self) -> str | None:
        """The recording's sid, when it is stored."""


class LeadSeen(Protocol):
    """What is looked at of a lead; `calls` are the oldest first."""

    @property
    def status(self) -> str: ...

    @property
    def outcome(self) -> str | None: ...

    @property
    def attempts(self) -> int: ...

    @property
    def calls(self) -> Sequence[CallSeen]: ...


@dataclass(frozen=True, slots=True)
class Expectation:
    """The outcome, and the status of each call, the first attempt first. Calls that complete are recorded."""

    outcome: Outcome
    calls: tuple[CallStatus, ...]

    def differences(self, lead: LeadSeen) -> list[str]:
        """A sentence for each thing in which the lead is not as it must be."""
        if lead.status != "FINISHED":
            return [f"is {lead.status} after {lead.attempts} attempts, not FINISHED"]
        found = []
        if lead.outcome != self.outcome:
            found.append(f"outcome is {lead.outcome or 'none'}, not {self.outcome}")
        if lead.attempts != len(self.calls):
            found.append(f"made {lead.attempts} attempts, not {len(self.calls)}")
        statuses = [call.status or "none" for call in lead.calls]
        if statuses != [str(status) for status in self.calls]:
            found.append(f"calls ended {', '.join(statuses) or 'never'}, not {', '.join(self.calls)}")
        for place, call in enumerate(lead.calls, start=1):
            completed = call.status == CallStatus.COMPLETED
            if completed and call.recording is None:
                found.append(f"call {place} was completed and has no stored recording")
            if not completed and call.recording is not None:
                found.append(f"call {place} was {call.status} and has a recording")
        return found


_DONE = CallStatus.COMPLETED

EXPECTATIONS: dict[str, Expectation] = {
    "talks": Expectation(Outcome.COMPLETED, (_DONE,)),
    "presses_digits": Expectation(Outcome.COMPLETED, (_DONE,)),
    "no_answer": Expectation(Outcome.NO_ANSWER, (CallStatus.NO_ANSWER, CallStatus.NO_ANSWER)),
    "busy": Expectation(Outcome.BUSY, (CallStatus.BUSY, CallStatus.BUSY)),
    "failed": Expectation(Outcome.FAILED, (CallStatus.FAILED, CallStatus.FAILED)),
    "canceled": Expectation(Outcome.CALL_CANCELED, (CallStatus.CANCELED, CallStatus.CANCELED)),
    "voicemail": Expectation(Outcome.VOICEMAIL, (_DONE, _DONE)),
    "hangs_up_early": Expectation(Outcome.HUNG_UP, (_DONE,)),
    "hangs_up_mid_sentence": Expectation(Outcome.HUNG_UP, (_DONE,)),
    "silent": Expectation(Outcome.NO_INPUT, (_DONE,)),
    "no_answer_then_talks": Expectation(Outcome.COMPLETED, (CallStatus.NO_ANSWER, _DONE)),
    "busy_then_talks": Expectation(Outcome.COMPLETED, (CallStatus.BUSY, _DONE)),
    "failed_then_talks": Expectation(Outcome.COMPLETED, (CallStatus.FAILED, _DONE)),
    "canceled_then_talks": Expectation(Outcome.COMPLETED, (CallStatus.CANCELED, _DONE)),
    "asks_for_callback": Expectation(Outcome.COMPLETED, (_DONE, _DONE)),
    "asks_not_to_be_called": Expectation(Outcome.DO_NOT_CALL, (_DONE,)),
}
