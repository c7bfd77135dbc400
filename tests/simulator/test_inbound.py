"""People call our numbers: their instructions answer, reject or redirect them, and many may call at once."""

import asyncio

import pytest
from twilio.request_validator import RequestValidator

from .conference_room import OUR_NUMBER, conference, hear, invite, until, until_heard, until_joined

CALLER, AGENT = "+14155551111", "+14155552222"
HANGUP = "<Response><Hangup/></Response>"
WAIT = '<Response><Pause length="60"/></Response>'


@pytest.fixture
def reached(start, customer):
    """A simulator with our number, whose calls get this document."""

    async def run(document, people=(), status=200, **settings):
        lab = await start([{"phone": CALLER, "behaviour": "silent"}, *people])
        number = {
            "phone": OUR_NUMBER,
            "voice_url": customer.twiml("/voice", document, status),
            "status_callback": customer.url("/status"),
        }
        async with lab.session.post(lab.simulator.url + "/simulator/numbers", json=[number | settings]) as response:
            assert response.status == 200, await response.text()
        return lab

    return run


async def ring(lab, status=201, **fields):
    body = {"from": CALLER, "to": OUR_NUMBER} | fields
    async with lab.session.post(lab.simulator.url + "/simulator/inbound", json=body) as response:
        assert response.status == status, await response.text()
        return (await response.json())["calls"] if status == 201 else await response.text()


async def test_an_inbound_call_asks_the_numbers_url_and_tells_its_end(reached, customer):
    lab = await reached("<Response><Say>Hello.</Say></Response>")
    [sid] = await ring(lab)
    witness = await lab.until_over(sid)
    [asked] = customer.at("/voice")
    expected = {"CallSid": sid, "From": CALLER, "To": OUR_NUMBER, "Direction": "inbound", "CallStatus": "ringing"}
    assert expected.items() <= asked.form.items()
    signature = asked.headers["X-Twilio-Signature"]
    assert RequestValidator("token-of-the-tests").validate(asked.url, asked.form, signature)
    [told] = await customer.wait_for("/status")
    assert (told.form["CallStatus"], told.form["Direction"]) == ("completed", "inbound")
    assert (witness["direction"], witness["status"], witness["ending"]["by"]) == ("inbound", "completed", "the TwiML")
    listed = await lab.get(f"/2010-04-01/Accounts/{lab.simulator.account.sid}/Calls/{sid}.json")
    assert (listed["direction"], listed["from"], listed["to"]) == ("inbound", CALLER, OUR_NUMBER)


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ("<Response><Reject/></Response>", "no-answer"),
        ('<Response><Reject reason="busy"/></Response>', "busy"),
        ('<Response><Pause length="1"/><Reject reason="busy"/></Response>', "busy"),
    ],
)
async def test_a_rejected_caller_is_never_answered(reached, customer, document, status):
    lab = await reached(document)
    [sid] = await ring(lab)
    witness = await lab.until_over(sid)
    assert (witness["status"], witness["ending"]["by"], witness["times"]["answered"]) == (status, "<Reject>", None)
    assert witness["duration_s"] == 0
    [told] = await customer.wait_for("/status")
    assert told.form["CallStatus"] == status


async def test_a_caller_who_is_not_answered_gives_up(reached, customer):
    lab = await reached('<Response><Pause length="30"/></Response>')
    [sid] = await ring(lab, gives_up_after_s=0.3)
    witness = await lab.until_over(sid)
    assert (witness["status"], witness["ending"]["by"]) == ("no-answer", "the caller gave up")


async def test_bad_instructions_lead_to_the_numbers_fallback(reached, customer):
    lab = await reached("", status=500, voice_fallback_url=customer.twiml("/fallback", HANGUP))
    [sid] = await ring(lab)
    witness = await lab.until_over(sid)
    [asked] = customer.at("/fallback")
    assert asked.form["ErrorCode"] == "11200"
    assert (witness["status"], len(witness["notifications"])) == ("completed", 1)


async def test_a_caller_talks_to_a_stream_and_is_transferred(reached, customer, media, stream):
    lab = await reached(stream(), [{"phone": AGENT, "ring_s": 0.1, "behaviour": "silent"}])

    async def talk(server):
        await server.say(0.3)
        await server.finished.wait()

    server = media(talk)
    [sid] = await ring(lab, behaviour={"script": [{"press": "5"}], "patience_s": 0.3})
    [dtmf] = await server.wait_for("dtmf")
    assert dtmf["dtmf"]["digit"] == "5"
    path = f"/2010-04-01/Accounts/{lab.simulator.account.sid}/Calls/{sid}.json"
    await lab.post(path, {"Twiml": conference(startConferenceOnEnter="false", endConferenceOnExit="true")}, 200)
    await asyncio.wait_for(server.finished.wait(), 5)
    await until_heard(lab, sid, "music", sounding_s=0.1)
    agent = (await invite(lab, AGENT, Beep="false"))["call_sid"]
    await until_joined(lab, agent)
    await until(lab, lambda: lab.simulator.exchange.calls.by_sid[sid].line.ear.audible()[-1]["sources"] == [agent])
    await lab.post(path, {"Status": "completed"}, 200)
    await lab.until_over(agent)
    assert (await hear(lab, agent))["ringing_stopped"] is not None


async def test_many_call_at_once_over_a_time(reached, customer):
    lab = await reached(HANGUP)
    calls = await ring(lab, count=40, spread_s=0.4, behaviour={"behaviour": "silent"})
    await customer.wait_for("/status", 40)
    ended = [await lab.until_over(sid) for sid in calls]
    assert len({witness["from"] for witness in ended}) == 40
    assert {witness["status"] for witness in ended} == {"completed"}
    summary = await lab.get("/simulator/summary")
    assert 1 <= summary["max_live_by_number"][OUR_NUMBER] <= 40


async def test_who_calls_a_number_that_is_not_ours_is_told(reached):
    lab = await reached(HANGUP)
    assert "is not a number of the account" in await ring(lab, status=422, to="+14155559999")
    await ring(lab, status=422, behaviour={"behaviour": "cheerful"})


async def test_a_number_without_a_url_takes_no_call(start):
    lab = await start()
    lab.simulator.account.add_numbers([OUR_NUMBER])
    [sid] = await ring(lab)
    witness = await lab.until_over(sid)
    assert (witness["status"], [note["code"] for note in witness["notifications"]]) == ("failed", [11100])
