"""The campaign: a template, numbers, leads and pacing."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.circuit_breaker import CircuitBreaker
from breeze_buddy.domain.errors import IllegalTransition
from breeze_buddy.domain.lead import LeadInput, LeadStatus
from breeze_buddy.domain.moment import Moment
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.phone import E164
from breeze_buddy.domain.recurrence import Recurrence
from breeze_buddy.domain.template import Template


class CampaignStatus(StrEnum):
    CREATED = "CREATED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


_ALLOWED: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    CampaignStatus.CREATED: frozenset({CampaignStatus.RUNNING, CampaignStatus.CANCELLED}),
    CampaignStatus.RUNNING: frozenset({CampaignStatus.PAUSED, CampaignStatus.COMPLETED, CampaignStatus.CANCELLED}),
    CampaignStatus.PAUSED: frozenset({CampaignStatus.RUNNING, CampaignStatus.COMPLETED, CampaignStatus.CANCELLED}),
    # Leads added to a completed campaign set it going again.
    CampaignStatus.COMPLETED: frozenset({CampaignStatus.RUNNING}),
    CampaignStatus.CANCELLED: frozenset(),
}

# One that recurs dials nobody itself: each of its times begins a campaign of its own.
_ALLOWED_RECURRING: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    CampaignStatus.CREATED: frozenset({CampaignStatus.PAUSED, CampaignStatus.CANCELLED}),
    CampaignStatus.PAUSED: frozenset({CampaignStatus.CREATED, CampaignStatus.CANCELLED}),
}


def check_recurring_transition(current: CampaignStatus, wanted: CampaignStatus) -> None:
    """The same for a campaign that recurs."""
    if wanted not in _ALLOWED_RECURRING.get(current, frozenset()):
        raise IllegalTransition("a campaign that recurs", current, wanted)


def check_campaign_transition(current: CampaignStatus, wanted: CampaignStatus) -> None:
    """Raise IllegalTransition, naming both states, unless a campaign may go from `current` to `wanted`."""
    if wanted not in _ALLOWED[current]:
        raise IllegalTransition("a campaign", current, wanted)


class Pacing(BaseModel):
    """How fast a campaign may go, and its share where several campaigns use the same lines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_concurrent_calls: int | None = Field(None, ge=1, le=100_000, description="None: as many as its lines")
    calls_per_second: float | None = Field(None, gt=0, le=1000, description="None: only the account's own limit")
    weight: float = Field(1.0, gt=0, le=1000)
    priority: int = Field(0, ge=-20, le=20, description="each step doubles the weight")


Pool = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]


class CampaignDefinition(Pacing):
    """A campaign as it is created. The template is named or given whole; leads may come with it or later."""

    name: str = Field(min_length=1, max_length=200)
    template_id: str | None = None
    template_name: str | None = None
    template: Template | None = Field(None, description="a whole template; registered, or updated, by its name")
    numbers: tuple[E164, ...] = Field((), description="registered numbers; empty: TWILIO_PHONE_NUMBER")
    leads: tuple[LeadInput, ...] = Field((), max_length=10_000)
    pool: Pool | None = Field(None, description="media servers that serve it before those of the general pool")
    start_at: Moment | None = Field(None, description="it starts by itself at this time; null: when it is told to")
    recurrence: Recurrence | None = Field(
        None, description="a fresh campaign, with its leads, at each of these times (from start_at on)"
    )
    circuit_breaker: CircuitBreaker | None = Field(
        CircuitBreaker(), description="pauses it when too many of its last calls failed; null: never"
    )
    request_id: str | None = Field(None, min_length=1, max_length=128)

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if sum(t is not None for t in (self.template_id, self.template_name, self.template)) != 1:
            raise ValueError("give exactly one of template_id, template_name and template")
        return self


class Campaign(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    template_id: str
    template_name: str
    status: CampaignStatus
    status_reason: str | None = None
    standing: bool = Field(False, description="the campaign of a template's leads that were pushed alone")
    numbers: tuple[str, ...] = ()
    max_concurrent_calls: int | None
    calls_per_second: float | None
    weight: float
    priority: int
    pool: str | None = None
    start_at: datetime | None = None
    recurrence: Recurrence | None = None
    cloned_from: str | None = Field(None, description="the campaign that this one is a copy of")
    circuit_breaker: CircuitBreaker | None = None
    workflow_id: str | None
    open_leads: int = Field(description="leads not FINISHED")
    created_at: datetime
    started_at: datetime | None = None
    resumed_at: datetime | None = Field(None, description="when it was last set running")
    ended_at: datetime | None = None


class CampaignChanges(Pacing):
    """What can be changed of a campaign; what a request does not name stays as it is."""

    start_at: Moment | None = Field(None, description="while it has not started; null: when it is told to")
    recurrence: Recurrence | None = Field(None, description="other times for a campaign that recurs")
    circuit_breaker: CircuitBreaker | None = Field(None, description="null: it is never paused by itself")

    @property
    def pacing(self) -> dict[str, object]:
        """The fields of the pacing that are named, with their new values."""
        return {name: getattr(self, name) for name in self.model_fields_set & Pacing.model_fields.keys()}


def _callable_again(outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    if Outcome.DO_NOT_CALL in outcomes:
        raise ValueError("who asked not to be called is not called again: leave out DO_NOT_CALL")
    return outcomes


ChosenOutcomes = Annotated[tuple[Outcome, ...], Field(min_length=1), AfterValidator(_callable_again)]


class CloneRequest(BaseModel):
    """How to copy a campaign: its definition, and of its leads all, none, or those with an outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=200, description="null: the name, and that it is a copy")
    leads: Literal["none", "all"] | ChosenOutcomes = Field(
        "none", description="outcomes of the leads to copy; all leaves out who asked not to be called"
    )
    start_at: Moment | None = Field(None, description="the copy starts by itself at this time")
    request_id: str | None = Field(None, min_length=1, max_length=128)


class RedialRequest(BaseModel):
    """Finished leads of a campaign are to be called again, as new leads of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: ChosenOutcomes = Field(description="of the leads to call again", examples=[["NO_ANSWER", "BUSY"]])


class CampaignProgress(BaseModel):
    """Counts of a campaign at `as_of`."""

    model_config = ConfigDict(frozen=True)

    campaign_id: str
    status: CampaignStatus
    status_reason: str | None = None
    leads: dict[LeadStatus, int]
    outcomes: dict[str, int] = {}
    live_calls: int
    as_of: datetime
