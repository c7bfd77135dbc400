"""The pod: one media server process that takes streams."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.domain.campaign import Pool


class PodInput(BaseModel):
    """A pod as it registers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="unique; a pod that begins anew keeps it")
    stream_url: str = Field(pattern=r"^wss?://[^?#\s]+$", description="how Twilio reaches this pod alone")
    pool: Pool | None = Field(None, description="None: the general pool")
    capacity: int = Field(ge=1, le=100_000, description="streams at once")


class Pod(PodInput):
    """A pod as it is listed. `live` streams include those that Twilio is about to open."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    live: int
    ready: bool = Field(description="it may get new streams, unless it is full")
    draining: bool
    registered_at: datetime
    beat_at: datetime
    as_of: datetime
