"""Requests to the customer: signed as Twilio's own validator wants, retried as the URL's fragment says."""

import asyncio

import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from breeze_buddy.simulator.signatures import sign
from breeze_buddy.simulator.webhooks import Overrides, Webhooks, overrides_of

TOKEN = "token-of-the-tests"
FORM = [("To", "+1415"), ("From", "+44 20"), ("Empty", ""), ("Ünicode", "straße & more"), ("AnsweredBy", "human")]


@pytest.fixture
async def webhooks():
    webhooks = Webhooks(TOKEN)
    await webhooks.start()
    yield webhooks
    await webhooks.stop()


@pytest.mark.parametrize(
    "path", ["/hook", "/hook?lead=7&attempt=1", "/hook?q=a%20b%2Fc&empty=", "/h%C3%BC/x#rc=2&rp=all", "/hook/"]
)
async def test_twilios_validator_accepts_what_is_signed_and_refuses_what_is_altered(webhooks, customer, path):
    await webhooks.request("POST", customer.url(path), FORM)
    [request] = customer.received
    validator = RequestValidator(TOKEN)
    signature = request.headers["X-Twilio-Signature"]
    assert request.form == dict(FORM)
    assert validator.validate(request.url, request.form, signature)
    assert not validator.validate(request.url + "x", request.form, signature)
    assert not validator.validate(request.url, request.form | {"To": "+1416"}, signature)
    assert not validator.validate(request.url, request.form | {"More": "1"}, signature)
    assert not RequestValidator("another").validate(request.url, request.form, signature)


async def test_a_get_is_signed_over_its_query(webhooks, customer):
    await webhooks.request("GET", customer.url("/hook?lead=7"), FORM)
    [request] = customer.received
    assert "To=%2B1415" in request.url
    assert RequestValidator(TOKEN).validate(request.url, {}, request.headers["X-Twilio-Signature"])


def test_a_value_repeated_under_one_name_counts_once():
    once, twice = [("Event", "a"), ("Event", "b")], [("Event", "b"), ("Event", "a"), ("Event", "b")]
    assert sign(TOKEN, "http://h/p", once) == sign(TOKEN, "http://h/p", twice)


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", Overrides()),
        ("#rc=3&rp=all", Overrides(3, frozenset({"4xx", "5xx", "ct", "rt"}))),
        ("#rc=9&rp=5xx,rt&ct=50&rt=200&tt=99999", Overrides(5, frozenset({"5xx", "rt"}), 0.1, 0.2, 15.0)),
        ("#section", Overrides()),
    ],
)
def test_the_fragment_is_read_within_its_limits(fragment, expected):
    assert overrides_of("http://host/path" + fragment) == expected


@pytest.mark.parametrize(("fragment", "attempts"), [("", 1), ("#rc=2", 1), ("#rc=2&rp=5xx", 3), ("#rc=2&rp=4xx", 1)])
async def test_an_error_answer_is_retried_only_when_the_fragment_says_so(webhooks, customer, fragment, attempts):
    async def fail(_):
        return web.Response(status=500)

    customer.answers["/hook"] = fail
    answer = await webhooks.request("POST", customer.url("/hook" + fragment), FORM)
    assert answer.attempts == ["500"] * attempts
    tokens = {request.headers["I-Twilio-Idempotency-Token"] for request in customer.received}
    assert len(customer.received) == attempts
    assert len(tokens) == 1, "the same token on each retry"


async def test_nobody_listening_is_retried_once_by_default(webhooks):
    answer = await webhooks.request("POST", "http://127.0.0.1:9/hook", FORM)
    assert answer.status is None
    assert len(answer.attempts) == 2
    assert len((await webhooks.request("POST", "http://127.0.0.1:9/hook#rc=0", FORM)).attempts) == 1


async def test_a_receiver_that_does_not_answer_is_given_up(webhooks, customer):
    released = asyncio.Event()

    async def hang(_):
        await released.wait()
        return web.Response()

    customer.answers["/hook"] = hang
    answer = await webhooks.request("POST", customer.url("/hook#rt=200"), FORM)
    released.set()
    assert not answer.is_ok
    assert answer.error is not None
    assert len(answer.attempts) == 1
