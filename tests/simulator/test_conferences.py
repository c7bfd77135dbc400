"""Calls meet in a conference: who hears whom, what waits sound like, and how each leaves."""

import asyncio

import pytest

CUSTOMER, AGENT = "+14155551111", "+14155552222"
SILENT = {"behaviour": "silent", "ring_s": 0, "max_call_s": 60}
JOIN = ["start", "end", "join", "leave", "mute", "hold", "modify", "announcement"]


def conference(name="room", after="", **attributes):
    inside = "".join(f' {attribute}="{value}"' for attribute, value in attributes.items())
    return f"<Response><Dial><Conference{inside}>{name}</Conference></Dial>{after}</Response>"


def root(lab):
    return f"/2010-04-01/Accounts/{lab.simulator.account.sid}"


async def until(condition, timeout_s=10):
    """Wait for a condition of the simulator's own state; its frames are 20 ms."""
    async with asyncio.timeout(timeout_s):
        while not (found := condition()):
            await asyncio.sleep(0.02)
    return found


async def until_joined(lab, sid):
    rooms = lab.simulator.exchange.conferences

    def joined():
        return next((seat for room in rooms.by_sid.values() for seat in room.seats if seat.call.sid == sid), None)

    return await until(joined)


async def invite(lab, name="room", to=AGENT, status=201, **parameters):
    form = [("To", to), ("From", "+14155550100"), *parameters.items()]
    return await lab.post(f"{root(lab)}/Conferences/{name}/Participants.json", form, status)


async def hear(lab, sid):
    return await lab.get(f"/simulator/calls/{sid}/heard")


def sources(heard):
    return [tuple(interval["sources"]) for interval in heard["audible"]]


def events(requests):
    return [request.form["StatusCallbackEvent"] for request in requests]


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
            statusCallbackEvent=" ".join(JOIN),
        ),
    )
    await until_joined(lab, call["sid"])
    agent = await invite(lab, Label="agent", Beep="false")
    assert (agent["status"], agent["label"], agent["hold"]) == ("queued", "agent", False)
    await until_joined(lab, agent["call_sid"])
    [room] = (await lab.get(f"{root(lab)}/Conferences.json?FriendlyName=room"))["conferences"]
    assert (room["sid"], room["status"]) == (agent["conference_sid"], "in-progress")
    listed = (await lab.get(f"{root(lab)}/Conferences/{room['sid']}/Participants.json"))["participants"]
    assert [(one["label"], one["status"]) for one in listed] == [("customer", "connected"), ("agent", "connected")]
    ear = lab.simulator.exchange.calls.by_sid[call["sid"]].line.ear
    await until(lambda: ear.audible()[-1]["sounding_s"] > 0.6)
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
    assert sources(heard) == [("silence",), ("music",), (agent["call_sid"],)]
    [_, music, talk] = heard["audible"]
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
    await until(lambda: lab.simulator.exchange.calls.by_sid[call["sid"]].line.ear.clock_s > 1)
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
