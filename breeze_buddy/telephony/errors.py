"""What Twilio's refusals mean for a lead and its campaign.

Twilio answers a refused request with `{code, message, more_info, status}`. The code decides the class,
then the HTTP status; the codes are those of Twilio's error dictionary. What an unknown code means:

- 4xx: Twilio made no call. Nothing says that the *number* is at fault, so the lead is not finished; and the
  next lead's request would look the same, so going on would only collect refusals. CONFIGURATION: the
  campaign stops with the reason, and its leads stay in the backlog.
- 5xx, or no answer: the call may exist. AMBIGUOUS, for a request that creates one.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus

from breeze_buddy.domain.call import FailureClass
from breeze_buddy.domain.phone import mask


@dataclass(frozen=True, slots=True)
class _Meaning:
    failure: FailureClass
    advice: str


_NUMBER = "Check the lead's phone number; this one cannot be called."
_CREDENTIALS = "Check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."
_ACCOUNT = "Look at the state of the account in the Twilio console."
_GEOGRAPHY = "Allow the destination country under Voice, Geographic Permissions, in the Twilio console."
_CALLER_ID = "Call from a number that this Twilio account owns or has verified."
_CALLBACKS = "Check PUBLIC_URL: Twilio must be able to reach it."
_LATER = "It is tried again later."

_MEANINGS: dict[int, _Meaning] = {
    code: _Meaning(failure, advice)
    for failure, advice, codes in (
        (FailureClass.PERMANENT, _NUMBER, (13223, 13224, 13226, 21211, 21214, 21216, 21217)),
        (FailureClass.NOT_PERMITTED, "This account may not call this number.", (13225,)),
        (
            FailureClass.NOT_PERMITTED,
            "A trial account calls only numbers verified in the Twilio console: verify it, or upgrade the account.",
            (21219,),
        ),
        (FailureClass.CONFIGURATION, _CREDENTIALS, (20003,)),
        (FailureClass.CONFIGURATION, _ACCOUNT, (10001,)),
        (FailureClass.CONFIGURATION, _CALLBACKS, (21205, 21609, 21626)),
        (FailureClass.CONFIGURATION, _CALLER_ID, (21210, 21212)),
        (FailureClass.CONFIGURATION, _GEOGRAPHY, (13227, 21215)),
        (FailureClass.CONFIGURATION, "Check the TwiML application of the request.", (21218,)),
        (FailureClass.RETRYABLE, "Too many requests at once. " + _LATER, (20429,)),
        (FailureClass.RETRYABLE, "The account's limit of simultaneous calls is reached. " + _LATER, (10004, 16021)),
        (FailureClass.RETRYABLE, "More calls are queued than a day can hold. " + _LATER, (22005,)),
    )
    for code in codes
}

CALL_NOT_IN_PROGRESS = 21220
NOT_FOUND = 20404


class TelephonyError(Exception):
    """Twilio refused, or did not answer.

    `failure` says what that means for the lead; `code` is Twilio's, when it gave one; `retry_after_s`
    is how long Twilio asked to wait. The message names what to do, and no whole phone number.
    """

    def __init__(
        self,
        message: str,
        *,
        failure: FailureClass,
        code: int | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.code = code
        self.http_status = http_status
        self.retry_after_s = retry_after_s


class NotFound(TelephonyError):
    """Twilio knows nothing of that name, or not yet: what was just made can take a moment to appear."""


class Refusal(Exception):
    """Twilio answered with something else than success; not yet judged."""

    def __init__(self, http_status: int, code: int | None, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{http_status}, code {code}")
        self.http_status = http_status
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s


class NoAnswer(Exception):
    """No answer that can be read. `sent`: the request may have reached Twilio."""

    def __init__(self, *, sent: bool, reason: str) -> None:
        super().__init__(reason)
        self.sent = sent
        self.reason = reason


def judge(cause: Refusal | NoAnswer, doing: str, *, creates: bool) -> TelephonyError:
    """The error for `cause`. `doing` completes "could not …"; `creates`: doing it twice would make two."""
    if isinstance(cause, NoAnswer):
        return _judge_silence(cause, doing, creates=creates)
    meaning = _meaning(cause, creates=creates)
    code = f", code {cause.code}" if cause.code is not None else ""
    said = f": {masked(cause.text)}" if cause.text else ""
    kind = NotFound if cause.http_status == HTTPStatus.NOT_FOUND and not creates else TelephonyError
    return kind(
        f"could not {doing}: Twilio answered {cause.http_status}{code}{said.rstrip('.')}. {meaning.advice}",
        failure=meaning.failure,
        code=cause.code,
        http_status=cause.http_status,
        retry_after_s=cause.retry_after_s,
    )


def _meaning(refusal: Refusal, *, creates: bool) -> _Meaning:
    status = refusal.http_status
    if status >= 500:
        if creates:
            return _Meaning(
                FailureClass.AMBIGUOUS, "The call may have been made: Twilio is asked before anything else."
            )
        return _Meaning(FailureClass.RETRYABLE, _LATER)
    if refusal.code in _MEANINGS:
        return _MEANINGS[refusal.code]
    match status:
        case HTTPStatus.TOO_MANY_REQUESTS:
            return _MEANINGS[20429]
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_EARLY:
            return _Meaning(FailureClass.RETRYABLE, _LATER)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return _Meaning(FailureClass.CONFIGURATION, _CREDENTIALS)
        case HTTPStatus.NOT_FOUND if not creates:
            return _Meaning(FailureClass.RETRYABLE, "It does not exist, or not yet.")
    if status < 400:
        return _Meaning(FailureClass.CONFIGURATION, "Check TWILIO_API_BASE_URL: it answers with a redirection.")
    if refusal.code is None:
        return _Meaning(
            FailureClass.CONFIGURATION, "That is not how Twilio refuses: check TWILIO_API_BASE_URL and the account SID."
        )
    return _Meaning(
        FailureClass.CONFIGURATION, f"See https://www.twilio.com/docs/api/errors/{refusal.code} for what to mend."
    )


def _judge_silence(cause: NoAnswer, doing: str, *, creates: bool) -> TelephonyError:
    if cause.sent and creates:
        return TelephonyError(
            f"no answer from Twilio after asking to {doing} ({cause.reason}): the call may have been made",
            failure=FailureClass.AMBIGUOUS,
        )
    where = "" if cause.sent else "; nothing was sent. Check the network and TWILIO_API_BASE_URL"
    return TelephonyError(f"could not {doing}: {cause.reason}{where}", failure=FailureClass.RETRYABLE)


_PHONE = re.compile(r"(?<![0-9A-Za-z])(\+?|%2B)(\d{8,15})(?![0-9A-Za-z])")


def masked(text: str) -> str:
    """`text` with every phone number in it shortened, so that it may be logged."""
    return _PHONE.sub(lambda found: mask("+" + found[2]), text)
