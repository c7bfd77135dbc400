"""The template: what the agent says and does, and the policy of its calls."""

from datetime import datetime
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from breeze_buddy.domain.errors import MissingVariables
from breeze_buddy.domain.flow import Flow
from breeze_buddy.domain.retry import RetryPolicy
from breeze_buddy.domain.transfer import TransferPolicy
from breeze_buddy.domain.window import CallingWindow


class Voice(BaseModel):
    """How the agent sounds. `speed` 1.0 is the engine's own pace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["offline"] = "offline"
    speed: float = Field(1.0, ge=0.5, le=2.0)


class Turns(BaseModel):
    """When the caller's turn is over, and what silence means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    end_of_turn_ms: int = Field(700, ge=200, le=5000, description="silence that ends the caller's turn")
    no_input_s: float = Field(6.0, ge=1, le=60, description="silence after which the question is asked again")
    barge_in: bool = Field(True, description="the caller may interrupt the agent")


class Template(BaseModel):
    """A template as it is written. Durations are seconds or ISO 8601."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")

    name: str = Field(min_length=1, max_length=200, examples=["order-confirmation"])
    flow: Flow
    variables: tuple[str, ...] = Field((), description="variables every lead must have, besides those the flow uses")
    voice: Voice = Voice()
    turns: Turns = Turns()
    retry: RetryPolicy = RetryPolicy()
    calling_window: CallingWindow | None = Field(None, description="None: at any hour")
    ring_timeout_s: int = Field(30, ge=5, le=600)
    max_call_s: int = Field(600, ge=5, le=14_400)
    record: bool = True
    recording_days: int | None = Field(
        None, ge=1, le=36_500, description="days until our copy of a recording is deleted; None: it is kept"
    )
    delete_recording_at_provider: bool = Field(
        False, description="delete the recording at Twilio once our copy has been read back"
    )
    detect_voicemail: bool = Field(True, description="ask Twilio who answered, and hang up on machines")
    transfer: TransferPolicy | None = Field(None, description="who takes callers over, and how")
    webhook_url: HttpUrl | None = Field(
        None, description="receives a signed report when a lead that had a line is FINISHED"
    )

    @model_validator(mode="after")
    def _somebody_to_transfer_to(self) -> Self:
        if self.flow.transfers and self.transfer is None:
            raise ValueError("the flow transfers callers to a human: say to whom in `transfer`")
        return self

    @cached_property
    def required_variables(self) -> frozenset[str]:
        """What a lead must bring: the variables listed and those that the flow's messages use."""
        return frozenset(self.variables) | self.flow.variables

    def check_variables(self, variables: dict[str, str]) -> None:
        """Raise MissingVariables, which names them, unless `variables` has all that the template needs."""
        missing = sorted(name for name in self.required_variables if not variables.get(name, "").strip())
        if missing:
            raise MissingVariables(missing)


class StoredTemplate(BaseModel):
    """A template with its identity. `version` grows by one with each update."""

    model_config = ConfigDict(frozen=True)

    id: str
    version: int
    created_at: datetime
    updated_at: datetime
    template: Template
