"""The campaign: a template, numbers, leads and pacing."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.errors import IllegalTransition
from breeze_buddy.domain.lead import LeadInput, LeadStatus
from breeze_buddy.domain.phone import E164
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
    priority: int = Field(0, ge=-100, le=100)


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
    workflow_id: str | None
    open_leads: int = Field(description="leads not FINISHED")
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


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
