"""Callbacks as facts: nothing lost, nothing made up, and one event counted once."""

from datetime import UTC, datetime

import pytest

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus
from breeze_buddy.domain.recording import RecordingFacts, RecordingStatus
from breeze_buddy.telephony.callbacks import (
    AmdCallback,
    MalformedCallback,
    RecordingCallback,
    StatusCallback,
    dedupe_key,
)

AT = datetime(2026, 7, 21, 12, 0, 5, tzinfo=UTC)
TIMESTAMP = "Tue, 21 Jul 2026 12:00:05 +0000"


def status(word, **fields):
    """The fields of a status callback, as Twilio posts them."""
    return {
        "CallSid": "CA1",
        "AccountSid": "AC1",
        "From": "+14155550100",
        "To": "+14155550123",
        "Direction": "outbound-api",
        "ApiVersion": "2010-04-01",
        "CallbackSource": "call-progress-events",
        "CallStatus": word,
        "Timestamp": TIMESTAMP,
        "SequenceNumber": "2",
        **fields,
    }


@pytest.mark.parametrize(
    ("word", "its_time"),
    [
        ("initiated", "initiated_at"),
        ("ringing", "ringing_at"),
        ("in-progress", "answered_at"),
        ("completed", "ended_at"),
        ("busy", "ended_at"),
        ("no-answer", "ended_at"),
        ("failed", "ended_at"),
        ("canceled", "ended_at"),
    ],
)
def test_each_status_tells_its_own_time(word, its_time):
    callback = StatusCallback.parse(status(word))
    assert callback.facts() == CallFacts(status=CallStatus(word), sequence=2, sid="CA1", **{its_time: AT})
    assert callback.ignored == ()


def test_a_queued_call_has_no_time_yet():
    assert StatusCallback.parse(status("queued")).facts() == CallFacts(CallStatus.QUEUED, sequence=2, sid="CA1")


def test_the_end_of_a_call_tells_length_and_codes():
    facts = StatusCallback.parse(
        status("completed", CallDuration="65", Duration="2", SipResponseCode="200", AnsweredBy="machine_end_beep")
    ).facts()
    assert (facts.duration_s, facts.sip_code, facts.answered_by) == (65, 200, AnsweredBy.MACHINE)
    busy = StatusCallback.parse(status("busy", CallDuration="0", SipResponseCode="486", ErrorCode="32005")).facts()
    assert (busy.duration_s, busy.sip_code, busy.error_code) == (0, 486, 32005)


def test_another_time_zone_is_the_same_moment():
    callback = StatusCallback.parse(status("ringing", Timestamp="Tue, 21 Jul 2026 05:00:05 -0700"))
    assert callback.facts().ringing_at == AT


def test_a_status_nobody_knows_changes_nothing_and_is_said():
    callback = StatusCallback.parse(status("teleporting"))
    assert callback.facts() == CallFacts(sid="CA1")
    assert callback.ignored == ("CallStatus 'teleporting' is not a status we know",)
    before = CallFacts(CallStatus.RINGING, sequence=1, sid="CA1")
    assert before.merge(callback.facts()) == before


def test_a_field_that_cannot_be_read_does_not_hide_the_end_of_a_call():
    odd = status("completed", Timestamp="yesterday", CallDuration="long", SequenceNumber="last", SipResponseCode="²")
    callback = StatusCallback.parse(odd)
    assert callback.facts() == CallFacts(CallStatus.COMPLETED, sid="CA1")
    assert [reason.split()[0] for reason in callback.ignored] == [
        "SequenceNumber",
        "Timestamp",
        "CallDuration",
        "SipResponseCode",
    ]


@pytest.mark.parametrize(
    ("kind", "form", "missing"),
    [
        (StatusCallback, {}, ("CallSid", "CallStatus")),
        (StatusCallback, {"CallSid": "CA1"}, ("CallStatus",)),
        (StatusCallback, {"CallSid": "", "CallStatus": "busy"}, ("CallSid",)),
        (RecordingCallback, {"CallSid": "CA1"}, ("RecordingSid", "RecordingStatus")),
        (AmdCallback, {"CallSid": "CA1"}, ("AnsweredBy",)),
    ],
)
def test_a_callback_about_nothing_names_what_is_missing(kind, form, missing):
    with pytest.raises(MalformedCallback) as caught:
        kind.parse(form)
    assert caught.value.fields == missing
    assert all(name in str(caught.value) for name in missing)


def test_fields_by_our_own_names_are_not_believed():
    callback = StatusCallback.parse(status("busy", sequence="9", duration_s="9", ignored="x", call_sid="CA9"))
    assert callback.facts() == StatusCallback.parse(status("busy")).facts()
    assert callback.ignored == ()


RECORDING = {
    "AccountSid": "AC1",
    "CallSid": "CA1",
    "RecordingSid": "RE1",
    "RecordingUrl": "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1",
    "RecordingStatus": "completed",
    "RecordingDuration": "61",
    "RecordingChannels": "2",
    "RecordingStartTime": TIMESTAMP,
    "RecordingSource": "OutboundAPI",
    "ErrorCode": "0",
}


def test_a_recording_is_told_with_all_its_facts():
    assert RecordingCallback.parse(RECORDING).facts() == RecordingFacts(
        sid="RE1",
        call_sid="CA1",
        status=RecordingStatus.COMPLETED,
        url=RECORDING["RecordingUrl"],
        duration_s=61,
        channels=2,
        started_at=AT,
        error_code=0,
    )


def test_a_recording_that_will_not_be_is_told():
    facts = RecordingCallback.parse(
        {"CallSid": "CA1", "RecordingSid": "RE1", "RecordingStatus": "absent", "RecordingUrl": ""}
    ).facts()
    assert facts == RecordingFacts("RE1", "CA1", RecordingStatus.ABSENT)
    assert facts.status is not None
    assert facts.status.is_final


def test_a_recording_status_nobody_knows_is_none():
    callback = RecordingCallback.parse({**RECORDING, "RecordingStatus": "melted"})
    assert callback.facts().status is None
    assert callback.ignored == ("RecordingStatus 'melted' is not a status we know",)


@pytest.mark.parametrize(
    ("word", "who"),
    [
        ("human", AnsweredBy.HUMAN),
        ("machine_start", AnsweredBy.MACHINE),
        ("machine_end_beep", AnsweredBy.MACHINE),
        ("machine_end_silence", AnsweredBy.MACHINE),
        ("machine_end_other", AnsweredBy.MACHINE),
        ("fax", AnsweredBy.FAX),
        ("unknown", AnsweredBy.UNKNOWN),
        ("robot", AnsweredBy.UNKNOWN),
    ],
)
def test_who_answered_is_folded_into_our_words(word, who):
    callback = AmdCallback.parse({"CallSid": "CA1", "AnsweredBy": word, "MachineDetectionDuration": "2300"})
    assert callback.facts() == CallFacts(sid="CA1", answered_by=who)
    assert callback.detection_ms == 2300
    assert bool(callback.ignored) is (word == "robot")


def test_one_event_delivered_again_has_the_same_key():
    form = status("completed")
    again = dict(reversed(form.items()))
    assert dedupe_key(form, "token-1") == dedupe_key(again, "token-1") == dedupe_key(list(form.items()), "token-1")
    assert dedupe_key(form, None) == dedupe_key(form, None)


def test_the_unsigned_header_cannot_make_an_event_new():
    assert dedupe_key(status("completed"), "token-1") == dedupe_key(status("completed"), "token-2")
    assert dedupe_key(RECORDING, "token-1") == dedupe_key(RECORDING, None)


def test_events_that_look_alike_are_told_apart_by_their_token():
    continued = {"CallSid": "CA1", "CallStatus": "in-progress"}
    assert dedupe_key(continued, "token-1") != dedupe_key(continued, "token-2")


@pytest.mark.parametrize(
    "other",
    [
        status("busy"),
        status("completed", SequenceNumber="3"),
        status("completed", CallSid="CA2"),
        status("completed", More=""),
        RECORDING,
    ],
)
def test_another_event_has_another_key(other):
    assert dedupe_key(other, "token-1") != dedupe_key(status("completed"), "token-1")


def test_where_a_field_ends_matters_to_the_key():
    assert dedupe_key({"a": "bc"}, None) != dedupe_key({"ab": "c"}, None)
