"""The wire protocol against tables of messages, and against anything at all."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeze_buddy.media import twilio
from breeze_buddy.media.twilio import StreamReader, StreamWriter, WireError
from tests.media.fakes import StreamMessages


def started() -> tuple[StreamReader, StreamMessages]:
    reader, messages = StreamReader(), StreamMessages()
    reader.receive(messages.connected().encode())
    reader.receive(messages.start().encode())
    return reader, messages


def test_a_stream_is_read_from_connected_to_stop() -> None:
    reader, messages = StreamReader(), StreamMessages()
    sent = [
        messages.connected(),
        messages.start(),
        messages.media(b"\x00\x7f\xff"),
        messages.dtmf("#"),
        messages.mark("m1"),
        messages.stop(),
    ]
    events = [reader.receive(message.encode()) for message in sent]
    assert [type(event).__name__ for event in events] == ["Connected", "Start", "Media", "Dtmf", "Mark", "Stop"]
    start, media, dtmf = events[1], events[2], events[3]
    assert isinstance(start, twilio.Start)
    assert start.start.custom_parameters["token"] == "good"
    assert start.start.call_sid == "CA1"
    assert isinstance(media, twilio.Media)
    assert media.media.payload == b"\x00\x7f\xff"
    assert isinstance(dtmf, twilio.Dtmf)
    assert dtmf.dtmf.digit == "#"


MEDIA: dict[str, Any] = {
    "event": "media",
    "sequenceNumber": "2",
    "streamSid": "MZ1",
    "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": "//8="},
}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "malformed"),
        ("{", "malformed"),
        ("[]", "malformed"),
        ("null", "malformed"),
        ('"media"', "malformed"),
        ("{}", "malformed"),
        ("[" * 60_000, "malformed"),
        (json.dumps({**MEDIA, "sequenceNumber": 2}), "malformed"),
        (json.dumps({**MEDIA, "sequenceNumber": "two"}), "malformed"),
        (json.dumps({**MEDIA, "sequenceNumber": "1" * 5000}), "malformed"),
        (json.dumps({**MEDIA, "media": {"payload": "not base64!"}}), "malformed"),
        (json.dumps({**MEDIA, "media": {"payload": 7}}), "malformed"),
        (json.dumps({**MEDIA, "media": {"payload": "A" * 70_000}}), "oversized"),
        (json.dumps({**MEDIA, "media": {**MEDIA["media"], "track": "outbound"}}), "unsupported_media"),
        (json.dumps({**MEDIA, "streamSid": "MZ2"}), "wrong_stream"),
        (json.dumps({**MEDIA, "sequenceNumber": "1"}), "out_of_order"),
        (json.dumps({**MEDIA, "event": "start"}), "malformed"),
        (json.dumps({**MEDIA, "event": "dtmf", "dtmf": {"digit": "12"}}), "malformed"),
        (
            json.dumps({**MEDIA, "event": "dtmf", "dtmf": {"track": "outbound_track", "digit": "1"}}),
            "unsupported_media",
        ),
        (StreamMessages().connected(), "out_of_order"),
        (StreamMessages().start(), "out_of_order"),
    ],
)
def test_a_message_that_is_wrong_is_refused_by_name(message: str, code: str) -> None:
    reader, _ = started()
    with pytest.raises(WireError) as refused:
        reader.receive(message.encode())
    assert refused.value.code == code


def test_nothing_may_come_before_start_or_after_stop() -> None:
    reader, messages = StreamReader(), StreamMessages()
    with pytest.raises(twilio.OutOfOrder, match="before start"):
        reader.receive(json.dumps(MEDIA).encode())
    with pytest.raises(twilio.OutOfOrder, match="before connected"):
        reader.receive(messages.start().encode())
    reader, messages = started()
    reader.receive(messages.stop().encode())
    with pytest.raises(twilio.OutOfOrder, match="after stop"):
        reader.receive(messages.media(b"\xff").encode())
    with pytest.raises(twilio.OutOfOrder, match="after stop"):
        reader.receive(b'{"event":"weather"}')


def test_all_kinds_of_events_share_one_sequence() -> None:
    reader, messages = started()
    reader.receive(messages.dtmf("1").encode())
    late = messages.mark("m1").encode()
    reader.receive(messages.media(b"\xff").encode())
    with pytest.raises(twilio.OutOfOrder, match="sequence number 3 after 4"):
        reader.receive(late)


def test_a_peer_may_send_late_what_its_network_held_back_but_no_flood() -> None:
    def send(allowance: twilio.Allowance, *, messages: int, of_bytes: int, age_s: float) -> None:
        for _ in range(messages):
            if allowance.exceeded(of_bytes):
                allowance.renew(age_s)

    many, long = twilio.Allowance(), twilio.Allowance()
    send(many, messages=60 * 55, of_bytes=340, age_s=60)
    send(many, messages=30 * 55, of_bytes=340, age_s=61)  # half a minute was held back
    with pytest.raises(twilio.Flooding, match="messages"):
        send(many, messages=10_000, of_bytes=100, age_s=62)
    with pytest.raises(twilio.Flooding, match="bytes"):
        send(long, messages=100, of_bytes=60_000, age_s=5)


def test_other_audio_than_the_telephones_is_refused() -> None:
    reader, messages = StreamReader(), StreamMessages()
    reader.receive(messages.connected().encode())
    with pytest.raises(twilio.UnsupportedMedia, match="16000"):
        reader.receive(messages.start().replace("8000", "16000").encode())


def test_a_new_kind_of_event_does_not_end_the_call() -> None:
    reader, messages = started()
    assert reader.receive(b'{"event":"weather","sunny":true}') == twilio.Unknown("weather")
    assert isinstance(reader.receive(messages.media(b"\xff").encode()), twilio.Media)


@pytest.mark.parametrize("sid", ["MZ1", 'M"Z\\1', "µ"])
def test_messages_out_are_json_that_names_the_stream(sid: str) -> None:
    writer = StreamWriter(sid)
    assert json.loads(writer.media(b"\xff\x00")) == {"event": "media", "streamSid": sid, "media": {"payload": "/wA="}}
    assert json.loads(writer.mark('m"1')) == {"event": "mark", "streamSid": sid, "mark": {"name": 'm"1'}}
    assert json.loads(writer.clear()) == {"event": "clear", "streamSid": sid}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
near_misses = st.builds(
    lambda event, key, value: {**MEDIA, "event": event, key: value},
    st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "other"]),
    st.sampled_from(["event", "sequenceNumber", "streamSid", "media", "start", "dtmf", "mark", "stop", "extra"]),
    json_values,
)


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.binary(max_size=200), st.builds(lambda value: json.dumps(value).encode(), near_misses | json_values))
)
def test_no_message_at_all_can_do_more_than_be_refused(message: bytes) -> None:
    reader, _ = started()
    with contextlib.suppress(WireError):
        reader.receive(message)
