"""The official client cannot tell the simulator from Twilio in what a campaign uses."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from .conference_room import until_joined

TALKER = {"phone": "+14155551111", "name": "Ada", "ring_s": 0.05, "behaviour": "silent"}
HANGUP = "<Response><Hangup/></Response>"
FROM = "+14155550100"


@pytest.fixture
async def connect():
    clients = []

    def to(lab, token="token-of-the-tests"):
        client = Client(lab.simulator.account.sid, token, http_client=AsyncTwilioHttpClient(timeout=5))
        client.api.base_url = lab.simulator.url
        clients.append(client)
        return client

    yield to
    for client in clients:
        await client.http_client.close()


async def refusal(awaitable) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as caught:
        await awaitable
    return caught.value


async def test_a_call_is_created_read_listed_and_hung_up(start, connect, customer):
    lab = await start([TALKER])
    client = connect(lab)
    call = await client.calls.create_async(
        to=TALKER["phone"],
        from_=FROM,
        twiml='<Response><Pause length="60"/></Response>',
        status_callback=customer.url("/status"),
        status_callback_event=["answered", "completed"],
    )
    assert (call.status, call.direction, call.to) == ("queued", "outbound-api", TALKER["phone"])
    assert call.date_created.tzinfo is not None
    await customer.wait_for("/status")
    read = await client.calls(call.sid).fetch_async()
    assert read.status == "in-progress"
    assert read.start_time is not None
    assert read.duration is None
    ended = await client.calls(call.sid).update_async(status="completed")
    assert ended.status == "completed"
    read = await client.calls(call.sid).fetch_async()
    assert (read.status, read.duration) == ("completed", "0")
    error = await refusal(client.calls(call.sid).update_async(status="completed"))
    assert (error.status, error.code) == (404, 20404)
    error = await refusal(client.calls(call.sid).update_async(twiml=HANGUP))
    assert (error.status, error.code) == (400, 21220)


async def test_the_synchronous_client_works_too(start):
    lab = await start([TALKER])
    client = Client(lab.simulator.account.sid, "token-of-the-tests")
    client.api.base_url = lab.simulator.url

    def use():
        call = client.calls.create(to=TALKER["phone"], from_=FROM, twiml=HANGUP)
        return call.sid, [found.sid for found in client.calls.list(to=TALKER["phone"])]

    sid, found = await asyncio.to_thread(use)
    assert found == [sid]


async def test_calls_are_found_by_number_status_and_time_over_many_pages(start, connect):
    lab = await start()
    client = connect(lab)
    phones = [f"+1415555{number}" for number in range(1001, 1008)]
    for phone in phones:
        await client.calls.create_async(to=phone, from_=FROM, twiml=HANGUP)
    assert [call.to for call in await client.calls.list_async()] == phones[::-1], "newest first"
    streamed = await client.calls.stream_async(page_size=2)
    assert [call.to async for call in streamed] == phones[::-1]
    assert [call.to for call in await client.calls.list_async(limit=3, page_size=2)] == phones[:-4:-1]
    assert [call.to for call in await client.calls.list_async(to=phones[2], from_=FROM)] == [phones[2]]
    assert await client.calls.list_async(to=phones[2], from_="+14155550199") == []
    assert await client.calls.list_async(status="busy") == []
    now = datetime.now(UTC)
    assert len(await client.calls.list_async(to=phones[0], start_time_after=now - timedelta(seconds=30))) == 1
    assert await client.calls.list_async(start_time_after=now + timedelta(seconds=30)) == []
    assert len(await client.calls.list_async(start_time_before=now + timedelta(seconds=30))) == 7
    assert len(await client.calls.list_async(start_time=now.date())) == 7


async def test_a_page_keeps_its_place_while_new_calls_arrive(start, connect):
    lab = await start()
    client = connect(lab)
    for last in range(4):
        await client.calls.create_async(to=f"+1415555100{last}", from_=FROM, twiml=HANGUP)
    first = await client.calls.page_async(page_size=2)
    assert [call.to[-1] for call in first] == ["3", "2"]
    await client.calls.create_async(to="+14155551009", from_=FROM, twiml=HANGUP)
    second = await first.next_page_async()
    assert [call.to[-1] for call in second] == ["1", "0"]


REFUSED = {
    "no to": ({"to": ""}, 400, 21201),
    "bad to": ({"to": "12345"}, 400, 21211),
    "bad from": ({"from_": "Breeze"}, 400, 21212),
    "not our number": ({"from_": "+14155550199"}, 400, 21210),
    "no instructions": ({"twiml": None}, 400, 21205),
    "bad url": ({"twiml": None, "url": "not a url"}, 400, 21205),
    "no application": ({"twiml": None, "application_sid": "AP" + "0" * 32}, 400, 21218),
    "twiml too long": ({"twiml": "x" * 4001}, 400, 20001),
    "bad status callback": ({"status_callback": "nowhere"}, 400, 21609),
    "joined events": ({"status_callback_event": ["ringing answered"]}, 400, 21626),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_twilio_refuses_is_refused_with_its_code(start, connect, case):
    parameters, status, code = REFUSED[case]
    lab = await start()
    lab.simulator.account.add_numbers([FROM])
    good = {"to": TALKER["phone"], "from_": FROM, "twiml": HANGUP}
    given = {name: value for name, value in (good | parameters).items() if value is not None}
    error = await refusal(connect(lab).calls.create_async(**given))
    assert (error.status, error.code) == (status, code)
    assert await lab.get("/simulator/calls") == []


async def test_wrong_credentials_and_unknown_resources_are_refused(start, connect):
    lab = await start()
    error = await refusal(connect(lab, token="wrong").calls.create_async(to="+14155551111", from_=FROM, twiml=HANGUP))
    assert (error.status, error.code) == (401, 20003)
    error = await refusal(connect(lab).calls("CA" + "0" * 32).fetch_async())
    assert (error.status, error.code) == (404, 20404)
    error = await refusal(connect(lab).recordings("RE" + "0" * 32).fetch_async())
    assert (error.status, error.code) == (404, 20404)


async def test_a_trial_account_calls_verified_numbers_only(start, connect):
    lab = await start([TALKER], trial=True, verified=(TALKER["phone"],))
    client = connect(lab)
    error = await refusal(client.calls.create_async(to="+14155559999", from_=FROM, twiml=HANGUP))
    assert (error.status, error.code) == (400, 21219)
    await client.calls.create_async(to=TALKER["phone"], from_=FROM, twiml=HANGUP)
    assert (await client.api.accounts(client.account_sid).fetch_async()).type == "Trial"


async def test_the_accounts_numbers_are_listed(start, connect):
    lab = await start()
    lab.simulator.account.add_numbers([FROM, "+14155550101"])
    client = connect(lab)
    numbers = await client.incoming_phone_numbers.list_async()
    assert [number.phone_number for number in numbers] == [FROM, "+14155550101"]
    assert numbers[0].capabilities["voice"] is True
    found = await client.incoming_phone_numbers.list_async(phone_number="+14155550101")
    assert [number.phone_number for number in found] == ["+14155550101"]


async def test_a_recording_is_started_paused_stopped_listed_and_deleted(start, connect, media, stream):
    lab = await start([TALKER])
    client = connect(lab)

    async def talk(server):
        await server.finished.wait()

    server = media(talk)
    call = await client.calls.create_async(to=TALKER["phone"], from_=FROM, twiml=stream())
    await asyncio.wait_for(server.started.wait(), 10)
    recording = await client.calls(call.sid).recordings.create_async(recording_channels="dual")
    assert (recording.status, recording.source, recording.channels) == ("in-progress", "StartCallRecordingAPI", 2)
    current = client.calls(call.sid).recordings("Twilio.CURRENT")
    assert (await current.update_async(status="paused")).status == "paused"
    assert (await current.update_async(status="in-progress")).status == "in-progress"
    await server.wait_for("media", 10)
    assert (await client.calls(call.sid).recordings(recording.sid).update_async(status="stopped")).status == "completed"
    assert [found.sid for found in await client.recordings.list_async(call_sid=call.sid)] == [recording.sid]
    assert [found.sid for found in await client.calls(call.sid).recordings.list_async()] == [recording.sid]
    await client.calls(call.sid).update_async(status="completed")
    await lab.until_over(call.sid)
    assert await client.recordings(recording.sid).delete_async()
    assert await client.recordings.list_async() == []
    error = await refusal(client.calls(call.sid).recordings.create_async())
    assert (error.status, error.code) == (400, 21220)


async def test_a_conference_is_filled_held_listed_and_ended(start, connect, customer):
    lab = await start([TALKER, {"phone": "+14155552222", "ring_s": 0, "behaviour": "silent"}])
    client = connect(lab)
    call = await client.calls.create_async(
        to=TALKER["phone"], from_=FROM, twiml="<Response><Dial><Conference>a room</Conference></Dial></Response>"
    )
    await until_joined(lab, call.sid)
    agent = await client.conferences("a room").participants.create_async(
        from_=FROM,
        to="+14155552222",
        label="agent",
        timeout=20,
        early_media=False,
        beep="false",
        end_conference_on_exit=True,
        start_conference_on_enter=True,
        wait_url="",
        status_callback=customer.url("/agent"),
        status_callback_event=["initiated", "answered", "completed"],
        conference_status_callback=customer.url("/ignored"),
        conference_status_callback_event=["join", "leave"],
        call_reason="a transfer",
    )
    assert (agent.status, agent.label, agent.end_conference_on_exit) == ("queued", "agent", True)
    await until_joined(lab, agent.call_sid)
    [room] = await client.conferences.list_async(friendly_name="a room", status="in-progress")
    people = await client.conferences(room.sid).participants.list_async()
    assert [(one.call_sid, one.status) for one in people] == [(call.sid, "connected"), (agent.call_sid, "connected")]
    one = client.conferences(room.sid).participants(call.sid)
    assert (await one.update_async(hold=True, muted=True)).hold is True
    assert [p.call_sid for p in await client.conferences(room.sid).participants.list_async(hold=True)] == [call.sid]
    assert (await one.fetch_async()).muted is True
    assert (await one.update_async(hold=False, muted=False)).hold is False
    assert await client.conferences(room.sid).participants("agent").delete_async()
    await lab.until_over(call.sid)
    ended = await client.conferences(room.sid).fetch_async()
    assert ended.status == "completed"
    assert ended.reason_conference_ended == "participant-with-end-conference-on-exit-kicked"
    assert ended.call_sid_ending_conference == agent.call_sid
    assert await client.conferences(room.sid).participants.list_async() == []
    error = await refusal(one.fetch_async())
    assert (error.status, error.code) == (404, 20404)
    error = await refusal(client.conferences("CF" + "0" * 32).participants.create_async(from_=FROM, to=TALKER["phone"]))
    assert (error.status, error.code) == (404, 20404)
    error = await refusal(client.conferences("a room").participants.create_async(from_=FROM, to="12345"))
    assert (error.status, error.code) == (400, 21211)


async def test_a_number_is_told_what_its_calls_do(start, connect, customer):
    lab = await start()
    lab.simulator.account.add_numbers([FROM])
    client = connect(lab)
    [number] = await client.incoming_phone_numbers.list_async()
    url = customer.url("/voice")
    changed = await client.incoming_phone_numbers(number.sid).update_async(
        voice_url=url, voice_method="GET", voice_fallback_url=url, status_callback=url, friendly_name="Front desk"
    )
    assert (changed.voice_url, changed.voice_method, changed.status_callback) == (url, "GET", url)
    assert (await client.incoming_phone_numbers(number.sid).fetch_async()).friendly_name == "Front desk"
    error = await refusal(client.incoming_phone_numbers(number.sid).update_async(voice_url="nowhere"))
    assert (error.status, error.code) == (400, 21205)
