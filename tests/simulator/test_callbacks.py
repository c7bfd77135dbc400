"""What a customer hears about a call, in which order, and what faults do to it."""

import asyncio

import pytest
from twilio.request_validator import RequestValidator

ALL = ["initiated", "ringing", "answered", "completed"]
PHONE = "+14155551111"
HANGUP = "<Response><Hangup/></Response>"


def statuses(requests):
    return [request.form["CallStatus"] for request in requests]


ENDINGS = {
    "completed": ({"behaviour": "silent", "ring_s": 0}, ["initiated", "ringing", "in-progress", "completed"], "200"),
    "zero length": ({"talk_s": 0, "ring_s": 0}, ["initiated", "ringing", "in-progress", "completed"], "200"),
    "no-answer": ({"behaviour": "no_answer", "ring_s": 0.05}, ["initiated", "ringing", "no-answer"], "487"),
    "busy": ({"behaviour": "busy", "ring_s": 0}, ["initiated", "busy"], "486"),
    "failed": ({"behaviour": "failed", "ring_s": 0}, ["initiated", "failed"], "404"),
    "carrier down": ({"behaviour": "failed", "ring_s": 0, "sip_code": 503}, ["initiated", "failed"], "503"),
    "canceled": ({"behaviour": "canceled", "ring_s": 0.05}, ["initiated", "ringing", "canceled"], "487"),
}


@pytest.mark.parametrize("case", ENDINGS)
async def test_each_ending_is_told_in_order_with_its_sip_code(start, customer, case):
    person, expected, sip_code = ENDINGS[case]
    lab = await start([person | {"phone": PHONE}])
    url = customer.url("/status?lead=7")
    call = await lab.call(PHONE, Twiml=HANGUP, StatusCallback=url, StatusCallbackEvent=ALL)
    requests = await customer.wait_for("/status", len(expected))
    assert statuses(requests) == expected
    assert [request.form["SequenceNumber"] for request in requests] == [str(place) for place in range(len(expected))]
    last = requests[-1].form
    assert (last["CallSid"], last["SipResponseCode"], last["CallDuration"]) == (call["sid"], sip_code, "0")
    assert last["CallbackSource"] == "call-progress-events"
    assert {"AccountSid", "From", "To", "Caller", "Called", "Direction", "ApiVersion", "Timestamp", "Duration"} <= set(
        last
    )
    validator = RequestValidator("token-of-the-tests")
    for request in requests:
        assert validator.validate(request.url, request.form, request.headers["X-Twilio-Signature"])
    assert len({request.headers["I-Twilio-Idempotency-Token"] for request in requests}) == len(requests)
    witness = await lab.until_over(call["sid"])
    assert witness["status"] == expected[-1]


async def test_only_the_end_is_told_by_default_and_gaps_stay_in_the_sequence(start, customer):
    lab = await start([{"phone": PHONE, "behaviour": "silent", "ring_s": 0}])
    await lab.call(PHONE, Twiml=HANGUP, StatusCallback=customer.url("/status"))
    [request] = await customer.wait_for("/status")
    assert (request.form["CallStatus"], request.form["SequenceNumber"]) == ("completed", "3")


async def test_the_ring_time_out_is_honoured(start, customer):
    lab = await start([{"phone": PHONE, "behaviour": "no_answer"}])
    call = await lab.call(PHONE, Twiml=HANGUP, Timeout=1, StatusCallback=customer.url("/status"))
    [request] = await customer.wait_for("/status")
    assert request.form["CallStatus"] == "no-answer"
    witness = await lab.until_over(call["sid"])
    assert witness["ending"]["sip_code"] == 487


async def test_a_queued_or_ringing_call_is_canceled_and_an_answered_one_is_not(start, customer):
    people = [{"phone": PHONE, "ring_s": 60}, {"phone": "+14155550017", "ring_s": 0, "behaviour": "silent"}]
    lab = await start(people, calls_per_second=0.01)
    pause, url = '<Response><Pause length="60"/></Response>', customer.url("/status")
    answered = await lab.call("+14155550017", Twiml=pause, StatusCallback=url, StatusCallbackEvent="answered")
    queued = await lab.call(PHONE, Twiml=HANGUP)
    sid = queued["sid"]
    await lab.post(f"/2010-04-01/Accounts/{queued['account_sid']}/Calls/{sid}.json", {"Status": "canceled"}, 200)
    assert (await lab.until_over(sid))["status"] == "canceled"
    sid = answered["sid"]
    path = f"/2010-04-01/Accounts/{queued['account_sid']}/Calls/{sid}.json"
    await customer.wait_for("/status")
    assert (await lab.post(path, {"Status": "canceled"}, 200))["status"] == "in-progress"
    await lab.post(path, {"Status": "completed"}, 200)
    assert (await lab.until_over(sid))["status"] == "completed"


async def test_a_slow_receiver_does_not_hold_up_the_call(start, customer):
    released = asyncio.Event()

    async def hang(_):
        from aiohttp import web

        await released.wait()
        return web.Response()

    customer.answers["/status"] = hang
    lab = await start([{"phone": PHONE, "behaviour": "silent", "ring_s": 0}])
    call = await lab.call(PHONE, Twiml=HANGUP, StatusCallback=customer.url("/status"), StatusCallbackEvent=ALL)
    witness = await lab.until_over(call["sid"], timeout_s=2)
    assert witness["status"] == "completed"
    released.set()


async def test_machine_detection_in_the_background_tells_its_own_callback(start, customer, media, stream):
    voicemail = {"phone": PHONE, "ring_s": 0, "behaviour": "voicemail", "greeting": "Leave a message."}
    lab = await start([voicemail])

    async def talk(server):
        await server.finished.wait()

    media(talk)
    url = customer.url("/amd")
    call = await lab.call(PHONE, Twiml=stream(), MachineDetection="Enable", AsyncAmd="true", AsyncAmdStatusCallback=url)
    [request] = await customer.wait_for("/amd")
    assert request.form["AnsweredBy"] == "machine_start"
    assert int(request.form["MachineDetectionDuration"]) > 0
    assert set(request.form) == {"CallSid", "AccountSid", "AnsweredBy", "MachineDetectionDuration"}
    path = f"/2010-04-01/Accounts/{call['account_sid']}/Calls/{call['sid']}.json"
    assert (await lab.get(path))["answered_by"] == "machine_start"


async def test_synchronous_detection_comes_before_the_instructions(start, customer):
    lab = await start([{"phone": PHONE, "ring_s": 0, "script": []}])
    url = customer.twiml("/twiml", HANGUP)
    await lab.call(PHONE, Url=url, MachineDetection="DetectMessageEnd")
    [request] = await customer.wait_for("/twiml")
    assert request.form["AnsweredBy"] == "human"


FAULTS = {
    "lost": ({"kind": "callback_lost", "event": "ringing"}, ["initiated", "in-progress", "completed"]),
    "repeated": (
        {"kind": "callback_repeated", "event": "completed"},
        ["initiated", "ringing", "in-progress", "completed", "completed"],
    ),
    "reordered": (
        {"kind": "callback_reordered", "event": "ringing"},
        ["initiated", "in-progress", "ringing", "completed"],
    ),
    "late": (
        {"kind": "callback_late", "event": "initiated", "delay_s": 0.7},
        ["ringing", "in-progress", "completed", "initiated"],
    ),
    "skipped": ({"kind": "callback_lost", "skip": 2, "count": 1}, ["initiated", "ringing", "completed"]),
    "someone else's": (
        {"kind": "callback_lost", "to": "+14155552222"},
        ["initiated", "ringing", "in-progress", "completed"],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_callbacks_suffer_the_faults_asked_for(start, customer, case):
    fault, expected = FAULTS[case]
    lab = await start([{"phone": PHONE, "ring_s": 0.1, "talk_s": 0.1}])
    await lab.session.post(lab.simulator.url + "/simulator/faults", json=fault)
    call = await lab.call(
        PHONE,
        Twiml='<Response><Pause length="9"/></Response>',
        StatusCallback=customer.url("/status"),
        StatusCallbackEvent=ALL,
    )
    await lab.until_over(call["sid"])
    got = statuses(await customer.wait_for("/status", len(expected)))
    if case == "reordered":
        assert sorted(got) == sorted(expected), "nothing lost"
        assert got.index("ringing") > got.index("in-progress")
    else:
        assert got == expected


async def test_faults_by_chance_are_the_same_for_the_same_seed(start, customer):
    async def lost(seed):
        lab = await start(seed=seed)
        fault = {"kind": "callback_lost", "probability": 0.5}
        await lab.session.post(lab.simulator.url + "/simulator/faults", json=fault)
        found = []
        for number in range(20):
            phone = f"+1415555{1000 + number}"
            await lab.session.post(
                lab.simulator.url + "/simulator/people", json=[{"phone": phone, "behaviour": "busy", "ring_s": 0}]
            )
            call = await lab.call(phone, Twiml=HANGUP, StatusCallback=customer.url("/status"), StatusCallbackEvent=ALL)
            witness = await lab.until_over(call["sid"])
            found.append([callback["fault"] for callback in witness["callbacks"]])
        return found

    first, again, other = await lost(1), await lost(1), await lost(2)
    assert first == again
    assert first != other
    assert 5 <= sum(result == "lost" for results in first for result in results) <= 35
