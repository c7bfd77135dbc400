"""What happens after an attempt: finish, call again after a cooldown, or go back to the backlog unused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.domain.call import CallStatus, FailureClass
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.outcome import Attempt, Outcome, outcome_of
from breeze_buddy.domain.window import CallingWindow

Cooldown = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=30))]

FIRST_BACKOFF = timedelta(seconds=5)
LONGEST_BACKOFF = timedelta(minutes=15)


class RetryPolicy(BaseModel):
    """How often and how soon a lead is called again. `max_retries` counts after the first attempt."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")

    max_retries: int = Field(2, ge=0, le=20)
    cooldown: Cooldown = Field(timedelta(hours=1), description="seconds, or ISO 8601 such as PT1H")
    cooldown_by_status: dict[Literal["no-answer", "busy", "failed", "canceled"], Cooldown] = Field(
        {}, description="a cooldown of its own for one of Twilio's statuses"
    )
    retry_voicemail: bool = Field(True, description="call again when a machine answered")

    def cooldown_after(self, status: CallStatus | None) -> timedelta:
        own = {str(name): value for name, value in self.cooldown_by_status.items()}
        return own.get(str(status), self.cooldown)


@dataclass(frozen=True, slots=True)
class Finish:
    """The lead is FINISHED with this outcome."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class RetryAt:
    """The lead goes to RETRY and rejoins the backlog at this time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ReturnAt:
    """The attempt does not count: the lead goes back to the backlog, due at this time.

    `stop_campaign` says that no other call of the account can succeed either.
    """

    at: datetime
    stop_campaign: bool = False


NextStep: TypeAlias = Finish | RetryAt | ReturnAt


def next_step(
    policy: RetryPolicy,
    attempts: Sequence[Attempt],
    *,
    now: datetime,
    window: CallingWindow | None = None,
    zones: Sequence[tzinfo] = (),
    cancelled: bool = False,
) -> NextStep:
    """Decide about a lead after the last of `attempts` (the oldest first, never empty).

    A lead makes at most `1 + policy.max_retries` attempts that count. Times are moved to the next
    moment at which `window` is open by the lead's clocks, those of `zones`.
    """

    def opened(at: datetime) -> datetime:
        return window.next_open(at, zones) if window else at

    last = attempts[-1]
    if cancelled or last.cancelled_by_us:
        # An attempt that does not count says nothing of itself: then it is the cancelling that decides.
        return Finish(outcome_of(attempts, cancelled=cancelled or not last.counts))
    if not last.counts:
        unused = sum(1 for attempt in attempts if not attempt.counts)
        back_off = min(FIRST_BACKOFF * 2 ** min(unused - 1, 16), LONGEST_BACKOFF)
        return ReturnAt(opened(now + back_off), stop_campaign=last.refusal is FailureClass.CONFIGURATION)
    if not _worth_another_call(policy, last):
        return Finish(outcome_of(attempts))
    if sum(1 for attempt in attempts if attempt.counts) > policy.max_retries:
        return Finish(outcome_of(attempts))
    if last.callback_at is not None:
        return RetryAt(opened(max(last.callback_at, now)))
    return RetryAt(opened(now + policy.cooldown_after(last.status)))


def _worth_another_call(policy: RetryPolicy, last: Attempt) -> bool:
    if last.do_not_call or last.refusal is not None:
        return False
    if last.status is not CallStatus.COMPLETED:
        return True
    if last.callback_at is not None or last.ending is Ending.LOST:
        return True
    return last.machine and last.ending is not Ending.REACHED_END and policy.retry_voicemail
