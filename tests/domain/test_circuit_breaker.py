"""When too many calls failed for a campaign to go on."""

import pytest
from pydantic import ValidationError

from breeze_buddy.domain.call import CallStatus, FailureClass
from breeze_buddy.domain.circuit_breaker import CircuitBreaker, failed
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.outcome import Attempt

GOOD = Attempt(status=CallStatus.COMPLETED, ending=Ending.REACHED_END)
BAD = Attempt(status=CallStatus.FAILED)


@pytest.mark.parametrize(
    ("attempt", "is_failure"),
    [
        (GOOD, False),
        (Attempt(status=CallStatus.BUSY), False),
        (Attempt(status=CallStatus.NO_ANSWER), False),
        (Attempt(status=CallStatus.COMPLETED, ending=Ending.CALLER_HUNG_UP), False),
        (Attempt(refusal=FailureClass.PERMANENT), False),
        (Attempt(refusal=FailureClass.CONFIGURATION, cancelled_by_us=True), False),
        (Attempt(status=CallStatus.CANCELED, cancelled_by_us=True), False),
        (BAD, True),
        (Attempt(refusal=FailureClass.RETRYABLE), True),
        (Attempt(refusal=FailureClass.NOT_PERMITTED), True),
        (Attempt(refusal=FailureClass.CONFIGURATION), True),
        (Attempt(status=CallStatus.COMPLETED, no_media=True), True),
        (Attempt(status=CallStatus.COMPLETED, ending=Ending.LOST), True),
    ],
)
def test_people_who_do_not_pick_up_are_no_failures(attempt: Attempt, is_failure: bool) -> None:
    assert failed(attempt) is is_failure


def test_it_opens_beyond_its_share_and_says_so() -> None:
    breaker = CircuitBreaker(failure_share=0.5, window_calls=10)
    assert breaker.opens([BAD] * 5 + [GOOD] * 5) is None
    assert breaker.opens([BAD] * 6 + [GOOD] * 4) == "6 of the last 10 calls failed, more than 50%"


def test_it_waits_for_a_whole_window_and_looks_at_no_more() -> None:
    breaker = CircuitBreaker(failure_share=0.5, window_calls=10)
    assert breaker.opens([BAD] * 9) is None
    assert breaker.opens([GOOD] * 10 + [BAD] * 100) is None
    assert breaker.opens([BAD] * 10 + [GOOD] * 100) is not None


@pytest.mark.parametrize("wrong", [{"failure_share": 0}, {"failure_share": 1}, {"window_calls": 1}, {"colour": "red"}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CircuitBreaker.model_validate(wrong)
