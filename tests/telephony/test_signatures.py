"""Only what Twilio signed is taken; checked against Twilio's own validator."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from breeze_buddy.telephony.signatures import SignatureCheck

TOKEN = "an auth token"
PUBLIC = "https://calls.example.com"
PATH = "/agent/voice/breeze-buddy/twilio/callback/status?lead=l%C3%A9&call=c1"
FORM = {"CallSid": "CA1", "CallStatus": "completed", "To": "+14155550123", "Empty": "", "Name": "Zoë & co"}


def signed(url=PUBLIC + PATH, form=FORM, token=TOKEN):
    return RequestValidator(token).compute_signature(url, form)


@pytest.fixture
def check():
    return SignatureCheck(TOKEN, PUBLIC)


def test_what_twilio_signed_is_valid(check):
    assert check.is_valid(PATH, FORM, signed())
    assert check.is_valid(PATH, list(FORM.items()), signed())


def test_the_order_of_fields_does_not_matter(check):
    assert check.is_valid(PATH, list(reversed(FORM.items())), signed())


def test_nothing_to_post_is_signed_by_the_address_alone(check):
    assert check.is_valid(PATH, {}, signed(form={}))


@pytest.mark.parametrize("signature", [None, "", "x", "é", signed()[:-1], signed() + "=", signed(token="another")])
def test_any_other_signature_is_refused(check, signature):
    assert not check.is_valid(PATH, FORM, signature)


@pytest.mark.parametrize(
    "form",
    [
        {**FORM, "CallStatus": "busy"},
        {**FORM, "More": "1"},
        {name: value for name, value in FORM.items() if name != "To"},
        {},
    ],
)
def test_an_altered_form_is_refused(check, form):
    assert not check.is_valid(PATH, form, signed())


@pytest.mark.parametrize("path", [PATH.replace("c1", "c2"), PATH + "&x=1", PATH.split("?")[0], "/"])
def test_another_address_is_refused(check, path):
    assert not check.is_valid(path, FORM, signed())


@settings(deadline=None, derandomize=True)
@given(
    fields=st.dictionaries(st.text(min_size=1), st.text(), max_size=6),
    name=st.text(min_size=1),
    value=st.text(),
)
def test_every_form_agrees_with_twilios_validator(fields, name, value):
    check = SignatureCheck(TOKEN, PUBLIC)
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + PATH, fields)
    assert check.is_valid(PATH, fields, signature)
    assert RequestValidator(TOKEN).validate(PUBLIC + PATH, fields, signature)
    changed = {**fields, name: value}
    assert check.is_valid(PATH, changed, signature) == RequestValidator(TOKEN).validate(
        PUBLIC + PATH, changed, signature
    )


@pytest.mark.parametrize(
    ("public_url", "twilio_asked_for"),
    [
        ("https://calls.example.com", "https://calls.example.com:443"),
        ("https://calls.example.com:443", "https://calls.example.com"),
        ("https://calls.example.com/", "https://calls.example.com"),
        ("http://calls.example.com", "http://calls.example.com:80"),
        ("https://calls.example.com:8443", "https://calls.example.com:8443"),
        ("https://calls.example.com/buddy", "https://calls.example.com/buddy"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("wss://calls.example.com", "wss://calls.example.com:443"),
    ],
)
def test_the_public_address_counts_behind_a_proxy(public_url, twilio_asked_for):
    check = SignatureCheck(TOKEN, public_url)
    assert check.is_valid(PATH, FORM, signed(twilio_asked_for + PATH))


@pytest.mark.parametrize(
    "what_the_application_saw",
    ["http://calls.example.com", "https://10.0.0.7:8000", "https://calls.example.com:8443", "https://evil.example"],
)
def test_an_address_that_is_not_public_is_refused(check, what_the_application_saw):
    assert not check.is_valid(PATH, FORM, signed(what_the_application_saw + PATH))


def test_a_port_of_its_own_is_not_left_out(check):
    own_port = SignatureCheck(TOKEN, "https://calls.example.com:8443")
    assert not own_port.is_valid(PATH, FORM, signed("https://calls.example.com" + PATH))


def test_a_field_that_comes_twice_counts_each_value_once(check):
    pairs = [("Event", "b"), ("Event", "a"), ("Event", "a")]

    class Form(dict):
        def getall(self, name):
            return [value for key, value in pairs if key == name]

    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + PATH, Form({"Event": "a"}))
    assert check.is_valid(PATH, pairs, signature)
    assert check.is_valid(PATH, pairs[:2], signature)
    assert not check.is_valid(PATH, pairs[1:], signature)


def test_without_an_auth_token_nothing_is_valid():
    assert not SignatureCheck("", PUBLIC).is_valid(PATH, FORM, signed(token=""))


@pytest.mark.parametrize("public_url", ["", "calls.example.com", "ftp://calls.example.com", "https://x.example/?a=1"])
def test_a_public_address_that_is_none_is_said_so(public_url):
    with pytest.raises(ValueError, match=r"public URL|query"):
        SignatureCheck(TOKEN, public_url)
