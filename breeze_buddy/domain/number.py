"""One of our phone numbers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.domain.inbound import InboundPolicy
from breeze_buddy.domain.phone import E164

DailyCap = Annotated[int, Field(ge=1, le=1_000_000)] | None


class NumberInput(BaseModel):
    """A number as it is registered. `channels` is how many calls it may carry at the same time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phone: E164
    provider: Literal["twilio"] = "twilio"
    channels: int = Field(1, ge=1, le=1000)
    enabled: bool = True
    daily_cap: DailyCap = Field(None, description="outbound calls it may make in a day (UTC); None: no limit")
    inbound: InboundPolicy | None = Field(None, description="how calls to it are answered; None: they are refused")


class NumberUpdate(BaseModel):
    """What is to change; `inbound: null` takes the policy away, `daily_cap: null` the limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int | None = Field(None, ge=1, le=1000)
    enabled: bool | None = None
    daily_cap: DailyCap = None
    inbound: InboundPolicy | None = None


class Number(NumberInput):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    created_at: datetime
