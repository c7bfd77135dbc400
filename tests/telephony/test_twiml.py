"""What a call does, as Twilio reads it."""

import xml.etree.ElementTree as ElementTree

import pytest

from breeze_buddy.telephony import twiml

STREAM = "wss://media.example.com/agent/voice/breeze-buddy/ws/twilio"
CONTINUE = "https://calls.example.com/continue?lead=1&call=2"


def verbs(text):
    """Markup as nested (name, attributes, text, children)."""

    def read(element):
        return element.tag, dict(element.attrib), element.text, [read(child) for child in element]

    return [read(verb) for verb in ElementTree.fromstring(text)]


def test_a_stream_carries_its_parameters_and_has_a_way_back():
    text = twiml.stream(STREAM, {"lead_id": "l1", "call_id": "c1", "token": "a.b.c"}, CONTINUE)
    parameters = [
        ("Parameter", {"name": "lead_id", "value": "l1"}, None, []),
        ("Parameter", {"name": "call_id", "value": "c1"}, None, []),
        ("Parameter", {"name": "token", "value": "a.b.c"}, None, []),
    ]
    assert verbs(text) == [
        ("Connect", {}, None, [("Stream", {"url": STREAM}, None, parameters)]),
        ("Redirect", {"method": "POST"}, CONTINUE, []),
    ]


def test_a_stream_can_be_waited_for():
    [pause, connect, redirect] = verbs(twiml.stream(STREAM, {}, CONTINUE, pause_s=2))
    assert pause == ("Pause", {"length": "2"}, None, [])
    assert [connect[0], redirect[0]] == ["Connect", "Redirect"]


def test_markup_in_a_value_stays_a_value():
    nasty = """"/><Hangup/>&é'"""
    [connect, _] = verbs(twiml.stream(STREAM, {"name": nasty}, CONTINUE))
    assert connect[3][0][3] == [("Parameter", {"name": "name", "value": nasty}, None, [])]


def test_a_call_can_be_ended():
    assert verbs(twiml.hang_up()) == [("Hangup", {}, None, [])]


def test_an_apology_is_said_and_the_call_ends():
    assert verbs(twiml.apology("Sorry <about> that & goodbye.")) == [
        ("Say", {}, "Sorry <about> that & goodbye.", []),
        ("Hangup", {}, None, []),
    ]


@pytest.mark.parametrize("url", [STREAM + "?lead=1", STREAM + "?", STREAM + "#x"])
def test_a_query_on_the_stream_is_refused_before_twilio_does(url):
    with pytest.raises(twiml.TwimlError, match="31920"):
        twiml.stream(url, {}, CONTINUE)


@pytest.mark.parametrize("url", ["https://media.example.com/ws", "media.example.com/ws", "wss:///ws", ""])
def test_an_address_that_is_no_stream_is_refused(url):
    with pytest.raises(twiml.TwimlError, match="wss://"):
        twiml.stream(url, {}, CONTINUE)


def test_a_parameter_fits_just_below_500_characters():
    twiml.stream(STREAM, {"token": "x" * 494}, CONTINUE)
    with pytest.raises(twiml.TwimlError, match="'token' has 500"):
        twiml.stream(STREAM, {"token": "x" * 495}, CONTINUE)


def test_markup_is_at_most_4000_characters():
    spare = 4000 - len(twiml.apology("x")) + 1
    assert len(twiml.apology("x" * spare)) == 4000
    with pytest.raises(twiml.TwimlError, match="4001 characters"):
        twiml.apology("x" * (spare + 1))
