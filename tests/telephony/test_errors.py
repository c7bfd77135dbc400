"""What a refusal, or silence, means for the lead and its campaign; and that a call is asked for once."""

import logging
import socket
from datetime import UTC, datetime

import pytest

from breeze_buddy.domain.call import FailureClass
from breeze_buddy.telephony.client import Twilio
from breeze_buddy.telephony.errors import NotFound, TelephonyError, masked

TABLE = {
    FailureClass.PERMANENT: [21211, 21214, 21216, 21217, 13223, 13224],
    FailureClass.CONFIGURATION: [20003, 10001, 21205, 21210, 21212, 21215, 13227, 21218, 21609, 21626],
    FailureClass.NOT_PERMITTED: [21219],
    FailureClass.RETRYABLE: [20429, 10004, 16021, 22005],
}
CODES = [(code, failure) for failure, codes in TABLE.items() for code in codes]


@pytest.mark.parametrize(("code", "failure"), CODES)
async def test_each_known_code_has_its_class(other_end, twilio, call, code, failure):
    other_end.will_refuse(code, {20003: 401, 20429: 429}.get(code, 400), "Twilio's own words.")
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is failure
    assert caught.value.code == code
    assert str(code) in str(caught.value)
    assert "Twilio's own words" in str(caught.value)
    assert len(other_end.asked) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_leaves_open_whether_there_is_a_call(other_end, twilio, call, status):
    other_end.will_refuse(20500, status)
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.AMBIGUOUS
    assert caught.value.http_status == status
    assert len(other_end.asked) == 1


async def test_even_a_known_code_is_ambiguous_in_a_server_error(other_end, twilio, call):
    other_end.will_refuse(21211, 500)
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.AMBIGUOUS


async def test_silence_after_asking_is_ambiguous(other_end, call):
    other_end.will_keep_silent()
    async with Twilio(other_end.account, other_end.token, other_end.url, timeout_s=0.3) as twilio:
        with pytest.raises(TelephonyError, match=r"no answer within 0\.3 s") as caught:
            await twilio.place_call(call)
    assert caught.value.failure is FailureClass.AMBIGUOUS
    assert len(other_end.asked) == 1


async def test_a_connection_that_breaks_after_asking_is_ambiguous_and_not_asked_again(other_end, twilio, call):
    other_end.will_reset()
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.AMBIGUOUS
    assert len(other_end.asked) == 1


async def test_a_kept_connection_that_breaks_is_ambiguous_and_not_asked_again(other_end, twilio, call):
    other_end.will_answer(201, {"sid": "CA1"})
    other_end.will_reset()
    await twilio.place_call(call)
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.AMBIGUOUS
    assert len(other_end.asked) == 2


@pytest.mark.parametrize("text", ["<html>welcome</html>", "", "[]"])
async def test_success_that_cannot_be_read_is_ambiguous(other_end, twilio, call, text):
    other_end.will_say(201, text)
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.AMBIGUOUS


async def test_success_that_names_no_call_is_ambiguous(other_end, twilio, call):
    other_end.will_answer(201, {"status": "queued"})
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.AMBIGUOUS


async def test_a_refused_connection_made_no_call(call):
    with socket.socket() as taken:  # bound, so that nobody else listens there; not listening itself
        taken.bind(("127.0.0.1", 0))
        async with Twilio("AC1", "token", f"http://127.0.0.1:{taken.getsockname()[1]}") as twilio:
            with pytest.raises(TelephonyError, match="nothing was sent") as caught:
                await twilio.place_call(call)
    assert caught.value.failure is FailureClass.RETRYABLE


async def test_a_failed_handshake_made_no_call(other_end, call):
    async with Twilio("AC1", "token", other_end.url.replace("http:", "https:")) as twilio:
        with pytest.raises(TelephonyError, match="nothing was sent") as caught:
            await twilio.place_call(call)
    assert caught.value.failure is FailureClass.RETRYABLE
    assert other_end.asked == []


async def test_a_handshake_that_never_ends_made_no_call(call):
    with socket.socket() as deaf:  # the system accepts for it; nobody ever answers the handshake
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        async with Twilio("AC1", "token", f"https://127.0.0.1:{deaf.getsockname()[1]}", timeout_s=0.3) as twilio:
            with pytest.raises(TelephonyError, match="nothing was sent") as caught:
                await twilio.place_call(call)
    assert caught.value.failure is FailureClass.RETRYABLE


async def test_too_many_requests_says_how_long_to_wait(other_end, twilio, call):
    other_end.will_refuse(20429, 429, **{"Retry-After": "7"})
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.RETRYABLE
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (302, FailureClass.CONFIGURATION),
        (400, FailureClass.CONFIGURATION),
        (401, FailureClass.CONFIGURATION),
        (403, FailureClass.CONFIGURATION),
        (404, FailureClass.CONFIGURATION),
        (408, FailureClass.RETRYABLE),
        (429, FailureClass.RETRYABLE),
        (502, FailureClass.AMBIGUOUS),
    ],
)
async def test_an_answer_that_is_not_twilios_is_judged_by_its_status(other_end, twilio, call, status, failure):
    other_end.will_say(status, "<html>proxy</html>")
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    assert caught.value.failure is failure
    assert caught.value.code is None
    assert len(other_end.asked) == 1


async def test_an_unknown_refusal_stops_the_campaign_rather_than_the_lead(other_end, twilio, call):
    other_end.will_refuse(29999, 400)
    with pytest.raises(TelephonyError, match="29999") as caught:
        await twilio.place_call(call)
    assert caught.value.failure is FailureClass.CONFIGURATION


async def test_without_credentials_nothing_is_sent(other_end, call):
    async with Twilio("", "", other_end.url) as twilio:
        with pytest.raises(TelephonyError, match="TWILIO_ACCOUNT_SID") as caught:
            await twilio.place_call(call)
    assert caught.value.failure is FailureClass.CONFIGURATION
    assert other_end.asked == []


@pytest.mark.parametrize("status", [500, 503])
async def test_looking_up_is_never_ambiguous(other_end, twilio, status):
    other_end.will_refuse(20500, status)
    with pytest.raises(TelephonyError) as caught:
        await twilio.fetch_call("CA1")
    assert caught.value.failure is FailureClass.RETRYABLE


async def test_a_lost_connection_while_looking_up_is_tried_later(other_end, twilio):
    other_end.will_reset()
    other_end.will_reset()  # looking twice is harmless, and the HTTP library does so by itself
    with pytest.raises(TelephonyError) as caught:
        await twilio.fetch_call("CA1")
    assert caught.value.failure is FailureClass.RETRYABLE


async def test_what_twilio_does_not_know_is_not_found(other_end, twilio):
    other_end.will_refuse(20404, 404)
    with pytest.raises(NotFound):
        await twilio.fetch_call("CA1")


async def test_no_log_and_no_error_holds_a_whole_number(other_end, twilio, call, caplog):
    caplog.set_level(logging.DEBUG)
    other_end.will_refuse(21219, message=f"The number {call.to} is unverified")
    other_end.will_answer(200, {"calls": []})
    with pytest.raises(TelephonyError) as caught:
        await twilio.place_call(call)
    await twilio.find_calls(call.to, call.from_, since=datetime.now(UTC))
    said = str(caught.value) + caplog.text
    assert call.to[1:] not in said
    assert "+14…0123" in str(caught.value)
    assert other_end.token not in said


def test_masking_leaves_codes_and_sids_alone():
    text = "code 21219, CA0123456789abcdef, call %2B14155550123 or 919876543210"
    assert masked(text) == "code 21219, CA0123456789abcdef, call +14…0123 or +91…3210"
