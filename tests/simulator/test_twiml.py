"""TwiML documents become verbs, or an error with Twilio's code."""

import pytest

from breeze_buddy.simulator import twiml
from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.join_settings import JoinSettings

VERBS = {
    "<Say>  Hello\n  there </Say>": [twiml.Say("Hello there")],
    '<Say voice="alice" loop="2">Hi</Say>': [twiml.Say("Hi", 2)],
    "<Play>http://a/b.wav</Play>": [twiml.Play("http://a/b.wav")],
    '<Play digits="12"/>': [twiml.Play("", 1, "12")],
    "<Pause/>": [twiml.Pause(1.0)],
    '<Pause length="3"/>': [twiml.Pause(3.0)],
    "<Redirect>/next</Redirect>": [twiml.Redirect("/next")],
    '<Redirect method="GET">/next</Redirect>': [twiml.Redirect("/next", "GET")],
    "<Hangup/>": [twiml.Hangup()],
    "<Say>a</Say><Hangup/>": [twiml.Say("a"), twiml.Hangup()],
    "": [],
    '<Connect action="/done"><Stream url=" wss://h/s " name="n"><Parameter name="a" value="1"/></Stream></Connect>': [
        twiml.ConnectStream("wss://h/s", "n", (("a", "1"),), action="/done")
    ],
    '<Start><Recording channels="mono" recordingStatusCallback="/r"/></Start>': [
        twiml.StartRecording(1, "both", "/r", "POST", ("completed",))
    ],
    "<Stop><Recording/></Stop>": [twiml.StopRecording()],
    "<Reject/>": [twiml.Reject()],
    '<Reject reason="busy"/>': [twiml.Reject("busy")],
    '<Gather numDigits="1" timeout="3"><Say>Hi</Say></Gather>': [
        twiml.Gather((twiml.Say("Hi"),), num_digits=1, timeout_s=3.0)
    ],
    "<Dial>+14155551111</Dial>": [twiml.Dial(numbers=(twiml.DialledNumber("+14155551111"),))],
    '<Dial action="/d"><Conference waitUrl="" endConferenceOnExit="true" beep="false">a</Conference></Dial>': [
        twiml.Dial(JoinSettings("a", wait_url="", end_on_exit=True, beep="false"), action="/d")
    ],
}

LONG_PARAMETER = (
    f'<Response><Connect><Stream url="wss://h"><Parameter name="a" value="{"x" * 499}"/></Stream></Connect></Response>'
)

ERRORS = {
    "not xml": 12100,
    "<Response>": 12100,
    "<response/>": 12100,
    "": 12100,
    "<Response><Dance/></Response>": 12200,
    "<Response><say>small letters</say></Response>": 12200,
    "<Response><Connect/></Response>": 12200,
    "<Response><Connect><Say>a</Say></Connect></Response>": 12200,
    '<Response><Pause length="long"/></Response>': 12200,
    '<Response><Redirect method="PUT">/a</Redirect></Response>': 12200,
    "<Response><Dial/></Response>": 12200,
    "<Response><Dial><Conference/></Dial></Response>": 12200,
    "<Response><Dial><Sip>a@b</Sip></Dial></Response>": 12200,
    '<Response><Dial><Conference statusCallbackEvent="dance">a</Conference></Dial></Response>': 12200,
    '<Response><Reject reason="tired"/></Response>': 12200,
    '<Response><Gather input="speech"/></Response>': 12200,
    "<Response><Gather><Hangup/></Gather></Response>": 12200,
    LONG_PARAMETER: 31920,
}


@pytest.mark.parametrize("inside", VERBS, ids=lambda inside: inside[:40])
def test_verbs_are_read_as_written(inside):
    assert twiml.parse(f"<Response>{inside}</Response>") == VERBS[inside]


@pytest.mark.parametrize("document", ERRORS, ids=lambda document: document[:40])
def test_what_is_not_twiml_is_refused_with_its_code(document):
    with pytest.raises(CallFault) as caught:
        twiml.parse(document)
    assert caught.value.code == ERRORS[document]


@pytest.mark.parametrize(
    ("url", "insecure", "fine"),
    [
        ("wss://host/path", False, True),
        ("wss://host/path?lead=1", False, False),
        ("ws://host/path", False, False),
        ("ws://host/path", True, True),
        ("https://host/path", True, False),
        ("", True, False),
    ],
)
def test_stream_urls_follow_the_rules(url, insecure, fine):
    if fine:
        twiml.check_stream_url(url, allow_insecure=insecure)
        return
    with pytest.raises(CallFault) as caught:
        twiml.check_stream_url(url, allow_insecure=insecure)
    assert caught.value.code == 31920


def test_a_relative_url_needs_a_document_with_a_url():
    assert twiml.resolve("http://host/a/b", "c") == "http://host/a/c"
    with pytest.raises(CallFault):
        twiml.resolve(None, "/c")
