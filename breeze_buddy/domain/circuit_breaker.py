"""When a campaign stops dialling by itself: too many of its last calls failed, for a cause that is not the people's.

Busy and unanswered calls are people; `failed`, a refusal by Twilio, no media server and a conversation that our
side lost are not. A number that can never be called is the lead's own matter.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.domain.call import CallStatus, FailureClass
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.outcome import Attempt


class CircuitBreaker(BaseModel):
    """It opens, and pauses the campaign, when more than `failure_share` of the last `window_calls` calls failed.

    Only calls of the last `window_minutes` are looked at, and none from before the campaign was last started or
    resumed; with fewer than `window_calls` of them it stays closed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    failure_share: float = Field(0.5, gt=0, lt=1, description="of the calls of the window, from 0 to 1")
    window_calls: int = Field(20, ge=5, le=1000, description="how many of the last calls are looked at")
    window_minutes: float = Field(60, gt=0, le=7 * 24 * 60, description="older calls are not looked at")

    def opens(self, last: Sequence[Attempt]) -> str | None:
        """Why it opens, in words, or None. `last`: the attempts of the window, the newest first."""
        seen = last[: self.window_calls]
        failures = sum(failed(attempt) for attempt in seen)
        if len(seen) < self.window_calls or failures <= self.failure_share * len(seen):
            return None
        return f"{failures} of the last {len(seen)} calls failed, more than {self.failure_share:.0%}"


def failed(attempt: Attempt) -> bool:
    """Whether an attempt that was meant to be dialled failed on our side or on the way, not at the person."""
    if attempt.cancelled_by_us:
        return False
    if attempt.refusal is not None:
        return attempt.refusal is not FailureClass.PERMANENT
    if attempt.no_media and attempt.ending is None:
        return True
    return attempt.status is CallStatus.FAILED or attempt.ending is Ending.LOST
