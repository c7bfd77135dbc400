"""How a call's instructions are fetched, fall back, move elsewhere and end."""

import asyncio
import io
import wave

from twilio.request_validator import RequestValidator

PHONE = "+14155551111"
SILENT = {"phone": PHONE, "behaviour": "silent", "ring_s": 0}
HANGUP = "<Response><Hangup/></Response>"
WAIT = '<Response><Pause length="60"/></Response>'


def codes(witness):
    return [note["code"] for note in witness["notifications"]]


async def test_instructions_are_fetched_with_a_signed_request_when_the_call_is_answered(start, customer):
    lab = await start([SILENT])
    call = await lab.call(PHONE, Url=customer.twiml("/twiml", HANGUP) + "?lead=7")
    [request] = await customer.wait_for("/twiml")
    assert request.method == "POST"
    assert request.url.endswith("?lead=7")
    expected = {"CallSid": call["sid"], "CallStatus": "in-progress", "To": PHONE, "Direction": "outbound-api"}
    assert expected.items() <= request.form.items()
    signature = request.headers["X-Twilio-Signature"]
    assert RequestValidator("token-of-the-tests").validate(request.url, request.form, signature)
    await lab.until_over(call["sid"])


async def test_instructions_are_fetched_by_get_when_asked(start, customer):
    lab = await start([SILENT])
    await lab.call(PHONE, Url=customer.twiml("/twiml", HANGUP), Method="GET")
    [request] = await customer.wait_for("/twiml")
    assert (request.method, request.form) == ("GET", {})
    assert "CallSid=CA" in request.url


async def test_bad_instructions_lead_to_the_fallback_once_and_then_the_call_ends(start, customer):
    lab = await start([SILENT])
    fine = customer.twiml("/fallback", HANGUP)
    bad = customer.twiml("/bad-fallback", "<Response><Dance/></Response>")
    broken = {
        customer.twiml("/500", "", status=500): 11200,
        customer.twiml("/404", "", status=404): 11200,
        customer.twiml("/xml", "<Response"): 12100,
        customer.twiml("/verb", "<Response><Dance/></Response>"): 12200,
        "http://127.0.0.1:9/nobody": 11200,
    }
    for url, code in broken.items():
        before = len(customer.at("/fallback"))
        call = await lab.call(PHONE, Url=url, FallbackUrl=fine)
        request = (await customer.wait_for("/fallback", before + 1))[-1]
        assert (request.form["ErrorCode"], request.form["ErrorUrl"]) == (str(code), url)
        witness = await lab.until_over(call["sid"])
        assert codes(witness) == [code]
        assert witness["status"] == "completed"
    call = await lab.call(PHONE, Url=customer.url("/500"), FallbackUrl=bad)
    assert codes(await lab.until_over(call["sid"])) == [11200, 12200]


async def test_a_relative_redirect_and_a_connect_action_follow_their_document(start, customer, media):
    lab = await start([SILENT])

    async def talk(server):
        await server.close()

    media(talk)
    stream = f'<Stream url="{customer.ws_url("/media")}"/>'
    customer.twiml("/a/next", f'<Response><Connect action="../done">{stream}</Connect></Response>')
    customer.twiml("/done", HANGUP)
    call = await lab.call(PHONE, Url=customer.twiml("/a/first", "<Response><Redirect>next</Redirect></Response>"))
    await customer.wait_for("/done")
    assert codes(await lab.until_over(call["sid"])) == []


async def test_a_live_call_is_moved_from_its_stream_to_other_instructions(start, customer, media, stream):
    lab = await start([SILENT])

    async def talk(server):
        await server.finished.wait()

    server = media(talk)
    call = await lab.call(PHONE, Twiml=stream(after="<Redirect>http://127.0.0.1:9/never</Redirect>"))
    await server.wait_for("media", 3)
    path = f"/2010-04-01/Accounts/{call['account_sid']}/Calls/{call['sid']}.json"
    await lab.post(path, {"Url": customer.twiml("/elsewhere", WAIT)}, 200)
    await customer.wait_for("/elsewhere")
    await asyncio.wait_for(server.finished.wait(), 5)
    assert server.messages[-1]["event"] == "stop"
    assert (await lab.get(path))["status"] == "in-progress"
    await lab.post(path, {"Twiml": HANGUP}, 200)
    assert codes(await lab.until_over(call["sid"])) == []


async def test_a_call_ends_when_its_instructions_do_and_at_its_time_limit(start, customer):
    lab = await start([SILENT])
    call = await lab.call(PHONE, Twiml="<Response/>")
    assert (await lab.until_over(call["sid"]))["ending"]["by"] == "the TwiML"
    call = await lab.call(PHONE, Twiml=WAIT, TimeLimit=1)
    witness = await lab.until_over(call["sid"])
    assert (witness["ending"]["by"], witness["duration_s"]) == ("the time limit", 1)


async def test_play_is_heard_and_what_is_no_wav_is_skipped(start, customer):
    lab = await start([SILENT | {"script": []}])
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\x00\x10" * 8000)

    async def serve(request):
        from aiohttp import web

        return web.Response(body=sound.getvalue() if request.path == "/a.wav" else b"ID3", content_type="audio/wav")

    customer.answers |= {"/a.wav": serve, "/a.mp3": serve}
    document = f"<Response><Play>{customer.url('/a.wav')}</Play><Play>{customer.url('/a.mp3')}</Play></Response>"
    call = await lab.call(PHONE, Twiml=document, Record="true")
    witness = await lab.until_over(call["sid"])
    assert codes(witness) == [12300]
    [recording] = witness["recordings"]
    assert 0.45 <= recording["duration_s"] <= 2


async def test_calls_wait_their_turn_at_the_accounts_rate(start, customer):
    lab = await start(calls_per_second=10)
    numbers = [f"+1415555{2000 + i}" for i in range(6)]
    people = [{"phone": phone, "behaviour": "busy", "ring_s": 0} for phone in numbers]
    await lab.session.post(lab.simulator.url + "/simulator/people", json=people)
    calls = await asyncio.gather(*(lab.call(phone, Twiml=HANGUP) for phone in numbers))
    ended = [await lab.until_over(call["sid"]) for call in calls]
    waits = []
    for call in ended:
        read = await lab.get(f"/2010-04-01/Accounts/{calls[0]['account_sid']}/Calls/{call['sid']}.json")
        waits.append(int(read["queue_time"]))
    assert sorted(waits)[0] < 100
    assert sorted(waits)[-1] >= 400


async def test_a_trial_call_begins_with_its_announcement(start, customer):
    lab = await start([SILENT], trial=True, verified=(PHONE,))
    call = await lab.call(PHONE, Twiml=HANGUP, Record="true")
    [recording] = (await lab.until_over(call["sid"]))["recordings"]
    assert recording["duration_s"] > 1
