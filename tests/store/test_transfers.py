"""Transfers in the database: one at a time, in the order of asking, and a conversation that ends or goes on."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.conversation import ConversationState, Ending, Utterance
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.store import conversations, human_legs, transfers
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import Conflict
from breeze_buddy.store.facts import report_of
from breeze_buddy.store.transfers import Requested

from .stage import Stage, a_template, person

AGENT, OTHER = "+14155550101", "+14155550102"
TEAM = {"agents": [AGENT, OTHER]}
HOLD = Utterance(speaker="agent", text="Please hold.", at_s=1)


async def on_the_phone(stage: Stage, count: int = 1) -> list[str]:
    """Calls that are on, of one campaign with a team."""
    await stage.number(channels=count)
    campaign = await stage.campaign(template=a_template(transfer=TEAM))
    await stage.leads(campaign, [person(place) for place in range(count)])
    calls = []
    for grant in await stage.grant():
        await stage.dial(grant.call_id)
        calls.append(grant.call_id)
    return calls


async def ask(stage: Stage, call_id: str) -> Requested:
    async with stage.database.write() as tx:
        return await transfers.request(tx, call_id, asked_by="flow", reason="why", now=stage.now)


async def ring(stage: Stage, transfer_id: str, leg_id: str, phone: str) -> bool | None:
    async with stage.database.write() as tx:
        return await human_legs.intend_leg(tx, leg_id, transfer_id, phone, now=stage.now)


async def save(stage: Stage, call_id: str, *said: Utterance) -> None:
    state = ConversationState(node="start", began_at=stage.now, transcript=said)
    async with stage.database.write() as tx:
        await conversations.save_state(tx, call_id, state, now=stage.now)


async def end(stage: Stage, transfer_id: str, ending: TransferEnding, *, returned: bool) -> None:
    async with stage.database.write() as tx:
        await transfers.end(tx, transfer_id, ending, returned=returned, now=stage.now)


async def report(stage: Stage, call_id: str) -> Any:
    async with stage.database.read() as tx:
        return await report_of(tx, call_id)


async def test_asked_for_by_many_at_once_there_is_one(stage: Stage) -> None:
    [call_id] = await on_the_phone(stage)
    asked = await asyncio.gather(*(ask(stage, call_id) for _ in range(8)))
    assert len({one.start.transfer_id for one in asked}) == 1
    assert [one.new for one in asked].count(True) == 1


async def test_after_one_has_ended_there_can_be_another_with_another_name(stage: Stage) -> None:
    [call_id] = await on_the_phone(stage)
    first = await ask(stage, call_id)
    await end(stage, first.start.transfer_id, TransferEnding.BUSY, returned=True)
    stage.pass_time(seconds=5)
    second = await ask(stage, call_id)
    assert second.new
    async with stage.database.read() as tx:
        names = {view.conference_name for view in await transfers.of_call(tx, call_id)}
    assert len(names) == 2


async def test_a_call_that_is_over_is_not_handed_over(stage: Stage) -> None:
    [call_id] = await on_the_phone(stage)
    await stage.end(call_id, CallStatus.COMPLETED, duration_s=3)
    with pytest.raises(Conflict, match="only a call that is on"):
        await ask(stage, call_id)


async def test_a_human_is_rung_by_one_transfer_and_those_who_asked_first_come_first(stage: Stage) -> None:
    calls = await on_the_phone(stage, 3)
    asked = []
    for call_id in calls:
        asked.append((await ask(stage, call_id)).start.transfer_id)
        stage.pass_time(seconds=1)
    first, second, third = asked
    assert await ring(stage, first, "leg-1", AGENT) is True
    assert await ring(stage, first, "leg-1", AGENT) is False, "noted before"
    assert await ring(stage, second, "leg-2", AGENT) is None, "taken"
    assert await ring(stage, third, "leg-3", OTHER) is None, "free, but the second was here before"
    assert await ring(stage, second, "leg-4", OTHER) is True
    async with stage.database.write() as tx:
        assert [await transfers.position(tx, one) for one in asked] == [1, 2, 3]
        await human_legs.note_leg(tx, "leg-1", ended_at=stage.now)
        await transfers.connect(tx, second, now=stage.now)
        assert await transfers.position(tx, third) == 2
    await end(stage, first, TransferEnding.BUSY, returned=True)
    assert await ring(stage, third, "leg-5", AGENT) is True


async def test_two_transfers_that_ring_a_human_at_once_do_not_both(stage: Stage) -> None:
    calls = await on_the_phone(stage, 2)
    one, other = [(await ask(stage, call_id)).start.transfer_id for call_id in calls]
    rung = await asyncio.gather(ring(stage, one, "leg-1", AGENT), ring(stage, other, "leg-2", AGENT))
    assert rung.count(True) == 1


async def test_who_was_moved_and_talked_is_reported_when_the_talk_is_over(stage: Stage) -> None:
    [call_id] = await on_the_phone(stage)
    await stage.claim(call_id)
    await save(stage, call_id)
    asked = await ask(stage, call_id)
    await stage.report(call_id, Ending.CALLER_HUNG_UP, transcript=(HOLD,))
    assert await report(stage, call_id) is None, "moved, not gone"
    await end(stage, asked.start.transfer_id, TransferEnding.TALKED, returned=False)
    told = await report(stage, call_id)
    assert (told.ending, told.result, told.transcript) == (Ending.TRANSFERRED, "transferred", (HOLD,))


async def test_a_late_report_of_the_stream_before_does_not_end_the_conversation_that_came_back(stage: Stage) -> None:
    [call_id] = await on_the_phone(stage)
    await stage.claim(call_id)
    await save(stage, call_id, HOLD)
    asked = await ask(stage, call_id)
    await end(stage, asked.start.transfer_id, TransferEnding.BUSY, returned=True)
    claimed = await stage.claim(call_id, token="again")
    assert claimed.state is not None
    assert (claimed.state.returned, claimed.state.answers) == (TransferEnding.BUSY, {"transfer_result": "busy"})
    await stage.report(call_id, Ending.CALLER_HUNG_UP, transcript=(HOLD,))
    assert await report(stage, call_id) is None
    sorry = HOLD.model_copy(update={"text": "Nobody is free."})
    await save(stage, call_id, HOLD, sorry)
    await stage.report(call_id, Ending.CALLER_HUNG_UP, transcript=(HOLD,))
    assert await report(stage, call_id) is None
    await stage.report(call_id, Ending.CALLER_HUNG_UP, transcript=(HOLD, sorry))
    assert (await report(stage, call_id)).ending is Ending.CALLER_HUNG_UP


@pytest.mark.parametrize(("connected", "ending"), [(True, Ending.TRANSFERRED), (False, Ending.CALLER_HUNG_UP)])
async def test_the_end_of_the_call_closes_a_transfer_that_no_workflow_closed(
    stage: Stage, connected: bool, ending: Ending
) -> None:
    [call_id] = await on_the_phone(stage)
    await stage.claim(call_id)
    await save(stage, call_id, HOLD)
    asked = await ask(stage, call_id)
    if connected:
        async with stage.database.write() as tx:
            await transfers.connect(tx, asked.start.transfer_id, now=stage.now)
    await stage.end(call_id, CallStatus.COMPLETED, duration_s=30)
    finished = await stage.finish(call_id, wait_for_conversation=True)
    assert not finished.awaiting_conversation
    assert (await report(stage, call_id)).ending is ending


async def test_who_hangs_up_on_the_way_back_is_reported_too(stage: Stage) -> None:
    [call_id] = await on_the_phone(stage)
    await stage.claim(call_id)
    await save(stage, call_id, HOLD)
    asked = await ask(stage, call_id)
    await end(stage, asked.start.transfer_id, TransferEnding.NO_ANSWER, returned=True)
    await stage.end(call_id, CallStatus.COMPLETED, duration_s=30)
    await stage.finish(call_id, wait_for_conversation=True)
    told = await report(stage, call_id)
    assert (told.ending, told.answers) == (Ending.CALLER_HUNG_UP, {"transfer_result": "no_answer"})


async def test_one_that_nobody_has_taken_up_is_told_again(stage: Stage) -> None:
    [call_id] = await on_the_phone(stage)
    asked = await ask(stage, call_id)

    async def unheard(tx: Transaction) -> list[str]:
        waiting = await transfers.waiting_for_a_workflow(tx, older_than=stage.now + timedelta(seconds=1))
        return [one.start.transfer_id for one in waiting]

    async with stage.database.write() as tx:
        assert await unheard(tx) == [asked.start.transfer_id]
        await transfers.begin(tx, asked.start.transfer_id)
        assert await unheard(tx) == []


async def test_two_who_were_connected_have_talked_whatever_a_workflow_that_stood_still_makes_of_it(
    stage: Stage,
) -> None:
    [call_id] = await on_the_phone(stage)
    asked = (await ask(stage, call_id)).start.transfer_id
    await ring(stage, asked, "leg-1", AGENT)
    async with stage.database.write() as tx:
        await transfers.connect(tx, asked, now=stage.now)
        await human_legs.note_leg(tx, "leg-1", accepted_at=stage.now, joined_at=stage.now, ended_at=stage.now)
        assert await human_legs.leg_ending(tx, "leg-1") is TransferEnding.TALKED
        ended = await transfers.end(tx, asked, TransferEnding.CUSTOMER_HUNG_UP, returned=False, now=stage.now)
    assert ended is TransferEnding.TALKED
