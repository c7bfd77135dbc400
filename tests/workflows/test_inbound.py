"""Calls to us: followed to their end, looked after when news is lost, and the lead who calls need not be called."""

from datetime import datetime, timedelta
from typing import Any

import httpx

from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.messages import inbound_workflow_id
from breeze_buddy.store import conversations, inbound, numbers
from breeze_buddy.store.inbound import Ringing

from .rig import Rig

_PHONES = iter(range(5_000_000, 6_000_000))
FLOW = {"nodes": {"start": {"say": "Hello.", "then": {"action": "end_conversation"}}}}


class Hotline:
    """A number of the rig that is called."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.phone = f"+1415{next(_PHONES)}"

    async def open(self, *, channels: int = 2, **policy: Any) -> "Hotline":
        rig = self.rig
        rig.simulator.account.add_numbers([self.phone])
        template = {"name": f"hotline {self.phone}", "flow": FLOW, "record": False, "max_call_s": 300}
        template_id = (await rig.api.post("/templates", json=template)).raise_for_status().json()["id"]
        body = {"phone": self.phone, "channels": channels, "inbound": {"template_id": template_id, **policy}}
        (await rig.api.post("/numbers", json=body)).raise_for_status()
        return self

    async def called_by(self, caller: str) -> str:
        """Somebody calls; the CallSid."""
        async with httpx.AsyncClient(base_url=self.rig.simulator.url, trust_env=False) as simulator:
            asked = await simulator.post("/simulator/inbound", json={"from": caller, "to": self.phone})
            sids = asked.raise_for_status().json()["calls"]
        assert isinstance(sids[0], str)
        return sids[0]

    async def call(self, sid: str) -> dict[str, Any] | None:
        page = (await self.rig.api.get("/calls", params={"phone": self.phone})).json()
        return next((call for call in page["items"] if call["sid"] == sid), None)

    async def ended(self, sid: str) -> dict[str, Any]:
        async def there() -> Any:
            call = await self.call(sid)
            return call if call is not None and call["progress"] == "ended" else None

        call = await self.rig.until(there)
        assert isinstance(call, dict)
        return call

    async def result(self, sid: str) -> Any:
        handle = self.rig.client.get_workflow_handle(inbound_workflow_id(sid))
        with self.rig.environment.auto_time_skipping_disabled():
            return await handle.result()

    async def free_lines(self) -> int:
        async with self.rig.database.read() as tx:
            leased = await numbers.leased_count(tx)
            (number,) = [number for number in await numbers.listed(tx) if number.phone == self.phone]
        return number.channels - leased


async def test_a_call_to_us_is_followed_to_its_end(rig: Rig) -> None:
    hotline = await Hotline(rig).open()
    caller = rig.person()
    sid = await hotline.called_by(caller)
    call = await hotline.ended(sid)
    assert (call["direction"], call["status"], call["from_phone"]) == ("inbound", "completed", caller)
    result = await hotline.result(sid)
    assert (result["status"], result["outcome"], result["recording"]) == ("completed", "HUNG_UP", False)
    assert await hotline.free_lines() == 2
    described = await rig.client.get_workflow_handle(inbound_workflow_id(sid)).describe()
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert attributes == {"TemplateName": f"hotline {hotline.phone}", "CallOutcome": "HUNG_UP"}
    history = (await rig.client.get_workflow_handle(inbound_workflow_id(sid)).fetch_history()).to_json()
    assert caller not in history
    await rig.save_history("inbound_completed", inbound_workflow_id(sid))


async def test_an_end_that_twilio_never_told_is_asked_for(rig: Rig) -> None:
    hotline = await Hotline(rig).open(channels=1)
    caller = rig.person()
    rig.fault(kind="callback_lost", to=hotline.phone, event="completed", count=None)
    sid = await hotline.called_by(caller)

    async def over() -> bool:
        call = rig.simulator.exchange.calls.by_sid[sid]
        return bool(call.status == "completed") and await hotline.call(sid) is not None

    await rig.until(over)
    assert await hotline.free_lines() == 0
    await rig.skip(timedelta(seconds=rig.settings.status_check_s + 1))
    assert (await hotline.ended(sid))["status"] == "completed"
    assert await hotline.free_lines() == 1
    await rig.save_history("inbound_lost_callback", inbound_workflow_id(sid))


async def test_a_call_whose_workflow_could_not_be_started_is_followed_by_the_relay(rig: Rig) -> None:
    hotline = await Hotline(rig).open(channels=1)
    sid = "CA" + "5" * 32
    async with rig.database.write() as tx:
        await inbound.answer(tx, Ringing(sid, rig.person(), hotline.phone), now=rig.database.now())
    assert await hotline.free_lines() == 0
    # Twilio does not know this call, which counts as failed when it is asked.
    await rig.skip(timedelta(seconds=6))

    async def followed() -> bool:
        described = await rig.client.get_workflow_handle(inbound_workflow_id(sid)).describe()
        return described.status is not None

    async def started() -> bool:
        async with rig.database.read() as tx:
            return not await inbound.unfollowed(tx, older_than=rig.database.now())

    await rig.until(started)
    await rig.until(followed)
    await rig.skip(timedelta(seconds=rig.settings.status_check_s + 1))
    assert (await hotline.ended(sid))["status"] == "failed"
    assert await hotline.free_lines() == 1


async def test_a_lead_in_cooldown_who_calls_is_finished_and_its_workflow_ends(rig: Rig) -> None:
    phone = rig.person(attempts=["no_answer"], talk_s=1.5)
    await rig.campaign([phone], retry={"max_retries": 1, "cooldown": "P3D"})
    lead = await rig.lead_in(phone, "RETRY")
    hotline = await Hotline(rig).open(ends_campaign=True)
    sid = await hotline.called_by(phone)

    async def there() -> Any:
        return await hotline.call(sid)

    call = await rig.until(there)
    assert call["lead_id"] == lead["id"]
    # What the media server would report.
    now = rig.database.now()
    async with rig.database.write() as tx:
        report = ConversationReport(call_id=call["id"], began_at=now, ended_at=now, ending=Ending.REACHED_END)
        await conversations.save_report(tx, report, now=now)

    finished = await rig.lead_in(phone, "FINISHED")
    assert finished["outcome"] == "COMPLETED"
    assert [change["status"] for change in finished["history"]] == ["BACKLOG", "PROCESSING", "RETRY", "FINISHED"]
    assert [one["direction"] for one in finished["calls"]] == ["outbound", "inbound"]
    result = await rig.result(lead)
    assert (result["outcome"], len(result["calls"])) == ("COMPLETED", 1)
    assert datetime.fromisoformat(finished["finished_at"]) < datetime.fromisoformat(lead["due_at"])
    campaign = (await rig.api.get(f"/campaigns/{lead['campaign_id']}")).json()
    assert campaign["open_leads"] == 0
    await rig.save_lead("called_us", lead)


async def test_cancelling_the_workflow_hangs_up(rig: Rig) -> None:
    hotline = await Hotline(rig).open()
    sid = await hotline.called_by(rig.person(talk_s=60))

    async def answered() -> bool:
        return bool(rig.simulator.exchange.calls.by_sid[sid].status == "in-progress")

    await rig.until(answered)
    await rig.client.get_workflow_handle(inbound_workflow_id(sid)).signal("cancel")
    call = await hotline.ended(sid)
    assert call["status"] == "completed"
    await rig.save_history("inbound_cancelled", inbound_workflow_id(sid))
