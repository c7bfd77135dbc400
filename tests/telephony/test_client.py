"""What is really sent to Twilio, and what is made of its answers."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus, FailureClass
from breeze_buddy.domain.recording import RecordingStatus
from breeze_buddy.telephony.client import AnswerUrl, PlaceCall, Twilio
from breeze_buddy.telephony.errors import NotFound, TelephonyError

NOON = datetime(2026, 7, 21, 12, 0, 0, tzinfo=UTC)


def rfc2822(at):
    return at.strftime("%a, %d %b %Y %H:%M:%S +0000")


def a_call(sid="CA1", **fields):
    return {"sid": sid, "status": "queued", "date_created": rfc2822(NOON), "start_time": None, **fields}


async def test_a_call_with_its_markup_sends_these_fields(other_end, twilio, call):
    other_end.will_answer(201, a_call("CAnew"))
    assert await twilio.place_call(call) == "CAnew"
    (asked,) = other_end.asked
    assert (asked.method, asked.path) == ("POST", other_end.calls)
    credentials = base64.b64encode(f"{other_end.account}:{other_end.token}".encode()).decode()
    assert asked.authorization == f"Basic {credentials}"
    assert sorted(asked.form) == sorted(
        [
            ("To", "+14155550123"),
            ("From", "+14155550100"),
            ("Twiml", "<Response/>"),
            ("Timeout", "30"),
            ("TimeLimit", "600"),
            ("StatusCallback", "https://calls.example.com/status?lead=1&call=2"),
            ("StatusCallbackEvent", "initiated"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "completed"),
        ]
    )


async def test_a_call_answered_at_call_time_is_recorded_and_listened_to_when_wished(other_end, twilio):
    other_end.will_answer(201, a_call("CAnew"))
    await twilio.place_call(
        PlaceCall(
            to="+14155550123",
            from_="+14155550100",
            answer=AnswerUrl("https://calls.example.com/answer?x=é", "https://calls.example.com/fallback"),
            status_callback="https://calls.example.com/status",
            recording_callback="https://calls.example.com/details",
            amd_callback="https://calls.example.com/amd",
            ring_timeout_s=25,
            time_limit_s=90,
        )
    )
    (asked,) = other_end.asked
    assert asked.all("StatusCallbackEvent") == ["initiated", "ringing", "answered", "completed"]
    assert asked.all("RecordingStatusCallbackEvent") == ["completed", "absent"]
    assert asked.all("Twiml") == []
    rest = {name: value for name, value in asked.form if not name.endswith("Event")}
    assert rest == {
        "To": "+14155550123",
        "From": "+14155550100",
        "Url": "https://calls.example.com/answer?x=é",
        "FallbackUrl": "https://calls.example.com/fallback",
        "StatusCallback": "https://calls.example.com/status",
        "Record": "true",
        "RecordingChannels": "dual",
        "RecordingStatusCallback": "https://calls.example.com/details",
        "MachineDetection": "Enable",
        "AsyncAmd": "true",
        "AsyncAmdStatusCallback": "https://calls.example.com/amd",
        "Timeout": "25",
        "TimeLimit": "90",
    }


async def test_a_finished_call_is_read_as_facts(other_end, twilio):
    other_end.will_answer(
        200,
        a_call(
            status="completed",
            start_time=rfc2822(NOON),
            end_time=rfc2822(NOON + timedelta(seconds=70)),
            duration="65",
            answered_by="machine_start",
            price="-0.02",
        ),
    )
    assert await twilio.fetch_call("CA1") == CallFacts(
        status=CallStatus.COMPLETED,
        sequence=-1,
        sid="CA1",
        initiated_at=NOON,
        ended_at=NOON + timedelta(seconds=70),
        duration_s=65,
        answered_by=AnsweredBy.MACHINE,
    )
    assert other_end.asked[0].path == other_end.calls.replace("Calls.json", "Calls/CA1.json")


async def test_a_call_that_waits_has_no_times(other_end, twilio):
    other_end.will_answer(200, a_call(duration=None, end_time=None, answered_by=None))
    assert await twilio.fetch_call("CA1") == CallFacts(status=CallStatus.QUEUED, sid="CA1")


async def test_a_status_nobody_knows_is_no_status(other_end, twilio):
    other_end.will_answer(200, a_call(status="teleporting"))
    assert (await twilio.fetch_call("CA1")).status is None


async def test_an_attempt_is_found_by_its_numbers_and_time(other_end, twilio):
    old, new = NOON - timedelta(seconds=1), NOON + timedelta(seconds=30)
    other_end.will_answer(
        200,
        {
            "calls": [a_call("CAnow"), a_call("CAold", date_created=rfc2822(old))],
            "next_page_uri": "/2010-04-01/next",
        },
    )
    other_end.will_answer(200, {"calls": [a_call("CAlater", date_created=rfc2822(new), status="busy")]})
    found = await twilio.find_calls("+14155550123", "+14155550100", since=NOON + timedelta(milliseconds=900))
    assert [(call.sid, call.facts.status, call.created_at) for call in found] == [
        ("CAlater", CallStatus.BUSY, new),
        ("CAnow", CallStatus.QUEUED, NOON),
    ]
    asked = other_end.asked[0]
    assert (asked.query["To"], asked.query["From"]) == ("+14155550123", "+14155550100")


async def test_hanging_up_completes_the_call(other_end, twilio):
    other_end.will_answer(200, a_call(status="completed"))
    await twilio.hang_up("CA1")
    (asked,) = other_end.asked
    assert (asked.method, asked.form) == ("POST", [("Status", "completed")])


async def test_hanging_up_twice_is_harmless(other_end, twilio):
    other_end.will_refuse(20404, 404)
    await twilio.hang_up("CA1")
    assert len(other_end.asked) == 1


async def test_a_call_not_in_progress_is_cancelled_too(other_end, twilio):
    other_end.will_refuse(21220, 400)
    other_end.will_answer(200, a_call(status="canceled"))
    await twilio.hang_up("CA1")
    assert [asked.form for asked in other_end.asked] == [[("Status", "completed")], [("Status", "canceled")]]


async def test_a_call_that_has_ended_stays_so(other_end, twilio):
    other_end.will_refuse(21220, 400)
    other_end.will_refuse(21220, 400)
    await twilio.hang_up("CA1")


async def test_hanging_up_without_permission_is_an_error(other_end, twilio):
    other_end.will_refuse(20003, 401)
    with pytest.raises(TelephonyError) as caught:
        await twilio.hang_up("CA1")
    assert caught.value.failure is FailureClass.CONFIGURATION


A_RECORDING = {
    "sid": "RE1",
    "call_sid": "CA1",
    "status": "completed",
    "duration": "12",
    "channels": 2,
    "start_time": rfc2822(NOON),
    "media_url": "https://api.twilio.com/somewhere/else",
    "error_code": None,
}


async def test_a_recording_is_found_at_the_address_we_talk_to(other_end, twilio):
    other_end.will_answer(200, A_RECORDING)
    recording = await twilio.fetch_recording("RE1")
    assert (recording.sid, recording.call_sid, recording.status) == ("RE1", "CA1", RecordingStatus.COMPLETED)
    assert (recording.duration_s, recording.channels, recording.started_at) == (12, 2, NOON)
    assert recording.url == f"{other_end.url}/2010-04-01/Accounts/{other_end.account}/Recordings/RE1"


async def test_a_recording_that_is_not_ready_has_no_length(other_end, twilio):
    other_end.will_answer(200, {**A_RECORDING, "status": "processing", "duration": "-1"})
    recording = await twilio.fetch_recording("RE1")
    assert (recording.status, recording.duration_s) == (RecordingStatus.PROCESSING, None)


async def test_the_recordings_of_a_call_are_listed(other_end, twilio):
    other_end.will_answer(200, {"recordings": [A_RECORDING, {**A_RECORDING, "sid": "RE2"}]})
    assert [recording.sid for recording in await twilio.recordings_of("CA1")] == ["RE1", "RE2"]


async def fetched(twilio, **how):
    return b"".join([piece async for piece in twilio.download_recording("RE1", **how)])


async def test_audio_arrives_whole_and_with_two_channels(other_end, twilio):
    audio = bytes(range(256)) * 2000

    async def answer(request):
        return web.Response(body=audio, content_type="audio/x-wav")

    other_end.answers.append(answer)
    assert await fetched(twilio) == audio
    (asked,) = other_end.asked
    assert asked.path.endswith("/Recordings/RE1.wav")
    assert asked.query == {"RequestedChannels": "2"}
    assert asked.authorization is not None


async def test_a_mono_recording_is_fetched_as_it_is(other_end, twilio):
    other_end.will_refuse(21228, 400)
    other_end.will_say(200, "sound")
    assert await fetched(twilio) == b"sound"
    assert [asked.query for asked in other_end.asked] == [{"RequestedChannels": "2"}, {}]


async def test_audio_that_is_gone_is_not_found(other_end, twilio):
    other_end.will_refuse(20404, 404)
    with pytest.raises(NotFound):
        await fetched(twilio)


async def test_audio_that_breaks_off_is_an_error_and_not_a_short_file(other_end, twilio):
    async def answer(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        request.transport.close()
        return response

    other_end.answers.append(answer)
    with pytest.raises(TelephonyError) as caught:
        await fetched(twilio)
    assert caught.value.failure is FailureClass.RETRYABLE


async def test_audio_that_stops_coming_is_given_up(other_end):
    other_end.will_keep_silent()
    async with Twilio(other_end.account, other_end.token, other_end.url, timeout_s=0.3) as twilio:
        with pytest.raises(TelephonyError, match="no answer within"):
            await fetched(twilio)


@pytest.mark.parametrize("sid", ["", "../Accounts", "RE1?x=1", "CA1/../../x"])
async def test_a_name_that_is_no_sid_asks_nothing(other_end, twilio, sid):
    with pytest.raises(ValueError, match="SID"):
        await twilio.fetch_call(sid)
    with pytest.raises(ValueError, match="SID"):
        await fetched_of(twilio, sid)
    assert other_end.asked == []


async def fetched_of(twilio, sid):
    async for _ in twilio.download_recording(sid):
        pass


def test_a_client_is_made_outside_a_loop_and_used_on_one_after_another(call):
    twilio = Twilio("AC1", "token", "http://127.0.0.1:9")

    async def use():
        with pytest.raises(TelephonyError):
            await twilio.place_call(call)
        await twilio.aclose()

    asyncio.run(use())
    asyncio.run(use())


async def test_many_calls_at_once_do_not_mix_their_answers(other_end, twilio, call):
    for number in range(20):
        if number % 2:
            other_end.will_refuse(21211)
        else:
            other_end.will_answer(201, a_call(f"CA{number}"))
    results = await asyncio.gather(*(twilio.place_call(call) for _ in range(20)), return_exceptions=True)
    assert sorted(result for result in results if isinstance(result, str)) == sorted(f"CA{n}" for n in range(0, 20, 2))
    assert sum(isinstance(result, TelephonyError) for result in results) == 10
    assert len(other_end.asked) == 20


async def test_edge_and_region_do_not_bend_an_address_given_in_full(other_end, call, monkeypatch):
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    other_end.will_answer(201, a_call("CAnew"))
    async with Twilio(other_end.account, other_end.token, other_end.url + "/") as twilio:
        assert await twilio.place_call(call) == "CAnew"


async def test_a_recording_is_paused_with_silence_and_resumed_by_the_name_of_the_one_that_runs(other_end, twilio):
    other_end.will_answer(200, {"sid": "RE1", "status": "paused"})
    other_end.will_answer(200, {"sid": "RE1", "status": "in-progress"})
    await twilio.pause_recording("CA1")
    await twilio.resume_recording("CA1")
    path = other_end.calls.replace("/Calls.json", "/Calls/CA1/Recordings/Twilio.CURRENT.json")
    assert [(asked.method, asked.path) for asked in other_end.asked] == [("POST", path)] * 2
    assert [dict(asked.form) for asked in other_end.asked] == [
        {"Status": "paused", "PauseBehavior": "silence"},
        {"Status": "in-progress"},
    ]


async def test_a_pause_counts_only_when_twilio_says_that_it_is_paused(other_end, twilio):
    other_end.will_answer(200, {"sid": "RE1", "status": "in-progress"})
    other_end.will_refuse(20404, 404)
    other_end.will_refuse(21220)
    for kind in (TelephonyError, NotFound, TelephonyError):
        with pytest.raises(kind, match="could not pause the recording"):
            await twilio.pause_recording("CA1")


async def test_resuming_the_recording_of_a_call_that_has_ended_is_no_error(other_end, twilio):
    other_end.will_refuse(20404, 404)
    other_end.will_refuse(21220)
    other_end.will_refuse(20429, 429)
    await twilio.resume_recording("CA1")
    await twilio.resume_recording("CA1")
    with pytest.raises(TelephonyError):
        await twilio.resume_recording("CA1")


async def test_deleting_a_recording_that_is_gone_is_no_error(other_end, twilio):
    other_end.answers.append(_no_content)
    other_end.will_refuse(20404, 404)
    other_end.will_refuse(20429, 429)
    await twilio.delete_recording("RE1")
    await twilio.delete_recording("RE1")
    with pytest.raises(TelephonyError, match="could not delete the recording"):
        await twilio.delete_recording("RE1")
    path = other_end.calls.replace("/Calls.json", "/Recordings/RE1.json")
    assert [(asked.method, asked.path) for asked in other_end.asked] == [("DELETE", path)] * 3


async def _no_content(request):
    return web.Response(status=204)
