"""What happens after an attempt: finish, call again after a cooldown, or go back to the backlog unused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.call import TERMINAL, FailureClass
from breeze_buddy.domain.outcome import Attempt, Outcome, outcome_of
from breeze_buddy.domain.window import CallingWindow

LONGEST_COOLDOWN = timedelta(days=30)
MAX_RETRIES = 20

Cooldown = Annotated[timedelta, Field(ge=timedelta(0), le=LONGEST_COOLDOWN)]
RetriedOutcome = Literal["NO_ANSWER", "BUSY", "FAILED", "CALL_CANCELED", "VOICEMAIL", "DROPPED", "HUNG_UP", "NO_INPUT"]
"""What an attempt can end in so that another one makes sense: words of Outcome."""

RETRIED = frozenset(Outcome(word) for word in get_args(RetriedOutcome))
ON_REQUEST = frozenset({Outcome.HUNG_UP, Outcome.NO_INPUT})
"""Somebody was reached: they are called again only under a policy that names this."""

_OUTCOME_OF_STATUS = {"no-answer": "NO_ANSWER", "busy": "BUSY", "failed": "FAILED", "canceled": "CALL_CANCELED"}

FIRST_BACKOFF = timedelta(seconds=5)
LONGEST_BACKOFF = timedelta(minutes=15)


class RetryPolicy(BaseModel):
    """How often and how soon a lead is called again. `max_retries` counts after the first attempt.

    Templates written for an earlier version may have `cooldown_by_status` and `retry_voicemail`: they are read
    as `cooldown_by_outcome` and `permanent_outcomes`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")

    max_retries: int = Field(2, ge=0, le=MAX_RETRIES)
    max_retries_by_outcome: dict[RetriedOutcome, Annotated[int, Field(ge=0, le=MAX_RETRIES)]] = Field(
        {},
        description="at most this many retries after attempts that ended so, of the `max_retries`; "
        "HUNG_UP and NO_INPUT are called again only when they are named here",
    )
    cooldown: Cooldown = Field(timedelta(hours=1), description="seconds, or ISO 8601 such as PT1H; at most 30 days")
    cooldown_by_outcome: dict[RetriedOutcome, Cooldown] = Field(
        {}, description="a cooldown of its own after an attempt that ended so"
    )
    backoff_factor: float = Field(
        1.0, ge=1, le=10, description="each cooldown is this many times the one before, up to 30 days"
    )
    jitter: float = Field(
        0.1, ge=0, le=1, description="share of the cooldown that is added at random, so that retries spread"
    )
    permanent_outcomes: tuple[RetriedOutcome, ...] = Field(
        (), description="an attempt that ended so finishes the lead at once"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.keys() & {"cooldown_by_status", "retry_voicemail"}:
            return given
        read = dict(given)
        by_status = read.pop("cooldown_by_status", None) or {}
        if not isinstance(by_status, dict) or not by_status.keys() <= _OUTCOME_OF_STATUS.keys():
            raise ValueError(f"cooldown_by_status is for {', '.join(_OUTCOME_OF_STATUS)}: write cooldown_by_outcome")
        own = {_OUTCOME_OF_STATUS[name]: value for name, value in by_status.items()}
        if own:
            read["cooldown_by_outcome"] = own | (read.get("cooldown_by_outcome") or {})
        match read.pop("retry_voicemail", True):
            case True:
                return read
            case False:
                return read | {"permanent_outcomes": (*read.get("permanent_outcomes", ()), "VOICEMAIL")}
            case _:
                raise ValueError("retry_voicemail is true or false: write VOICEMAIL among permanent_outcomes for false")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for outcome, retries in self.max_retries_by_outcome.items():
            if retries > self.max_retries:
                raise ValueError(
                    f"max_retries_by_outcome allows {retries} retries after {outcome}, but max_retries is "
                    f"{self.max_retries} for all together: raise it, or lower the other"
                )
            if retries and outcome in self.permanent_outcomes:
                raise ValueError(f"{outcome} is one of permanent_outcomes and has retries in max_retries_by_outcome")
        return self

    def retries_after(self, outcome: Outcome) -> int:
        """How many attempts that ended so may be followed by another one."""
        if outcome in self.permanent_outcomes:
            return 0
        own = {str(name): limit for name, limit in self.max_retries_by_outcome.items()}
        return own.get(outcome, 0 if outcome in ON_REQUEST else self.max_retries)

    def cooldown_after(self, outcome: Outcome, *, attempt: int, seed: str) -> timedelta:
        """The wait after attempt number `attempt` (from 1), which ended so; the same for the same `seed`."""
        own = {str(name): value for name, value in self.cooldown_by_outcome.items()}
        first_s = own.get(outcome, self.cooldown).total_seconds()
        wait_s = min(first_s * self.backoff_factor ** (attempt - 1), LONGEST_COOLDOWN.total_seconds())
        spread_s = wait_s * self.jitter * _share(f"{seed}/{attempt}")
        return min(timedelta(seconds=wait_s + spread_s), LONGEST_COOLDOWN)


def _share(seed: str) -> float:
    """A number from 0 to 1, as good as random, that depends on `seed` alone."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=6).digest()) / 2**48


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
    seed: str = "",
) -> NextStep:
    """Decide about a lead after the last of `attempts` (the oldest first, never empty).

    A lead makes at most `1 + policy.max_retries` attempts that count. Times are moved to the next
    moment at which `window` is open by the lead's clocks, those of `zones`. `seed`, the lead's id, is what
    its jitter depends on.
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
    if not _may_be_called_again(policy, attempts):
        return Finish(outcome_of(attempts))
    if last.callback_at is not None:
        return RetryAt(opened(max(last.callback_at, now)))
    made = sum(1 for attempt in attempts if attempt.counts)
    return RetryAt(opened(now + policy.cooldown_after(_ended_in(last), attempt=made, seed=seed)))


def _may_be_called_again(policy: RetryPolicy, attempts: Sequence[Attempt]) -> bool:
    last = attempts[-1]
    counted = [attempt for attempt in attempts if attempt.counts]
    if last.do_not_call or last.refusal is not None or len(counted) > policy.max_retries:
        return False
    ended_in = _ended_in(last)
    if ended_in in policy.permanent_outcomes:
        return False
    if last.callback_at is not None:
        return True
    if ended_in not in RETRIED:
        return False
    return sum(1 for attempt in counted if _ended_in(attempt) is ended_in) <= policy.retries_after(ended_in)


def _ended_in(attempt: Attempt) -> Outcome:
    """The outcome of one attempt for itself. One that nothing final is known of has failed."""
    return outcome_of([attempt]) if attempt.status in TERMINAL or attempt.refusal else Outcome.FAILED
