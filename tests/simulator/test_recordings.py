"""Recordings hold what was really said, each side on its channel, at its time."""

import array
import io
import math
import wave

import pytest

PHONE = "+14155551111"
TALKER = {"phone": PHONE, "ring_s": 0, "patience_s": 0.3, "script": ["Yes, please."]}


def read(data):
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (8000, 2)
        samples = array.array("h", file.readframes(file.getnframes()))
        return [samples[channel :: file.getnchannels()] for channel in range(file.getnchannels())]


def level(samples, from_s=0.0, to_s=None):
    part = samples[int(from_s * 8000) : None if to_s is None else int(to_s * 8000)]
    return math.sqrt(sum(sample * sample for sample in part) / max(len(part), 1))


@pytest.fixture
def recorded(start, media, stream, customer):
    """A finished conversation: a tone of half a second from the agent, then the person's sentence."""

    async def run(**parameters):
        lab = await start([TALKER])

        async def talk(server):
            await server.say(0.5)
            await server.mark("said")
            await server.wait_for("mark")
            await server.wait_for("media", 100)
            await server.close()

        media(talk)
        callback = {"RecordingStatusCallback": customer.url("/recording?lead=7")}
        call = await lab.call(PHONE, Twiml=stream(), **(callback | parameters))
        await lab.until_over(call["sid"])
        return lab, call

    return run


async def fetch(lab, url, **query):
    async with lab.session.get(url, params=query) as response:
        return response.status, await response.read()


async def test_a_dual_recording_has_the_callee_left_and_what_they_heard_right(recorded, customer):
    lab, call = await recorded(Record="true", RecordingChannels="dual", StatusCallback=customer.url("/status"))
    [status] = await customer.wait_for("/status")
    [request] = await customer.wait_for("/recording")
    form = request.form
    assert (form["RecordingStatus"], form["RecordingChannels"], form["RecordingSource"]) == (
        "completed",
        "2",
        "OutboundAPI",
    )
    assert (form["CallSid"], form["RecordingTrack"]) == (call["sid"], "both")
    assert status.form["RecordingSid"] == form["RecordingSid"]
    assert status.form["RecordingUrl"] == form["RecordingUrl"]
    code, data = await fetch(lab, form["RecordingUrl"] + ".wav")
    assert code == 200
    said, heard = read(data)
    assert len(said) == len(heard)
    assert len(said) / 8000 == pytest.approx(2.0, abs=0.4)
    assert int(form["RecordingDuration"]) == round(len(said) / 8000)
    assert level(heard, 0.2, 0.45) > 2000, "the agent's tone"
    assert level(heard, 1.5) < 50, "the agent was silent then"
    assert level(said, 0.0, 0.4) < 50, "the person was silent then"
    assert level(said, 0.8, 1.6) > 500, "the person's sentence"


async def test_a_mono_recording_mixes_both_and_cannot_be_asked_for_two_channels(recorded, customer):
    lab, _ = await recorded(Record="true")
    [request] = await customer.wait_for("/recording")
    url = request.form["RecordingUrl"] + ".wav"
    [mixed] = read((await fetch(lab, url))[1])
    assert level(mixed, 0.2, 0.45) > 2000
    assert level(mixed, 0.8, 1.6) > 500
    assert (await fetch(lab, url, RequestedChannels="2"))[0] == 400


async def test_a_dual_recording_is_mixed_on_request(recorded, customer):
    lab, _ = await recorded(Record="true", RecordingChannels="dual")
    [request] = await customer.wait_for("/recording")
    url = request.form["RecordingUrl"] + ".wav"
    assert len(read((await fetch(lab, url, RequestedChannels="1"))[1])) == 1
    assert len(read((await fetch(lab, url, RequestedChannels="2"))[1])) == 2


async def test_one_track_is_recorded_alone(recorded, customer):
    lab, _ = await recorded(Record="true", RecordingTrack="inbound", RecordingChannels="dual")
    [request] = await customer.wait_for("/recording")
    [said] = read((await fetch(lab, request.form["RecordingUrl"] + ".wav"))[1])
    assert level(said, 0.0, 0.4) < 50
    assert level(said, 0.8, 1.6) > 500


async def test_the_sound_needs_credentials(recorded, customer):
    lab, _ = await recorded(Record="true")
    [request] = await customer.wait_for("/recording")
    async with lab.session.get(request.form["RecordingUrl"] + ".wav", headers={"Authorization": ""}) as response:
        assert response.status == 401


async def test_the_start_recording_verb_records_too(start, media, stream, customer):
    lab = await start([TALKER])

    async def talk(server):
        await server.say(0.2)
        await server.wait_for("media", 20)
        await server.close()

    media(talk)
    start_verb = f'<Start><Recording recordingStatusCallback="{customer.url("/recording")}"/></Start>'
    call = await lab.call(PHONE, Twiml=stream().replace("<Response>", "<Response>" + start_verb))
    [request] = await customer.wait_for("/recording")
    assert (request.form["RecordingSource"], request.form["RecordingChannels"]) == ("StartCallRecordingAPI", "2")
    assert request.form["CallSid"] == call["sid"]


async def test_events_of_a_recording_come_as_subscribed_and_nothing_recorded_is_absent(start, customer):
    lab = await start([{"phone": PHONE, "ring_s": 0, "talk_s": 0}])
    events = ["in-progress", "completed", "absent"]
    await lab.call(
        PHONE,
        Twiml="<Response/>",
        Record="true",
        RecordingStatusCallback=customer.url("/recording"),
        RecordingStatusCallbackEvent=events,
    )
    requests = await customer.wait_for("/recording", 2)
    assert [request.form["RecordingStatus"] for request in requests] == ["in-progress", "absent"]


async def test_a_call_that_nobody_answers_has_no_recording(start, customer):
    lab = await start([{"phone": PHONE, "behaviour": "busy", "ring_s": 0}])
    call = await lab.call(PHONE, Twiml="<Response/>", Record="true", RecordingStatusCallback=customer.url("/recording"))
    assert (await lab.until_over(call["sid"]))["recordings"] == []
