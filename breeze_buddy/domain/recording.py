"""The recording of one call, as facts: from Twilio's recording callback, or from asking."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RecordingStatus(StrEnum):
    """Twilio's words for where a recording is."""

    IN_PROGRESS = "in-progress"
    PAUSED = "paused"
    STOPPED = "stopped"
    PROCESSING = "processing"
    COMPLETED = "completed"  # the audio can be fetched
    ABSENT = "absent"  # there is none and there will be none
    DELETED = "deleted"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will be heard of it."""
        return self in (RecordingStatus.COMPLETED, RecordingStatus.ABSENT, RecordingStatus.DELETED)


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What is known of one recording. `status` is None when Twilio used a word that we do not know.

    `url` is without a file ending; `started_at` is aware.
    """

    sid: str
    call_sid: str
    status: RecordingStatus | None
    url: str | None = None
    duration_s: int | None = None
    channels: int | None = None
    started_at: datetime | None = None
    error_code: int | None = None
