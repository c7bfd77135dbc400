"""How calls to one of our numbers are answered."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.phone import E164
from breeze_buddy.domain.window import CallingWindow


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
