"""How calls to one of our numbers are answered."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.outcome import Attempt, Outcome, outcome_of
from breeze_buddy.domain.phone import E164
from breeze_buddy.domain.window import CallingWindow


class TurnedAway(StrEnum):
    """Why the agent does not take a call to us."""

    BLOCKED = "blocked"  # the caller is on the block list
    NOT_ANSWERED = "not_answered"  # the number has no inbound policy, or is switched off
    CLOSED = "closed"  # outside business hours
    FULL = "full"  # every channel is taken


class InboundElse(BaseModel):
    """What a caller gets whom the agent does not take: refused, sent on, or told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["refuse", "redirect", "message"] = "message"
    redirect_to: E164 | None = None
    message: str = Field("We cannot take your call right now. Please call again later.", max_length=1000)

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if self.action == "redirect" and self.redirect_to is None:
            raise ValueError("redirect needs redirect_to, the number that takes the call")
        return self


class InboundPolicy(BaseModel):
    """A number's answer: the template that talks, when it does, and what happens otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template_id: str
    business_hours: CallingWindow | None = None
    reserve: int = Field(0, ge=0, le=1000, description="channels that outbound calls leave free")
    when_closed: InboundElse = InboundElse()
    when_full: InboundElse = InboundElse()
    ends_campaign: bool = Field(
        False, description="a call from a lead that waits for its retry finishes that lead: no need to call again"
    )

    def instead(self, why: TurnedAway) -> InboundElse:
        """What a caller gets who is turned away."""
        match why:
            case TurnedAway.CLOSED:
                return self.when_closed
            case TurnedAway.FULL:
                return self.when_full
            case TurnedAway.BLOCKED | TurnedAway.NOT_ANSWERED:
                return REFUSED


REFUSED = InboundElse(action="refuse")
"""For whom no setting is asked: the caller hears that the call is rejected."""


class BlockedCaller(BaseModel):
    """A phone whose calls to us are refused, whichever number it calls."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phone: E164
    reason: str | None = Field(None, max_length=500)


def spares_the_next_call(attempt: Attempt, *, ends_campaign: bool) -> Outcome | None:
    """The outcome of a lead whose own call makes the next attempt needless; None while it is still to be called.

    A wish not to be called counts whatever the policy; a conversation that came to its end counts with
    `ends_campaign`, unless the caller asked to be called at another time.
    """
    outcome = outcome_of([attempt])
    if outcome is Outcome.DO_NOT_CALL:
        return outcome
    return outcome if ends_campaign and outcome in (Outcome.COMPLETED, Outcome.TRANSFERRED) else None
