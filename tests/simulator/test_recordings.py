"""Recordings hold what was really said, each side on its channel, at its time."""

import array
import io
import math
import wave

import pytest

from .conference_room import conference, invite, root, until, until_heard, until_joined

PHONE, AGENT = "+14155551111", "+14155552222"
TALKER = {"phone": PHONE, "ring_s": 0, "patience_s": 0.3, "script": ["Yes, please."]}


def read(data):
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (8000, 2)
        samples = array.array("h", file.readframes(file.getnframes()))
        return [samples[channel :: file.getnchannels()] for channel in range(file.getnchannels())]


def level(samples, from_s=0.0, to_s=None):
    part = samples[int(from_s * 8000) : None if to_s is None else int(to_s * 8000)]
    return math.sqrt(sum(sample * sample for sample in part) / max(len(part), 1))


def onset_s(samples, after_s=0.0):
    """When the first sound begins, in seconds, to 20 ms."""
    frames = range(int(after_s * 50), len(samples) // 160)
    return next(frame / 50 for frame in frames if level(samples, frame / 50, (frame + 1) / 50) > 500)


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
    assert len(said) / 8000 == pytest.approx(2.0, abs=0.5)
    assert int(form["RecordingDuration"]) == round(len(said) / 8000)
    tone_s, answer_s = onset_s(heard), onset_s(said)
    assert level(heard, tone_s + 0.1, tone_s + 0.4) > 2000, "the agent's tone"
    assert level(heard, tone_s + 0.52) < 50, "the agent was silent then"
    assert tone_s + 0.5 + 0.3 <= answer_s + 0.02, "the person waited for the end of the tone, and their patience"
    assert answer_s <= tone_s + 1.2
    assert level(said, 0.0, tone_s + 0.5) < 50, "the person was silent then"
    assert level(said, answer_s, answer_s + 0.3) > 500, "the person's sentence"


async def test_a_mono_recording_mixes_both_and_cannot_be_asked_for_two_channels(recorded, customer):
    lab, _ = await recorded(Record="true")
    [request] = await customer.wait_for("/recording")
    url = request.form["RecordingUrl"] + ".wav"
    [mixed] = read((await fetch(lab, url))[1])
    tone_s = onset_s(mixed)
    assert level(mixed, tone_s + 0.1, tone_s + 0.4) > 2000
    assert onset_s(mixed, tone_s + 0.6) <= tone_s + 1.2
    assert (await fetch(lab, url, RequestedChannels="2"))[0] == 400


async def test_a_dual_recording_is_mixed_on_request_and_needs_credentials(recorded, customer):
    lab, _ = await recorded(Record="true", RecordingChannels="dual")
    [request] = await customer.wait_for("/recording")
    url = request.form["RecordingUrl"] + ".wav"
    assert len(read((await fetch(lab, url, RequestedChannels="1"))[1])) == 1
    assert len(read((await fetch(lab, url, RequestedChannels="2"))[1])) == 2
    async with lab.session.get(url, headers={"Authorization": ""}) as response:
        assert response.status == 401


async def test_one_track_is_recorded_alone(recorded, customer):
    lab, _ = await recorded(Record="true", RecordingTrack="inbound", RecordingChannels="dual")
    [request] = await customer.wait_for("/recording")
    [said] = read((await fetch(lab, request.form["RecordingUrl"] + ".wav"))[1])
    assert onset_s(said) >= 0.75, "nothing of the agent's tone"


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


async def test_a_call_of_no_length_can_leave_a_recording(start, customer):
    lab = await start([{"phone": PHONE, "ring_s": 0, "talk_s": 0, "recorded_s": 1}])
    await lab.call(PHONE, Twiml="<Response/>", Record="true", RecordingStatusCallback=customer.url("/recording"))
    [told] = await customer.wait_for("/recording")
    assert (told.form["RecordingStatus"], told.form["RecordingDuration"]) == ("completed", "1")


async def test_a_call_that_nobody_answers_has_no_recording(start, customer):
    lab = await start([{"phone": PHONE, "behaviour": "busy", "ring_s": 0}])
    call = await lab.call(PHONE, Twiml="<Response/>", Record="true", RecordingStatusCallback=customer.url("/recording"))
    assert (await lab.until_over(call["sid"]))["recordings"] == []


async def test_a_call_recording_goes_on_through_the_conference_and_pauses_there(start, customer, media, stream):
    counting = {"say": "One two three four five six seven eight nine ten.", "unprompted": True}
    agent = {"phone": AGENT, "ring_s": 0, "script": [counting] * 4}
    lab = await start([{"phone": PHONE, "ring_s": 0, "behaviour": "silent"}, agent])

    async def talk(server):
        await server.say(0.5)
        await server.mark("said")
        await server.finished.wait()

    server = media(talk)
    call = await lab.call(
        PHONE,
        Twiml=stream(),
        Record="true",
        RecordingChannels="dual",
        RecordingStatusCallback=customer.url("/recording"),
    )
    await server.wait_for("mark")
    path = f"{root(lab)}/Calls/{call['sid']}"
    room = conference(
        record="record-from-start",
        recordingStatusCallback=customer.url("/room"),
        beep="false",
        endConferenceOnExit="true",
    )
    await lab.post(f"{path}.json", {"Twiml": room}, 200)
    seat = await until_joined(lab, call["sid"])
    other = (await invite(lab, AGENT, Beep="false"))["call_sid"]
    await until_heard(lab, call["sid"], other, sounding_s=0.8)
    ear = seat.call.line.ear
    paused_s = ear.clock_s
    await lab.post(f"{path}/Recordings/Twilio.CURRENT.json", {"Status": "paused", "PauseBehavior": "silence"}, 200)
    await until(lab, lambda: ear.clock_s > paused_s + 0.8)
    resumed_s = ear.clock_s
    await lab.post(f"{path}/Recordings/Twilio.CURRENT.json", {"Status": "in-progress"}, 200)
    await until(lab, lambda: ear.clock_s > resumed_s + 0.8)
    await lab.post(f"{path}.json", {"Status": "completed"}, 200)
    [told] = await customer.wait_for("/recording")
    said, heard = read((await fetch(lab, told.form["RecordingUrl"] + ".wav"))[1])
    assert len(heard) / 8000 == pytest.approx(ear.clock_s, abs=0.05), "the whole call, second for second"
    assert level(said) == 0
    assert level(heard, 0, 0.7) > 2000, "the agent's tone"
    assert level(heard, paused_s - 0.6, paused_s - 0.05) > 300, "the human"
    assert level(heard, paused_s + 0.1, resumed_s - 0.1) == 0, "paused"
    assert level(heard, resumed_s + 0.1, resumed_s + 0.7) > 300, "the human again"
    [told] = await customer.wait_for("/room")
    assert told.form["RecordingSource"] == "Conference"
    assert told.form["ConferenceSid"].startswith("CF")
    [mixed] = read((await fetch(lab, told.form["RecordingUrl"] + ".wav"))[1])
    assert level(mixed) > 300
    listed = await lab.get(f"{root(lab)}/Conferences/{told.form['ConferenceSid']}/Recordings.json")
    assert [one["conference_sid"] for one in listed["recordings"]] == [told.form["ConferenceSid"]]
