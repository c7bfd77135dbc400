"""A transfer as a workflow: both together, back again, and what happens when Twilio's callbacks are lost."""

from datetime import timedelta
from typing import Any

from temporalio.service import RPCError, RPCStatusCode

from breeze_buddy.domain.messages import TransferResult, transfer_workflow_id

from .rig import Rig

HUMAN = {"ring_s": 0.1, "talk_s": 4, "script": []}


async def asked(rig: Rig, human: dict[str, Any], **policy: Any) -> tuple[str, str, str]:
    """A transfer that an operator has asked for: the customer, the human and the customer's CallSid."""
    customer, team = rig.person(talk_s=60, script=[]), rig.person(**human)
    transfer = {"agents": [team], "briefing": "", "ring_timeout_s": 5, "alone_s": 5, **policy}
    await rig.campaign([customer], transfer=transfer, retry={"max_retries": 0, "cooldown": 60}, max_call_s=60)

    async def on_the_phone() -> dict[str, Any] | None:
        calls = (await rig.lead(customer))["calls"]
        return calls[0] if calls and calls[0]["status"] == "in-progress" else None

    call = await rig.until(on_the_phone)
    (await rig.api.post(f"/calls/{call['id']}/transfer", json={"reason": "a complaint"})).raise_for_status()
    return customer, team, call["sid"]


async def result(rig: Rig, sid: str) -> TransferResult:
    handle = rig.client.get_workflow_handle(transfer_workflow_id(sid), result_type=TransferResult)
    await rig.until(lambda: _started(handle))
    with rig.environment.auto_time_skipping_disabled():
        return await handle.result()


async def _started(handle: Any) -> bool:
    try:
        await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def test_both_talk_and_the_result_says_how_long(rig: Rig) -> None:
    _, team, sid = await asked(rig, HUMAN)
    ended = await result(rig, sid)
    assert (ended.ending, ended.customer_returned) == ("talked", False)
    assert ended.talked_s > 0
    assert ended.human is not None
    assert team not in ended.human, "never the whole number"
    await rig.save_history("transfer_talked", transfer_workflow_id(sid))


async def test_nobody_can_be_had_and_the_customer_comes_back(rig: Rig) -> None:
    _, team, sid = await asked(rig, {"behaviour": "busy", "ring_s": 0.1}, rounds=2)
    ended = await result(rig, sid)
    assert (ended.ending, ended.customer_returned, ended.human) == ("busy", True, None)
    assert len(rig.calls_to(team)) == 2
    await rig.save_history("transfer_came_back", transfer_workflow_id(sid))


async def test_a_human_whose_callbacks_are_lost_is_not_waited_for_forever(rig: Rig) -> None:
    rig.fault(kind="callback_lost", to="+14153000002")
    _, team, sid = await asked(rig, {"behaviour": "busy", "ring_s": 0.1})
    assert team == "+14153000002"
    await rig.until(lambda: _over(rig, team))
    await rig.skip(timedelta(seconds=60))
    ended = await result(rig, sid)
    assert (ended.ending, ended.customer_returned) == ("no_answer", True)
    await rig.save_history("transfer_lost_callback", transfer_workflow_id(sid))


async def _over(rig: Rig, phone: str) -> bool:
    calls = rig.calls_to(phone)
    return bool(calls) and not calls[-1].is_live
