"""Calls meet in a conference: who hears whom, what waits sound like, and how each leaves."""

import asyncio

import aiohttp
import pytest

from .conference_room import (
    SILENT,
    change,
    conference,
    events,
    hear,
    invite,
    root,
    sources,
    until,
    until_heard,
    until_joined,
)

CUSTOMER, AGENT, THIRD = "+14155551111", "+14155552222", "+14155553333"
ALL = "start end join leave mute hold modify announcement"


async def test_a_customer_waits_with_music_until_the_agent_comes_and_then_they_hear_each_other(start, customer):
    people = [{"phone": CUSTOMER} | SILENT, {"phone": AGENT, "ring_s": 0.3, "greeting": "Hello, this is the agent."}]
    lab = await start(people)
    url = customer.url("/conference")
    call = await lab.call(
        CUSTOMER,
        Twiml=conference(
            startConferenceOnEnter="false",
            endConferenceOnExit="true",
            participantLabel="customer",
            statusCallback=url,
            statusCallbackEvent=ALL,
        ),
    )
    await until_joined(lab, call["sid"])
    agent = await invite(lab, AGENT, Label="agent", Beep="false")
    assert (agent["status"], agent["label"], agent["hold"]) == ("queued", "agent", False)
    await until_joined(lab, agent["call_sid"])
    [room] = (await lab.get(f"{root(lab)}/Conferences.json?FriendlyName=room"))["conferences"]
    assert (room["sid"], room["status"]) == (agent["conference_sid"], "in-progress")
    listed = (await lab.get(f"{root(lab)}/Conferences/{room['sid']}/Participants.json"))["participants"]
    assert [(one["label"], one["status"]) for one in listed] == [("customer", "connected"), ("agent", "connected")]
    await until_heard(lab, call["sid"], agent["call_sid"], sounding_s=0.6)
    await lab.post(f"{root(lab)}/Calls/{call['sid']}.json", {"Status": "completed"}, 200)
    assert (await lab.until_over(agent["call_sid"]))["ending"]["by"] == "the TwiML"
    got = await customer.wait_for("/conference", 6)
    assert events(got) == [
        "participant-join",
        "participant-join",
        "conference-start",
        "participant-leave",
        "participant-leave",
        "conference-end",
    ]
    assert [request.form["SequenceNumber"] for request in got] == ["1", "2", "3", "4", "5", "6"]
    left, thrown, end = (request.form for request in got[3:])
    assert (left["ReasonParticipantLeft"], left["ParticipantCallStatus"]) == ("participant_hung_up", "completed")
    assert left["ParticipantLabel"] == "customer"
    assert thrown["ReasonParticipantLeft"] == "moderator_ended_conference"
    assert (end["ReasonConferenceEnded"], end["CallSidEndingConference"]) == (
        "participant-with-end-conference-on-exit-left",
        call["sid"],
    )
    heard = await hear(lab, call["sid"])
    assert [one for one in sources(heard) if one != ("silence",)] == [("music",), (agent["call_sid"],)]
    music, talk = heard["audible"][-2:]
    assert music["start_s"] < 0.3
    assert music["sounding_s"] == pytest.approx(music["end_s"] - music["start_s"], abs=0.2)
    assert talk["sounding_s"] > 0.5, "the agent's greeting"
    assert sources(await hear(lab, agent["call_sid"]))[-1] == (call["sid"],)
    [alone] = heard["alone"]
    assert alone["end_s"] - alone["start_s"] >= 0.3


async def test_a_call_moves_from_its_stream_to_a_conference_and_back(start, customer, media, stream):
    lab = await start([{"phone": CUSTOMER} | SILENT])

    async def talk(server):
        await server.say(30)
        await server.finished.wait()

    first = media(talk)
    call = await lab.call(CUSTOMER, Twiml=stream(), Record="true", RecordingChannels="dual")
    await first.wait_for("media", 10)
    path, url = f"{root(lab)}/Calls/{call['sid']}.json", customer.url("/conference")
    document = conference(statusCallback=url, statusCallbackEvent="join leave")
    await lab.post(path, {"Twiml": document}, 200)
    await asyncio.wait_for(first.finished.wait(), 5)
    assert first.messages[-1]["event"] == "stop"
    await until_joined(lab, call["sid"])
    await until_heard(lab, call["sid"], "music")
    second = media(talk)
    await lab.post(path, {"Twiml": stream()}, 200)
    await second.wait_for("media", 10)
    got = await customer.wait_for("/conference", 2)
    assert events(got) == ["participant-join", "participant-leave"]
    left = got[1].form
    assert left["ReasonParticipantLeft"] == "participant_updated_via_api"
    assert left["ParticipantCallStatus"] == "in-progress"
    await lab.post(path, {"Status": "completed"}, 200)
    witness = await lab.until_over(call["sid"])
    heard = await hear(lab, call["sid"])
    assert [one for one in sources(heard) if one != ("silence",)] == [("agent-stream",), ("music",), ("agent-stream",)]
    [recording] = witness["recordings"]
    assert recording["channels"] == 2
    assert recording["duration_s"] == pytest.approx(heard["on_the_line_s"], abs=0.05)


async def test_held_muted_and_coaching_participants_are_heard_by_whom_they_should(start, customer):
    people = [{"phone": phone} | SILENT for phone in (CUSTOMER, AGENT, THIRD)]
    lab = await start(people)
    url = customer.url("/conference")
    one = (await lab.call(CUSTOMER, Twiml=conference(beep="false", statusCallback=url, statusCallbackEvent=ALL)))["sid"]
    await until_joined(lab, one)
    two = (await invite(lab, AGENT, Beep="false"))["call_sid"]
    await until_joined(lab, two)
    three = (await invite(lab, THIRD, Beep="false", Coaching="true", CallSidToCoach=two))["call_sid"]
    seats = [await until_joined(lab, sid) for sid in (one, two, three)]

    def heard():
        return [set(seat.sources) for seat in seats]

    assert heard() == [{two}, {one, three}, {one, two}], "the coach is heard by the coached alone"
    changed = await change(lab, one, Hold="true")
    assert changed["hold"] is True
    assert heard() == [{"music"}, {three}, {two}]
    await change(lab, one, Hold="false")
    await change(lab, two, Muted="true")
    assert heard() == [{"silence"}, {one, three}, {one}]
    await change(lab, three, Coaching="false")
    await change(lab, two, Muted="false", EndConferenceOnExit="true")
    assert heard() == [{two, three}, {one, three}, {one, two}]
    got = events(await customer.wait_for("/conference", 10))
    assert got[4:] == [
        "participant-hold",
        "participant-unhold",
        "participant-mute",
        "participant-modify",
        "participant-unmute",
        "participant-modify",
    ]


async def test_talk_is_mixed_and_everyone_hears_the_others_but_not_themselves(start, customer):
    talker = {"ring_s": 0, "script": [{"say": "One two three four five six seven.", "unprompted": True}] * 3}
    lab = await start([{"phone": CUSTOMER} | SILENT, {"phone": AGENT} | talker, {"phone": THIRD} | talker])
    document = conference(beep="false", statusCallback=customer.url("/spoke"), statusCallbackEvent="speaker")
    call = (await lab.call(CUSTOMER, Twiml=document))["sid"]
    await until_joined(lab, call)
    others = [(await invite(lab, phone, Beep="false"))["call_sid"] for phone in (AGENT, THIRD)]
    await until_heard(lab, call, *others, sounding_s=1.0)
    for sid in others:
        heard = await hear(lab, sid)
        assert sid not in {source for interval in heard["audible"] for source in interval["sources"]}
    assert (await hear(lab, call))["spoke"] == []
    spoke = await customer.wait_for("/spoke", 2)
    assert {request.form["CallSid"] for request in spoke} == set(others)
    assert set(events(spoke)) <= {"participant-speech-start", "participant-speech-stop"}


async def test_an_announcement_a_beep_and_music_from_a_url_are_heard(start, customer):
    lab = await start([{"phone": phone} | SILENT for phone in (CUSTOMER, AGENT)])
    say = customer.twiml("/say", "<Response><Say>You are the next in line.</Say></Response>")
    url = customer.url("/conference")
    document = conference(
        waitUrl=say, waitMethod="GET", startConferenceOnEnter="false", statusCallback=url, statusCallbackEvent=ALL
    )
    call = (await lab.call(CUSTOMER, Twiml=document))["sid"]
    await until_heard(lab, call, "music")
    [wait] = customer.at("/say")
    assert wait.method == "GET"
    assert "FriendlyName=room" in wait.url
    agent = (await invite(lab, AGENT))["call_sid"]
    await until_joined(lab, agent)
    await change(lab, call, AnnounceUrl=customer.twiml("/announce", "<Response><Say>Good news.</Say></Response>"))
    await until_heard(lab, call, agent, "announcement")
    ended = await until(lab, lambda: [e for e in events(customer.at("/conference")) if e == "announcement-end"])
    assert ended == ["announcement-end"]
    assert "announcement" not in str(sources(await hear(lab, agent)))
    [room] = await lab.get("/simulator/conferences")
    await lab.post(f"{root(lab)}/Conferences/{room['sid']}.json", {"AnnounceUrl": say}, 200)
    await until_heard(lab, agent, call, "announcement")


async def test_an_empty_wait_url_is_silence_and_a_beep_tells_who_is_in(start, customer):
    lab = await start([{"phone": phone} | SILENT for phone in (CUSTOMER, AGENT, THIRD)])
    call = (await lab.call(CUSTOMER, Twiml=conference(waitUrl="")))["sid"]
    await until_joined(lab, call)
    other = (await invite(lab, AGENT, Beep="false"))["call_sid"]
    await until_joined(lab, other)
    assert sources(await hear(lab, call))[0] == ("silence",)
    assert (await hear(lab, call))["sound"] == []
    third = (await invite(lab, THIRD, Beep="onEnter"))["call_sid"]
    await until_joined(lab, third)
    await until(lab, lambda: lab.simulator.exchange.calls.by_sid[call].line.ear.audible()[-1]["sounding_s"] == 0)
    assert (other, third, "beep") in sources(await hear(lab, call))


async def test_the_verbs_after_a_conference_run_when_it_has_ended_for_a_leg(start, customer):
    lab = await start([{"phone": phone} | SILENT for phone in (CUSTOMER, AGENT)])
    customer.twiml("/done", "<Response><Hangup/></Response>")
    customer.twiml("/after", "<Response><Hangup/></Response>")
    acting = await lab.call(CUSTOMER, Twiml=conference(dial=f' action="{customer.url("/done")}"'))
    after = await lab.call(AGENT, Twiml=conference(after=f"<Redirect>{customer.url('/after')}</Redirect>"))
    for call in (acting, after):
        await until_joined(lab, call["sid"])
    [room] = await lab.get("/simulator/conferences")
    await lab.post(f"{root(lab)}/Conferences/{room['sid']}.json", {"Status": "completed"}, 200)
    [done] = await customer.wait_for("/done")
    assert (done.form["CallSid"], done.form["DialCallStatus"]) == (acting["sid"], "answered")
    [onward] = await customer.wait_for("/after")
    assert onward.form["CallSid"] == after["sid"]
    [room] = await lab.get("/simulator/conferences")
    assert (room["status"], room["reason_ended"]) == ("completed", "conference-ended-via-api")
    assert {seat["left_because"] for seat in room["participants"]} == {"conference_ended_via_api"}


async def test_a_kicked_participant_goes_and_the_last_one_ends_it(start, customer):
    lab = await start([{"phone": CUSTOMER} | SILENT, {"phone": AGENT, "ring_s": 60}])
    call = (await lab.call(CUSTOMER, Twiml=conference()))["sid"]
    await until_joined(lab, call)
    ringing = (await invite(lab, AGENT))["call_sid"]
    async with lab.session.delete(
        f"{lab.simulator.url}{root(lab)}/Conferences/room/Participants/{ringing}.json"
    ) as gone:
        assert gone.status == 204
    assert (await lab.until_over(ringing))["status"] == "canceled"
    async with lab.session.delete(f"{lab.simulator.url}{root(lab)}/Conferences/room/Participants/{call}.json") as gone:
        assert gone.status == 204
    await lab.until_over(call)
    [room] = await lab.get("/simulator/conferences")
    assert room["reason_ended"] == "last-participant-kicked"
    await lab.get(f"{root(lab)}/Conferences/{room['sid']}/Participants/{call}.json", 404)


UNREACHED = {
    "no answer": ({"behaviour": "no_answer", "ring_s": 0.2}, "no-answer"),
    "busy": ({"behaviour": "busy", "ring_s": 0.1}, "busy"),
    "declines": ({"behaviour": "declines", "ring_s": 0.1}, "busy"),
    "failed": ({"behaviour": "failed", "ring_s": 0.1}, "failed"),
}


@pytest.mark.parametrize("case", UNREACHED)
async def test_an_agent_who_does_not_come_is_told_apart(start, customer, case):
    person, status = UNREACHED[case]
    lab = await start([{"phone": CUSTOMER} | SILENT, {"phone": AGENT} | person])
    url = customer.url("/conference")
    call = await lab.call(CUSTOMER, Twiml=conference(statusCallback=url, statusCallbackEvent="leave end"))
    await until_joined(lab, call["sid"])
    agent = await invite(lab, AGENT, StatusCallback=customer.url("/agent"))
    [told] = await customer.wait_for("/agent")
    assert told.form["CallStatus"] == status
    [left] = await customer.wait_for("/conference")
    assert left.form["CallSid"] == agent["call_sid"]
    assert left.form["ReasonParticipantLeft"] == "participant_add_failed"
    assert left.form["ParticipantCallStatus"] == status
    [room] = await lab.get("/simulator/conferences")
    assert room["status"] == "init"
    await lab.get(f"{root(lab)}/Conferences/room/Participants/{agent['call_sid']}.json", 404)


async def test_only_who_creates_a_conference_sets_its_callback_and_a_reused_name_merges(start, customer):
    lab = await start([{"phone": phone} | SILENT for phone in (CUSTOMER, AGENT)])
    first = await lab.call(CUSTOMER, Twiml=conference(statusCallback=customer.url("/first")))
    await until_joined(lab, first["sid"])
    second = await lab.call(AGENT, Twiml=conference(statusCallback=customer.url("/second")))
    await until_joined(lab, second["sid"])
    [room] = await lab.get("/simulator/conferences")
    await lab.post(f"{root(lab)}/Conferences/{room['sid']}.json", {"Status": "completed"}, 200)
    got = await customer.wait_for("/first", 2)
    assert events(got) == ["conference-start", "conference-end"], "by default"
    assert customer.at("/second") == []


async def test_a_full_conference_takes_nobody_more(start, customer):
    lab = await start([{"phone": phone} | SILENT for phone in (CUSTOMER, AGENT, THIRD)])
    calls = [await lab.call(CUSTOMER, Twiml=conference(maxParticipants="2"))]
    await until_joined(lab, calls[0]["sid"])
    await until_joined(lab, (await invite(lab, AGENT))["call_sid"])
    refused = await lab.call(THIRD, Twiml=conference(), StatusCallback=customer.url("/status"))
    await customer.wait_for("/status")
    assert [note["code"] for note in (await lab.witness(refused["sid"]))["notifications"]] == [16025]


FAULTS = {
    "429": ({"kind": "create_429", "event": "participant"}, 429, 0),
    "5xx": ({"kind": "create_5xx", "event": "participant", "status": 502}, 502, 0),
    "reset after": ({"kind": "create_reset_after", "event": "participant"}, None, 1),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_inviting_somebody_fails_as_asked(start, case):
    fault, status, made = FAULTS[case]
    lab = await start([{"phone": AGENT, "behaviour": "busy", "ring_s": 0}])
    await lab.session.post(lab.simulator.url + "/simulator/faults", json={"count": 1} | fault)
    url = f"{lab.simulator.url}{root(lab)}/Conferences/room/Participants.json"
    form = {"To": AGENT, "From": "+14155550100"}
    try:
        async with lab.session.post(url, data=form) as response:
            assert response.status == status
    except aiohttp.ClientError:
        assert status is None
    assert len(await lab.get("/simulator/calls")) == made


async def test_conference_callbacks_are_lost_and_repeated_as_asked(start, customer):
    lab = await start([{"phone": CUSTOMER} | SILENT])
    faults = [
        {"kind": "callback_lost", "event": "participant-join"},
        {"kind": "callback_repeated", "event": "conference"},
    ]
    await lab.session.post(lab.simulator.url + "/simulator/faults", json=faults)
    call = await lab.call(CUSTOMER, Twiml=conference(statusCallback=customer.url("/c"), statusCallbackEvent=ALL))
    await until_joined(lab, call["sid"])
    await lab.post(f"{root(lab)}/Calls/{call['sid']}.json", {"Status": "completed"}, 200)
    got = await customer.wait_for("/c", 4)
    assert events(got) == ["participant-leave", "participant-leave", "conference-end", "conference-end"]


async def test_a_call_cannot_be_moved_while_updates_fail(start):
    lab = await start([{"phone": CUSTOMER} | SILENT])
    call = await lab.call(CUSTOMER, Twiml='<Response><Pause length="60"/></Response>')
    await until(lab, lambda: lab.simulator.exchange.calls.by_sid[call["sid"]].line.callee)
    await lab.session.post(lab.simulator.url + "/simulator/faults", json={"kind": "update_5xx", "count": 1})
    path = f"{root(lab)}/Calls/{call['sid']}.json"
    await lab.post(path, {"Twiml": conference()}, 503)
    assert await lab.get("/simulator/conferences") == []
    await lab.post(path, {"Twiml": conference()}, 200)
    await until_joined(lab, call["sid"])


async def test_an_agent_who_is_still_rung_after_the_end_sits_alone_in_a_new_conference(start):
    lab = await start([{"phone": CUSTOMER} | SILENT, {"phone": AGENT} | SILENT | {"ring_s": 0.4}])
    call = await lab.call(CUSTOMER, Twiml=conference(endConferenceOnExit="true"))
    await until_joined(lab, call["sid"])
    agent = (await invite(lab, AGENT))["call_sid"]
    await lab.post(f"{root(lab)}/Calls/{call['sid']}.json", {"Status": "completed"}, 200)
    await until_joined(lab, agent)
    await until_heard(lab, agent, "music")
    await lab.post(f"{root(lab)}/Calls/{agent}.json", {"Status": "completed"}, 200)
    await lab.until_over(agent)
    await until(lab, lambda: not any(room.is_live for room in lab.simulator.exchange.conferences.by_sid.values()))
    first, second = await lab.get("/simulator/conferences?name=room")
    assert first["reason_ended"] == "participant-with-end-conference-on-exit-left"
    assert [seat["call_sid"] for seat in first["participants"]] == [call["sid"]]
    [alone] = second["alone"]
    assert alone["call_sid"] == agent
    assert alone["seconds"] >= 0.2
    assert second["reason_ended"] == "last-participant-left"
    [mine] = (await hear(lab, agent))["alone"]
    assert mine["end_s"] - mine["start_s"] == pytest.approx(alone["seconds"], abs=0.01)


async def test_an_agent_dialled_by_the_sid_of_an_ended_conference_is_hung_up_on(start):
    lab = await start([{"phone": CUSTOMER} | SILENT, {"phone": AGENT} | SILENT | {"ring_s": 0.4}])
    call = await lab.call(CUSTOMER, Twiml=conference())
    await until_joined(lab, call["sid"])
    [room] = await lab.get("/simulator/conferences")
    agent = (await invite(lab, AGENT, name=room["sid"]))["call_sid"]
    await lab.post(f"{root(lab)}/Conferences/{room['sid']}.json", {"Status": "completed"}, 200)
    assert (await lab.until_over(agent))["status"] == "completed"
    assert len(await lab.get("/simulator/conferences")) == 1
    await invite(lab, AGENT, name=room["sid"], status=400)


async def test_a_voicemail_at_the_agents_end_is_detected_while_it_talks_into_the_conference(start, customer):
    lab = await start([{"phone": CUSTOMER} | SILENT, {"phone": AGENT, "ring_s": 0, "behaviour": "voicemail"}])
    call = await lab.call(CUSTOMER, Twiml=conference())
    await until_joined(lab, call["sid"])
    agent = (await invite(lab, AGENT, MachineDetection="Enable", AmdStatusCallback=customer.url("/amd")))["call_sid"]
    await until_heard(lab, call["sid"], agent)
    [told] = await customer.wait_for("/amd")
    assert (told.form["CallSid"], told.form["AnsweredBy"]) == (agent, "machine_start")
