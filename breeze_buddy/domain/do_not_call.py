"""Who must not be called: a phone that is on the list is dialled for nobody, until it is taken off."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.domain.phone import E164

LISTED = "it is on the do-not-call list"
"""Why a lead with such a phone is refused."""


class ListingSource(StrEnum):
    """How a phone came to the list."""

    API = "api"
    IMPORT = "import"
    CONVERSATION = "conversation"  # somebody said so in a call


class DoNotCallInput(BaseModel):
    """A phone that must not be called, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phone: E164 = Field(examples=["+14155550123"])
    reason: str | None = Field(None, max_length=500)


class DoNotCallEntry(BaseModel):
    """A phone on the list, as it is stored."""

    model_config = ConfigDict(frozen=True)

    phone: str
    source: ListingSource
    reason: str | None
    call_id: str | None = Field(description="the call in which it was asked for")
    created_at: datetime
