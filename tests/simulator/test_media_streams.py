"""A media server of ours sees what Twilio's customers see, and its messages do what Twilio's do."""

import asyncio

from twilio.request_validator import RequestValidator

TALKER = {"phone": "+14155551111", "ring_s": 0.05, "script": ["Yes."], "patience_s": 0.3}
SILENT = {"phone": "+14155552222", "ring_s": 0.05, "behaviour": "silent"}
AUTH_TOKEN = "token-of-the-tests"


async def test_a_stream_is_introduced_and_carries_the_callee_in_numbered_frames(start, media, stream, customer):
    lab = await start([SILENT])

    async def talk(server):
        await server.wait_for("media", 5)
        await server.close()

    server = media(talk)
    call = await lab.call(SILENT["phone"], Twiml=stream(lead_id="42"))
    await server.finished.wait()
    connected, begun, *frames = server.messages
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert begun == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": server.stream_sid,
        "start": {
            "accountSid": call["account_sid"],
            "streamSid": server.stream_sid,
            "callSid": call["sid"],
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"lead_id": "42"},
        },
    }
    assert server.stream_sid.startswith("MZ")
    assert len(server.stream_sid) == 34
    assert [frame["sequenceNumber"] for frame in frames[:5]] == ["2", "3", "4", "5", "6"]
    first = frames[0]["media"]
    assert (first["track"], first["chunk"]) == ("inbound", "1")
    assert int(first["timestamp"]) > 0
    assert int(frames[1]["media"]["timestamp"]) == int(first["timestamp"]) + 20
    assert len(first["payload"]) == 216
    witness = await lab.until_over(call["sid"])
    assert witness["ending"]["by"] == "the TwiML"


async def test_the_upgrade_is_signed_over_the_exact_url(start, media, stream, customer):
    lab = await start([SILENT])

    async def talk(server):
        await server.close()

    server = media(talk)
    await lab.call(SILENT["phone"], Twiml=stream())
    await server.finished.wait()
    validator = RequestValidator(AUTH_TOKEN)
    signature = server.headers["X-Twilio-Signature"]
    assert validator.validate(customer.ws_url("/media"), {}, signature)
    assert not validator.validate(customer.ws_url("/other"), {}, signature)


async def test_a_mark_comes_back_after_its_sound_and_at_once_when_nothing_waits(start, media, stream):
    lab = await start([SILENT])
    times = {}

    async def talk(server):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await server.mark("empty")
        await server.wait_for("mark", 1)
        times["empty"] = loop.time() - begun
        begun = loop.time()
        await server.say(0.5)
        await server.mark("spoken")
        await server.wait_for("mark", 2)
        times["spoken"] = loop.time() - begun
        await server.close()

    server = media(talk)
    call = await lab.call(SILENT["phone"], Twiml=stream())
    await server.finished.wait()
    assert [mark["mark"]["name"] for mark in server.of("mark")] == ["empty", "spoken"]
    assert times["spoken"] >= 0.45
    assert times["empty"] < times["spoken"]
    numbers = [int(message["sequenceNumber"]) for message in server.messages[1:]]
    assert numbers == list(range(1, len(numbers) + 1)), "one sequence over all types"
    await lab.until_over(call["sid"])


async def test_clear_empties_the_buffer_and_returns_every_pending_mark(start, media, stream):
    lab = await start([SILENT])
    seen = {}

    async def talk(server):
        loop = asyncio.get_running_loop()
        for name in ("first", "second"):
            await server.say(20)
            await server.mark(name)
        begun = loop.time()
        await server.send("clear")
        await server.wait_for("mark", 2)
        seen["clear"] = loop.time() - begun
        begun = loop.time()
        await server.mark("after")
        await server.wait_for("mark", 3)
        seen["after"] = loop.time() - begun
        await server.close()

    server = media(talk)
    await lab.call(SILENT["phone"], Twiml=stream())
    await server.finished.wait()
    assert [mark["mark"]["name"] for mark in server.of("mark")] == ["first", "second", "after"]
    assert seen["clear"] < 5
    assert seen["after"] < 5


async def test_keys_arrive_as_dtmf(start, media, stream):
    lab = await start([{"phone": "+14155553333", "ring_s": 0, "script": [{"press": "4#"}]}])

    async def talk(server):
        await server.say(0.2)
        await server.wait_for("dtmf", 2)
        await server.close()

    server = media(talk)
    await lab.call("+14155553333", Twiml=stream())
    await server.finished.wait()
    assert [event["dtmf"] for event in server.of("dtmf")] == [
        {"track": "inbound_track", "digit": "4"},
        {"track": "inbound_track", "digit": "#"},
    ]


async def test_when_the_callee_hangs_up_the_stream_stops_and_then_the_socket_closes(start, media, stream):
    lab = await start([SILENT | {"talk_s": 0.2}])

    async def talk(server):
        await server.finished.wait()

    server = media(talk)
    call = await lab.call(SILENT["phone"], Twiml=stream(after="<Say>Never heard</Say>"))
    await server.finished.wait()
    assert server.messages[-1]["event"] == "stop"
    assert server.messages[-1]["stop"] == {"accountSid": call["account_sid"], "callSid": call["sid"]}
    assert server.close_code == 1000
    witness = await lab.until_over(call["sid"])
    assert witness["ending"]["by"] == "the callee"


async def test_when_the_media_server_closes_the_next_verb_runs(start, media, stream, customer):
    lab = await start([SILENT])

    async def talk(server):
        await server.close()

    server = media(talk)
    customer.twiml("/continue", "<Response><Hangup/></Response>")
    document = stream(after=f"<Redirect>{customer.url('/continue')}</Redirect>")
    call = await lab.call(SILENT["phone"], Twiml=document)
    await server.finished.wait()
    [request] = await customer.wait_for("/continue")
    assert request.form["CallSid"] == call["sid"]
    assert request.form["CallStatus"] == "in-progress"
    await lab.until_over(call["sid"])


async def test_when_the_media_server_dies_the_next_verb_runs(start, media, stream, customer):
    lab = await start([SILENT])

    async def talk(server):
        await server.wait_for("media", 2)
        server.socket._req.transport.abort()

    media(talk)
    customer.twiml("/continue", "<Response><Hangup/></Response>")
    document = stream(after=f"<Redirect>{customer.url('/continue')}</Redirect>")
    call = await lab.call(SILENT["phone"], Twiml=document)
    await customer.wait_for("/continue")
    witness = await lab.until_over(call["sid"])
    assert [note["code"] for note in witness["notifications"]] == [31921]


async def test_a_stream_that_cannot_be_connected_is_noted_and_the_next_verb_runs(start, stream, customer):
    async def refuse(_):
        from aiohttp import web

        return web.Response(status=403)

    customer.answers["/media"] = refuse
    lab = await start([SILENT])
    customer.twiml("/continue", "<Response><Hangup/></Response>")
    for document in (
        stream(after=f"<Redirect>{customer.url('/continue')}</Redirect>"),
        '<Response><Connect><Stream url="ws://127.0.0.1:9/"/></Connect>'
        f"<Redirect>{customer.url('/continue')}</Redirect></Response>",
        f'<Response><Connect><Stream url="{customer.ws_url("/media?lead=1")}"/></Connect>'
        f"<Redirect>{customer.url('/continue')}</Redirect></Response>",
    ):
        before = len(customer.at("/continue"))
        call = await lab.call(SILENT["phone"], Twiml=document)
        await customer.wait_for("/continue", before + 1)
        witness = await lab.until_over(call["sid"])
        assert [note["code"] for note in witness["notifications"]] == [31920]


async def test_an_insecure_stream_is_refused_when_the_setting_says_so(start, media, stream):
    lab = await start([SILENT], allow_insecure_streams=False)
    call = await lab.call(SILENT["phone"], Twiml=stream())
    witness = await lab.until_over(call["sid"])
    assert [note["code"] for note in witness["notifications"]] == [31920]


async def test_binary_malformed_and_foreign_messages_close_the_stream_with_their_code(start, media, stream):
    lab = await start([SILENT])

    async def binary(server):
        await server.socket.send_bytes(b"\x00")

    async def garbage(server):
        await server.socket.send_str("{not json")

    async def foreign(server):
        await server.socket.send_json({"event": "clear", "streamSid": "MZ" + "0" * 32})

    async def unknown(server):
        await server.socket.send_json({"event": "dance", "streamSid": server.stream_sid})

    async def too_long(server):
        for _ in range(11):
            await server.say(60)

    expected = {binary: 31950, garbage: 31924, foreign: 31924, unknown: 31924, too_long: 31931}
    for talk, code in expected.items():
        server = media(talk)
        call = await lab.call(SILENT["phone"], Twiml=stream())
        await asyncio.wait_for(server.finished.wait(), 10)
        witness = await lab.until_over(call["sid"])
        assert [note["code"] for note in witness["notifications"]] == [code]


async def test_the_stream_tells_its_own_status_callback(start, media, customer):
    lab = await start([SILENT])

    async def talk(server):
        await server.close()

    media(talk)
    url, status = customer.ws_url("/media"), customer.url("/stream-status")
    document = f'<Response><Connect><Stream url="{url}" name="s1" statusCallback="{status}"/></Connect></Response>'
    call = await lab.call(SILENT["phone"], Twiml=document)
    events = await customer.wait_for("/stream-status", 2)
    assert [event.form["StreamEvent"] for event in events] == ["stream-started", "stream-stopped"]
    assert {event.form["CallSid"] for event in events} == {call["sid"]}
    assert events[0].form["StreamName"] == "s1"
