"""A file of leads that is read into a campaign, page by page."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class UploadStatus(StrEnum):
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"  # what was accepted before is kept; the same file again brings the rest


class Upload(BaseModel):
    """How far an upload is. Counts are of rows whose page has been written."""

    model_config = ConfigDict(frozen=True)

    id: str
    campaign_id: str
    status: UploadStatus
    file_name: str | None
    rows: int
    accepted: int = Field(description="leads that are in the backlog now")
    duplicates: int = Field(description="rows whose phone or request_id the campaign had, or the file before")
    refused: int = Field(description="rows that are no lead; see the refusals")
    error: str | None = Field(description="why it failed, and what to do")
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
