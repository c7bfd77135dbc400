"""What Twilio is told to do with an answered call."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import Element

import pytest

from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.stream_token import InvalidStreamToken, StreamToken
from breeze_buddy.store import conversations
from breeze_buddy.store.errors import Conflict
from tests.api.house import PUBLIC_URL, STREAM_URL, House


def parameters(twiml: Element) -> dict[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in twiml.iterfind("Connect/Stream/Parameter")}


def verbs(twiml: Element) -> list[str]:
    return [verb.tag for verb in twiml]


async def claim(house: House, token: str) -> conversations.ClaimedCall:
    """What the media server does with the token of a stream."""
    now = house.database.now()
    read = StreamToken.read(token, secret=house.settings.stream_secret, now=now)
    async with house.database.write() as tx:
        return await conversations.claim_stream(
            tx, token_id=read.token_id, call_id=read.call_id, call_sid="CA1", stream_sid="MZ1", now=now
        )


@pytest.mark.parametrize("name", ["answer", "twiml-fallback"])
async def test_an_answered_call_gets_a_stream_and_a_way_back(house: House, name: str) -> None:
    _, call_id = await house.dialled_call()
    twiml = await house.twiml(name, call_id)
    assert verbs(twiml) == ["Connect", "Redirect"]
    stream = twiml.find("Connect/Stream")
    assert stream is not None
    assert stream.attrib["url"] == STREAM_URL
    assert parameters(twiml)["call_id"] == call_id
    assert parameters(twiml)["lead_id"]
    redirect = twiml.find("Redirect")
    assert redirect is not None
    assert redirect.attrib["method"] == "POST"
    assert (redirect.text or "").startswith(f"{PUBLIC_URL}/twilio/callback/continue?")
    assert parse_qs(urlsplit(redirect.text or "").query)["call_id"] == [call_id]


async def test_the_token_opens_the_stream_of_its_call_once(house: House) -> None:
    _, call_id = await house.dialled_call()
    token = parameters(await house.twiml("answer", call_id))["token"]
    assert (await claim(house, token)).call_id == call_id
    with pytest.raises(Conflict, match="used"):
        await claim(house, token)
    again = parameters(await house.twiml("answer", call_id))["token"]
    assert again != token
    assert (await claim(house, again)).call_id == call_id


async def test_the_token_is_short_lived_and_ours(house: House) -> None:
    _, call_id = await house.dialled_call()
    token = parameters(await house.twiml("answer", call_id))["token"]
    secret, now = house.settings.stream_secret, house.database.now()
    ttl = timedelta(seconds=house.settings.stream_token_ttl_s)
    StreamToken.read(token, secret=secret, now=now + ttl - timedelta(seconds=5))
    with pytest.raises(InvalidStreamToken, match="expired"):
        StreamToken.read(token, secret=secret, now=now + ttl + timedelta(seconds=5))
    with pytest.raises(InvalidStreamToken):
        StreamToken.read(token, secret=f"{secret}x", now=now)
    with pytest.raises(InvalidStreamToken):
        StreamToken.read(token[:-2], secret=secret, now=now)


async def report(house: House, call_id: str, ending: Ending = Ending.REACHED_END) -> None:
    now = house.database.now()
    async with house.database.write() as tx:
        said = ConversationReport(call_id=call_id, began_at=now, ended_at=now, ending=ending)
        await conversations.save_report(tx, said, now=now)


async def test_after_a_conversation_that_ended_the_call_is_hung_up(house: House) -> None:
    _, call_id = await house.dialled_call()
    await house.twiml("answer", call_id)
    await report(house, call_id)
    assert verbs(await house.twiml("continue", call_id)) == ["Hangup"]


async def test_after_the_end_of_the_attempt_the_call_is_hung_up(house: House) -> None:
    _, call_id = await house.dialled_call()
    await house.twilio("status", call_id, {"CallSid": "CA1", "CallStatus": "completed", "SequenceNumber": "3"})
    await house.finish(call_id)
    assert verbs(await house.twiml("continue", call_id)) == ["Hangup"]


async def test_a_call_that_no_media_server_takes_is_offered_again_and_then_ended_with_an_apology(house: House) -> None:
    lead_id, call_id = await house.dialled_call()
    pauses, tokens = [], set()
    for _ in range(20):
        twiml = await house.twiml("continue", call_id)
        if verbs(twiml) == ["Say", "Hangup"]:
            break
        pause = twiml.find("Pause")
        pauses.append(int(pause.attrib["length"]) if pause is not None else 0)
        tokens.add(parameters(twiml)["token"])
    # Six streams, each with a token of its own, and a longer silence before each.
    assert pauses == [0, 0, 1, 2, 3, 4]
    assert len(tokens) == 6
    said = twiml.find("Say")
    assert said is not None
    assert "sorry" in (said.text or "")
    # It was our failure: the lead goes back without having used an attempt.
    await house.twilio("status", call_id, {"CallSid": "CA1", "CallStatus": "completed", "SequenceNumber": "3"})
    assert await house.finish(call_id) is LeadStatus.BACKLOG
    lead = await house.lead(lead_id)
    assert (lead["attempts"], [call["counted"] for call in lead["calls"]]) == (0, [False])


async def test_a_call_whose_stream_broke_goes_on_with_another(house: House) -> None:
    _, call_id = await house.dialled_call()
    await claim(house, parameters(await house.twiml("answer", call_id))["token"])
    again = await house.twiml("continue", call_id)
    assert verbs(again) == ["Connect", "Redirect"]
    assert (await claim(house, parameters(again)["token"])).call_id == call_id
