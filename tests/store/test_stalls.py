"""Ways in which a due lead beside a free line could be left to wait for somebody who never comes."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from breeze_buddy.domain.messages import Grant
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.store.acceptance import Accepted
from breeze_buddy.store.schema import leads
from tests.store.stage import NOON, Stage, person


async def test_slow_campaigns_whose_calls_are_far_off_do_not_hold_up_a_fast_one(stage: Stage) -> None:
    stage.limits = AccountLimits(calls_per_second=1)
    await stage.number(channels=20)
    slow = [await stage.campaign(f"slow {n}", calls_per_second=0.05) for n in range(4)]
    for place, campaign in enumerate(slow):
        await stage.leads(campaign, [person(10 * place + n) for n in range(3)])
    # Each of them has placed one call and has the next one granted, for a turn that is twenty seconds off.
    waiting: list[Grant] = []
    for _ in range(12):
        waiting += await stage.grant()
        waiting = [each for each in waiting if not isinstance(await stage.accept(each.call_id), Accepted)]
        stage.pass_time(seconds=1.03)
    assert len(waiting) == len(slow)
    fast = await stage.campaign("fast")
    await stage.leads(fast, [person(100 + n) for n in range(10)])
    assert [grant.campaign_id for grant in await stage.grant()] == [fast.id, fast.id]


async def test_a_slow_account_has_one_call_on_its_way_however_far_off_that_is(stage: Stage) -> None:
    stage.limits = AccountLimits(calls_per_second=0.05)
    await stage.number(channels=20)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(5)])
    assert isinstance(await stage.accept((await stage.grant_one()).call_id), Accepted)
    assert (await stage.grant_one()).dial_at == NOON + timedelta(seconds=20.6)
    assert await stage.grant() == []


async def test_leads_in_somebody_elses_hands_hold_up_no_decision(stage: Stage) -> None:
    if stage.database.is_sqlite:
        pytest.skip("a write is alone on SQLite")
    await stage.number(channels=60)
    campaign = await stage.campaign()
    held = await stage.leads(campaign, [person(n) for n in range(25)], priority=5)
    waiting = await stage.leads(campaign, [person(100)], due=NOON + timedelta(minutes=1))
    stage.pass_time(minutes=2)
    async with stage.database.write() as other:
        await other.execute(select(leads.c.id).where(leads.c.id.in_(held + waiting)).with_for_update())
        async with asyncio.timeout(5):
            assert await stage.grant() == []
    assert len(await stage.grant()) == 26


async def test_ten_leads_that_become_due_do_not_wait_behind_thousands_of_another_campaign(stage: Stage) -> None:
    await stage.number(channels=30)
    later = NOON + timedelta(minutes=1)
    many, few = await stage.campaign("many"), await stage.campaign("few")
    await stage.leads(many, [f"+1415555{n:04}" for n in range(1500)], due=later)
    await stage.leads(few, [person(n) for n in range(10)], due=later)
    stage.pass_time(minutes=2)
    granted = [grant.campaign_id for grant in await stage.grant()]
    assert granted.count(few.id) == 10
    assert granted.count(many.id) == 20


async def test_two_campaigns_that_are_due_are_both_made_ready_whichever_was_made_first(stage: Stage) -> None:
    await stage.number(channels=30)
    later = NOON + timedelta(minutes=1)
    few, many = await stage.campaign("few"), await stage.campaign("many")
    await stage.leads(few, [person(n) for n in range(10)], due=later)
    await stage.leads(many, [f"+1415555{n:04}" for n in range(1500)], due=later)
    stage.pass_time(minutes=2)
    assert {grant.campaign_id for grant in await stage.grant()} == {few.id, many.id}
