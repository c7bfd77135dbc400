"""A transfer over REST and by Twilio's callbacks: asked for once, let in once, told apart."""

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from breeze_buddy.domain.call import CallFacts, CallStatus
from breeze_buddy.domain.messages import lead_workflow_id
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.store import acceptance, attempts, human_legs, transfers
from tests.api.house import LIMITS, PUBLIC_URL, House, person

TEAM = {"agents": ["+14155550199", "+14155550198"], "briefing": "{customer}: {reason}", "comfort": "One moment."}
CALLBACKS = "/twilio/callback/transfer"


@dataclass
class Handed:
    """A call on the phone, with its transfer and one phone of the team that rings."""

    house: House
    lead_id: str
    call_id: str
    transfer_id: str
    leg_id: str = "leg-1"

    async def callback(self, name: str, form: dict[str, str], **query: str) -> httpx.Response:
        asked = "&".join(f"{key}={value}" for key, value in query.items())
        return await self.house.signed(f"{CALLBACKS}/{name}?{asked}", form)

    async def human(self, name: str, **form: str) -> ElementTree.Element:
        answer = await self.callback(name, {"CallSid": "CAhuman", **form}, leg_id=self.leg_id)
        assert answer.status_code == 200, answer.text
        return ElementTree.fromstring(answer.text)

    async def conference(self, event: str, sid: str, **form: str) -> None:
        fields = {"ConferenceSid": "CF1", "StatusCallbackEvent": event, "CallSid": sid, **form}
        assert (await self.callback("conference", fields, transfer_id=self.transfer_id)).status_code == 204

    async def ends(self, status: str, sip: str) -> None:
        form = {"CallSid": "CAhuman", "CallStatus": status, "SipResponseCode": sip, "Timestamp": STAMP}
        assert (await self.callback("leg-status", form, leg_id=self.leg_id)).status_code == 204

    async def leg(self) -> dict[str, Any]:
        answer = await self.house.get(f"/calls/{self.call_id}/transfers")
        (transfer,) = answer.json()["items"]
        (leg,) = transfer["legs"]
        return {**leg, "connected_at": transfer["connected_at"]}


STAMP = "Tue, 21 Jul 2026 12:00:00 +0000"


async def live_call(house: House, **policy: Any) -> tuple[str, str]:
    """A lead who is on the phone: its id and the call's."""
    await house.template(transfer={**TEAM, **policy})
    lead_id = (await house.push())["id"]
    (call,) = (await house.lead(lead_id))["calls"]
    async with house.database.write() as tx:
        await acceptance.accept_grant(tx, call["id"], limits=LIMITS, now=house.database.now())
        await attempts.record_dialled(tx, call["id"], "CA1", now=house.database.now())
    return lead_id, call["id"]


async def handed(house: House, **policy: Any) -> Handed:
    lead_id, call_id = await live_call(house, **policy)
    asked = await house.post(f"/calls/{call_id}/transfer", {"reason": "a {complaint}"})
    assert asked.status_code == 201, asked.text
    transfer_id = asked.json()["id"]
    now = house.database.now()
    async with house.database.write() as tx:
        assert await human_legs.intend_leg(tx, "leg-1", transfer_id, TEAM["agents"][0], now=now)
    return Handed(house, lead_id, call_id, transfer_id)


async def test_an_operator_asks_once_and_sees_the_same_transfer_again(house: House) -> None:
    there = await handed(house)
    again = await house.post(f"/calls/{there.call_id}/transfer", {"reason": "impatient"})
    assert (again.status_code, again.json()["id"]) == (200, there.transfer_id)
    assert (await house.signals_of_workflow(lead_workflow_id(there.lead_id))).count("transfer_requested") == 1
    call = (await house.get(f"/calls/{there.call_id}")).json()
    (shown,) = call["transfers"]
    assert (shown["status"], shown["asked_by"], shown["reason"]) == ("requested", "operator", "a {complaint}")


async def test_a_call_that_cannot_be_transferred_says_why(house: House) -> None:
    await house.template()
    lead_id = (await house.push())["id"]
    (call,) = (await house.lead(lead_id))["calls"]
    nobody = await house.post(f"/calls/{call['id']}/transfer", {})
    assert (nobody.status_code, nobody.json()["code"]) == (409, "conflict")
    assert "`transfer`" in nobody.json()["message"]
    assert (await house.post("/calls/none/transfer", {})).status_code == 404
    assert (await house.get("/calls/none/transfers")).status_code == 404


async def test_a_call_that_is_not_on_cannot_be_transferred(house: House) -> None:
    _, call_id = await live_call(house)
    async with house.database.write() as tx:
        await attempts.record_facts(tx, call_id, CallFacts(sid="CA1", status=CallStatus.COMPLETED, sequence=3))
    late = await house.post(f"/calls/{call_id}/transfer", {})
    assert late.status_code == 409
    assert "only a call that is on" in late.json()["message"]


async def test_the_human_hears_who_and_why_and_is_let_in_at_the_end_of_it(house: House) -> None:
    there = await handed(house)
    briefing = await there.human("human")
    assert [verb.tag for verb in briefing] == ["Say", "Redirect"]
    assert briefing[0].text == "Ada: a {complaint}"
    assert str(briefing[1].text).startswith(f"{PUBLIC_URL}{CALLBACKS}/accept?")
    room = (await there.human("accept")).find("Dial/Conference")
    assert room is not None
    assert room.text == f"transfer-{there.transfer_id}"
    assert (room.get("endConferenceOnExit"), room.get("startConferenceOnEnter")) == ("true", "true")
    assert (await there.leg())["accepted_at"] is not None


@pytest.mark.parametrize(("digit", "let_in"), [("1", True), ("2", False), ("", False)])
async def test_a_digit_takes_the_call_or_declines_it(house: House, digit: str, let_in: bool) -> None:
    there = await handed(house, accept="digit")
    assert [verb.tag for verb in await there.human("human")] == ["Gather", "Hangup"]
    answer = await there.human("accept", Digits=digit)
    assert (answer.find("Dial") is not None) == let_in
    await there.ends("completed", "200")
    assert (await there.leg())["ending"] == ("agent_hung_up" if let_in else "declined")


async def test_only_the_first_human_is_let_in(house: House) -> None:
    there = await handed(house)
    async with house.database.write() as tx:
        later = "leg-2"
        await human_legs.intend_leg(tx, later, there.transfer_id, TEAM["agents"][1], now=house.database.now())
    await there.human("accept")
    there.leg_id = later
    assert [verb.tag for verb in await there.human("accept")] == ["Say", "Hangup"]


async def test_nobody_is_let_in_after_the_transfer_or_instead_of_a_human(house: House) -> None:
    there = await handed(house)
    machine = {"CallSid": "CAhuman", "AnsweredBy": "machine_start", "MachineDetectionDuration": "2000"}
    await there.callback("leg-amd", machine, leg_id=there.leg_id)
    assert (await there.human("accept")).find("Dial") is None
    await there.ends("completed", "200")
    assert (await there.leg())["ending"] == "voicemail"
    async with house.database.write() as tx:
        await transfers.end(tx, there.transfer_id, TransferEnding.VOICEMAIL, returned=True, now=house.database.now())
    assert [verb.tag for verb in await there.human("human")] == ["Hangup"]


@pytest.mark.parametrize(
    ("status", "sip", "ending"),
    [
        ("no-answer", "487", "no_answer"),
        ("busy", "486", "busy"),
        ("busy", "603", "declined"),
        ("failed", "404", "invalid_number"),
        ("failed", "500", "provider_error"),
        ("completed", "200", "declined"),
    ],
)
async def test_endings_of_a_humans_phone_are_told_apart(house: House, status: str, sip: str, ending: str) -> None:
    there = await handed(house)
    await there.ends(status, sip)
    assert (await there.leg())["ending"] == ending


async def test_a_machine_that_was_taken_for_a_human_does_not_count_as_a_talk(house: House) -> None:
    there = await handed(house)
    await there.human("accept")
    status = {"CallSid": "CAhuman", "CallStatus": "in-progress", "Timestamp": STAMP}
    await there.callback("leg-status", status, leg_id=there.leg_id)
    await there.conference("participant-join", "CA1")
    assert (await there.leg())["connected_at"] is None
    await there.conference("participant-join", "CAhuman")
    assert (await there.leg())["connected_at"] is not None
    machine = {"CallSid": "CAhuman", "AnsweredBy": "machine_start", "MachineDetectionDuration": "2000"}
    await there.callback("leg-amd", machine, leg_id=there.leg_id)
    assert (await there.leg())["connected_at"] is None
    # The conference ended with the machine: the customer waits on, in another one.
    after = await there.callback("after", {"CallSid": "CA1"}, transfer_id=there.transfer_id)
    room = ElementTree.fromstring(after.text).find("Dial/Conference")
    assert room is not None
    assert room.text != f"transfer-{there.transfer_id}"


async def test_after_a_talk_the_customers_call_ends(house: House) -> None:
    there = await handed(house)
    async with house.database.write() as tx:
        await transfers.connect(tx, there.transfer_id, now=house.database.now())
    after = await there.callback("after", {"CallSid": "CA1"}, transfer_id=there.transfer_id)
    assert [verb.tag for verb in ElementTree.fromstring(after.text)] == ["Hangup"]


async def test_who_waits_hears_music_and_their_place_in_the_queue(house: House) -> None:
    first = await handed(house)
    heard = ElementTree.fromstring((await first.callback("hold", {}, transfer_id=first.transfer_id)).text)
    assert [verb.tag for verb in heard] == ["Play", "Say"]
    assert heard[1].text == "One moment."
    music = await house.signed(str(heard[0].text).removeprefix(PUBLIC_URL), {})
    assert music.status_code in (200, 405)
    await house.number()
    lead_id = (await house.push(person(1)))["id"]
    calls = (await house.lead(lead_id))["calls"]
    async with house.database.write() as tx:
        await acceptance.accept_grant(tx, calls[0]["id"], limits=LIMITS, now=house.database.now())
        await attempts.record_dialled(tx, calls[0]["id"], "CA2", now=house.database.now())
    second = (await house.post(f"/calls/{calls[0]['id']}/transfer")).json()["id"]
    told = await first.callback("hold", {}, transfer_id=second)
    assert "You are number 2 in the queue." in told.text


async def test_who_waits_and_loses_the_agents_stream_waits_on_with_music(house: House) -> None:
    there = await handed(house, order="agent_first")
    path = f"/twilio/callback/continue?call_id={there.call_id}&lead_id={there.lead_id}"

    async def what_follows() -> ElementTree.Element:
        answer = await house.signed(path, {"CallSid": "CA1"})
        assert answer.status_code == 200, answer.text
        return ElementTree.fromstring(answer.text)

    assert (await what_follows()).find("Connect/Stream") is not None, "nobody has taken it up who would fetch them"
    async with house.database.write() as tx:
        await transfers.begin(tx, there.transfer_id)
    room = (await what_follows()).find("Dial/Conference")
    assert room is not None
    assert room.text == f"transfer-{there.transfer_id}"
    async with house.database.write() as tx:
        assert (await transfers.get(tx, there.transfer_id)).moved, "so that the end of the transfer brings them back"
        now = house.database.now()
        await transfers.end(tx, there.transfer_id, TransferEnding.BUSY, returned=True, now=now)
    assert (await what_follows()).find("Connect/Stream") is not None


@pytest.mark.parametrize("name", ["human", "accept", "leg-status", "leg-amd", "conference", "hold", "after"])
async def test_a_callback_that_twilio_did_not_sign_is_403(house: House, name: str) -> None:
    there = await handed(house)
    path = f"{CALLBACKS}/{name}?leg_id={there.leg_id}&transfer_id={there.transfer_id}"
    refused = await house.signed(path, {"CallSid": "CAhuman", "Digits": "1"}, signature="nonsense")
    assert refused.status_code == 403
    assert (await there.leg())["accepted_at"] is None
