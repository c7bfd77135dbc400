"""Creating a call fails in every way that a network knows."""

import asyncio

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

PHONE = "+14155551111"
HANGUP = "<Response><Hangup/></Response>"


@pytest.fixture
async def create(start):
    """Puts a fault in force and creates a call: the answer or the error, and how many calls exist afterwards."""
    clients = []

    async def run(fault, timeout_s=0.5):
        lab = await start([{"phone": PHONE, "behaviour": "busy", "ring_s": 0}])
        await lab.session.post(lab.simulator.url + "/simulator/faults", json={"count": 1} | fault)
        http = AsyncTwilioHttpClient()
        clients.append(http)
        client = Client(lab.simulator.account.sid, "token-of-the-tests", http_client=http)
        client.api.base_url = lab.simulator.url
        outcome = None
        try:
            # The asynchronous client of twilio 9.13 does not pass its own timeout on; ours bounds the request.
            async with asyncio.timeout(timeout_s):
                outcome = await client.calls.create_async(to=PHONE, from_="+14155550100", twiml=HANGUP)
        except (TwilioRestException, aiohttp.ClientError, TimeoutError) as error:
            outcome = error
        found = await client.calls.list_async(to=PHONE)
        again = await client.calls.create_async(to=PHONE, from_="+14155550100", twiml=HANGUP)
        assert again.status == "queued", "the fault is over"
        return outcome, len(found)

    yield run
    for http in clients:
        await http.close()


async def test_too_many_requests(create):
    error, calls = await create({"kind": "create_429"})
    assert (error.status, error.code, calls) == (429, 20429, 0)


async def test_server_error(create):
    error, calls = await create({"kind": "create_5xx", "status": 502})
    assert (error.status, calls) == (502, 0)


async def test_a_time_out_before_the_call_exists(create):
    error, calls = await create({"kind": "create_timeout_before"})
    assert isinstance(error, TimeoutError)
    assert calls == 0


async def test_a_time_out_after_the_call_exists(create):
    error, calls = await create({"kind": "create_timeout_after"})
    assert isinstance(error, TimeoutError)
    assert calls == 1


async def test_a_connection_reset_before_and_after_the_call_exists(create):
    error, calls = await create({"kind": "create_reset"})
    assert isinstance(error, aiohttp.ClientError)
    assert calls == 0
    error, calls = await create({"kind": "create_reset_after"})
    assert isinstance(error, aiohttp.ClientError)
    assert calls == 1


async def test_a_call_that_the_list_shows_late(create):
    call, found = await create({"kind": "list_late", "delay_s": 60})
    assert call.status == "queued"
    assert found == 0


async def test_faults_are_listed_counted_and_lifted(start):
    lab = await start()
    url = lab.simulator.url + "/simulator/faults"
    await lab.session.post(url, json=[{"kind": "create_429"}, {"kind": "callback_lost", "count": 3}])
    listed = await lab.get("/simulator/faults")
    assert [(fault["kind"], fault["count"], fault["done"]) for fault in listed] == [
        ("create_429", None, 0),
        ("callback_lost", 3, 0),
    ]
    async with lab.session.delete(f"{url}/{listed[0]['id']}") as response:
        assert await response.json() == {"lifted": 1}
    async with lab.session.delete(url) as response:
        assert await response.json() == {"lifted": 1}
    async with lab.session.post(url, json={"kind": "earthquake"}) as response:
        assert response.status == 422


async def test_reset_forgets_calls_recordings_and_faults(start):
    lab = await start([{"phone": PHONE, "behaviour": "silent", "ring_s": 0}])
    await lab.session.post(lab.simulator.url + "/simulator/faults", json={"kind": "callback_lost"})
    await lab.call(PHONE, Twiml='<Response><Pause length="60"/></Response>', Record="true")
    await lab.session.post(lab.simulator.url + "/simulator/reset")
    assert await lab.get("/simulator/calls") == []
    assert await lab.get("/simulator/faults") == []
    assert (await lab.get("/simulator/health"))["live_calls"] == 0
    assert len(await lab.get("/simulator/people")) == 1


async def test_a_fault_by_chance_does_not_befall_every_repetition_of_a_create(start):
    lab = await start([{"phone": PHONE, "behaviour": "busy", "ring_s": 0}], seed=3)
    await lab.session.post(lab.simulator.url + "/simulator/faults", json={"kind": "create_429", "probability": 0.5})
    form = {"To": PHONE, "From": "+14155550100", "Twiml": HANGUP}
    statuses = set()
    for _ in range(20):
        async with lab.session.post(
            f"{lab.simulator.url}/2010-04-01/Accounts/{lab.simulator.account.sid}/Calls.json", data=form
        ) as response:
            statuses.add(response.status)
    assert statuses == {201, 429}
