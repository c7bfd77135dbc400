"""The lead: one person to reach, and the state machine of its life.

    BACKLOG ──line granted──► PROCESSING ──► FINISHED
       ▲  ▲                     │    │
       │  └──grant not used─────┘    │
       └──cooldown over── RETRY ◄────┘

A lead in BACKLOG or RETRY can also finish directly (cancelled, do-not-call, expired).
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.errors import IllegalTransition
from breeze_buddy.domain.moment import Moment
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.phone import E164
from breeze_buddy.domain.window import TimeZoneName


class LeadStatus(StrEnum):
    BACKLOG = "BACKLOG"
    PROCESSING = "PROCESSING"
    RETRY = "RETRY"
    FINISHED = "FINISHED"


_ALLOWED: dict[LeadStatus, frozenset[LeadStatus]] = {
    LeadStatus.BACKLOG: frozenset({LeadStatus.PROCESSING, LeadStatus.FINISHED}),
    LeadStatus.PROCESSING: frozenset({LeadStatus.BACKLOG, LeadStatus.RETRY, LeadStatus.FINISHED}),
    LeadStatus.RETRY: frozenset({LeadStatus.BACKLOG, LeadStatus.FINISHED}),
    LeadStatus.FINISHED: frozenset(),
}


def check_transition(current: LeadStatus, wanted: LeadStatus) -> None:
    """Raise IllegalTransition, naming both states, unless a lead may go from `current` to `wanted`."""
    if wanted not in _ALLOWED[current]:
        raise IllegalTransition("a lead", current, wanted)


_BEFORE_ALL = 1000


def before_all(priority: int) -> int:
    """The priority of a lead that is to be called before all others for once. Its own is still told from it."""
    return own_priority(priority) + _BEFORE_ALL


def own_priority(priority: int) -> int:
    """The priority that a lead was given, whether or not it is to be called before all others now."""
    return priority - _BEFORE_ALL if priority > _BEFORE_ALL // 2 else priority


Variables = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=1000)]],
    Field(max_length=64, description="values for the template's {placeholders}"),
]


class LeadInput(BaseModel):
    """A lead as a person or a program gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    phone: E164 = Field(description="with country code; normalised to E.164", examples=["+14155550123"])
    variables: Variables = {}
    time_zone: TimeZoneName | None = Field(None, description="IANA name; if absent, the zones of the phone number")
    priority: int = Field(0, ge=-100, le=100, description="higher is called sooner")
    not_before: Moment | None = Field(None, description="not called before this time")
    expires_at: Moment | None = Field(None, description="no call begins from this time on; then it is EXPIRED")
    request_id: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="the same id again returns the first lead instead of a new one",
    )

    @model_validator(mode="after")
    def _some_time_to_call(self) -> Self:
        if self.not_before is not None and self.expires_at is not None and self.expires_at <= self.not_before:
            raise ValueError("expires_at must be after not_before: as it is, the lead could never be called")
        return self


class Lead(BaseModel):
    """A lead as it is stored."""

    model_config = ConfigDict(frozen=True)

    id: str
    campaign_id: str
    phone: str
    variables: dict[str, str]
    time_zone: str | None
    priority: Annotated[int, AfterValidator(own_priority)]
    request_id: str | None
    status: LeadStatus
    outcome: Outcome | None = Field(None, description="set once, when the lead is FINISHED")
    attempts: int = Field(description="attempts that count: calls that Twilio was asked to place and did")
    due_at: datetime = Field(description="not dialled before this time")
    not_before: datetime | None = None
    expires_at: datetime | None = None
    created_at: datetime
    finished_at: datetime | None = None
