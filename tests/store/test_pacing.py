"""Calls a second, of a campaign and of the account: when a call may be placed, and how far ahead lines are given."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeze_buddy.domain.messages import Grant
from breeze_buddy.domain.pacing import HORIZON, AccountLimits, spacing
from breeze_buddy.store import campaigns, pacing
from breeze_buddy.store.acceptance import Accepted, Later, accept_grant
from tests.store.stage import NOON, Stage, person


def seconds(moments: list[datetime]) -> list[float]:
    return [round((moment - NOON).total_seconds(), 3) for moment in moments]


async def turn(stage: Stage, call_id: str) -> datetime:
    answer = await stage.accept(call_id)
    assert isinstance(answer, Accepted)
    return answer.place_at


async def test_lines_are_granted_no_further_ahead_than_the_horizon(stage: Stage) -> None:
    await stage.number(channels=30)
    campaign = await stage.campaign(calls_per_second=5)
    await stage.leads(campaign, [person(n) for n in range(30)])
    granted = await stage.grant()
    # Two seconds of five calls: the other twenty lines stay free for whoever comes.
    assert len(granted) == 10
    assert all(grant.dial_at <= NOON + HORIZON for grant in granted)
    assert await stage.grant() == []


async def test_every_call_takes_its_own_turn(stage: Stage) -> None:
    await stage.number(channels=10)
    campaign = await stage.campaign(calls_per_second=5)
    await stage.leads(campaign, [person(n) for n in range(5)])
    turns = [await turn(stage, grant.call_id) for grant in await stage.grant()]
    assert seconds(turns) == [0, 0.206, 0.412, 0.618, 0.824]


@pytest.mark.parametrize(("own", "of_all", "apart_s"), [(5, 1000, 0.206), (5, 2, 0.515), (None, 2, 0.515)])
async def test_who_takes_a_turn_knows_how_far_off_the_next_one_is(
    stage: Stage, own: float | None, of_all: float, apart_s: float
) -> None:
    stage.limits = AccountLimits(calls_per_second=of_all)
    await stage.number(channels=1)
    await stage.leads(await stage.campaign(calls_per_second=own), [person(0)])
    answer = await stage.accept((await stage.grant_one()).call_id)
    assert isinstance(answer, Accepted)
    assert answer.apart == timedelta(seconds=apart_s)


async def test_a_turn_that_is_far_off_is_not_taken(stage: Stage) -> None:
    await stage.number(channels=3)
    campaign = await stage.campaign(calls_per_second=0.5)
    await stage.leads(campaign, [person(0), person(1)])
    first = await stage.grant_one()
    assert await turn(stage, first.call_id) == NOON
    second = await stage.grant_one()
    before = await stage.everything()
    answer = await stage.accept(second.call_id)
    assert answer == Later(NOON + timedelta(seconds=2.06))
    assert await stage.everything() == before
    stage.now = answer.at
    assert await turn(stage, second.call_id) == answer.at


async def again(stage: Stage, campaign_id: str, missed: datetime) -> datetime:
    async with stage.database.write() as tx:
        return await pacing.take_turn_again(tx, campaign_id, missed, stage.limits, now=stage.now)


async def test_a_call_of_a_slow_campaign_that_is_a_little_late_is_placed_all_the_same(stage: Stage) -> None:
    """Not a spacing later: nobody else has a turn before then."""
    await stage.number(channels=10)
    campaign = await stage.campaign(calls_per_second=0.05)
    await stage.leads(campaign, [person(0), person(1)])
    missed = await turn(stage, (await stage.grant_one()).call_id)
    stage.pass_time(seconds=0.03)
    assert await again(stage, campaign.id, missed) == stage.now
    assert (await stage.grant_one()).dial_at == stage.now + timedelta(seconds=20.6)


async def test_who_missed_a_turn_that_others_follow_takes_one_of_its_own_after_them(stage: Stage) -> None:
    stage.limits = AccountLimits(calls_per_second=1)
    await stage.number(channels=10)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(0), person(1), person(2)])
    first, second = await stage.grant()
    missed = await turn(stage, first.call_id)
    stage.pass_time(seconds=0.1)
    assert await turn(stage, second.call_id) == NOON + timedelta(seconds=1.03)
    # Two spacings off: nobody else is given the same one meanwhile.
    assert await again(stage, campaign.id, missed) == NOON + timedelta(seconds=2.06)
    third = await stage.grant_one()
    stage.pass_time(seconds=2)
    assert await turn(stage, third.call_id) == NOON + timedelta(seconds=3.09)


async def test_a_turn_is_as_far_ahead_as_is_asked_and_the_next_ones_follow_it(stage: Stage) -> None:
    stage.limits = AccountLimits(calls_per_second=2)
    await stage.number(channels=10)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(0), person(1)])
    turns, ahead = [], timedelta(milliseconds=10)
    for grant in await stage.grant():
        async with stage.database.write() as tx:
            answer = await accept_grant(tx, grant.call_id, limits=stage.limits, now=stage.now, ahead=ahead)
        assert isinstance(answer, Accepted)
        turns.append(answer.place_at)
    assert seconds(turns) == [0.01, 0.525], "who waits for its turn anyway waits no longer"
    stage.pass_time(seconds=0.6)
    async with stage.database.write() as tx:
        at = await pacing.take_turn_again(tx, campaign.id, turns[1], stage.limits, now=stage.now, ahead=ahead)
    assert at == stage.now + ahead


async def test_a_slow_campaign_always_has_one_call_on_its_way(stage: Stage) -> None:
    await stage.number(channels=10)
    campaign = await stage.campaign(calls_per_second=0.01)
    await stage.leads(campaign, [person(n) for n in range(3)])
    first = await stage.grant_one()
    assert await stage.grant() == []
    await stage.dial(first.call_id)
    second = await stage.grant_one()
    assert second.dial_at == NOON + timedelta(seconds=103)
    assert await stage.grant() == []


async def test_who_places_a_call_is_told_that_others_wait_for_the_rate(stage: Stage) -> None:
    await stage.number(channels=10)
    campaign = await stage.campaign(calls_per_second=0.5)
    await stage.leads(campaign, [person(n) for n in range(3)])
    told = []
    for grant in await stage.grant():
        answer = await stage.accept(grant.call_id)
        assert isinstance(answer, Accepted)
        told.append(answer.held)
    assert told[-1]
    # The last ones wait for nobody.
    while granted := await stage.grant():
        stage.now = granted[-1].dial_at
        answer = await stage.accept(granted[-1].call_id)
        assert isinstance(answer, Accepted)
        told.append(answer.held)
    assert told[-1] is False


async def test_an_idle_campaign_saves_up_no_calls(stage: Stage) -> None:
    await stage.number(channels=10)
    campaign = await stage.campaign(calls_per_second=2)
    await stage.lead(campaign, person(0))
    await stage.dial((await stage.grant_one()).call_id)
    stage.pass_time(hours=1)
    await stage.leads(campaign, [person(1), person(2)])
    turns = [await turn(stage, grant.call_id) for grant in await stage.grant()]
    assert [(at - stage.now).total_seconds() for at in turns] == [0, 0.515]


async def test_a_new_rate_is_not_held_up_by_turns_at_the_old_one(stage: Stage) -> None:
    await stage.number(channels=10)
    campaign = await stage.campaign(calls_per_second=0.01)
    await stage.leads(campaign, [person(0), person(1), person(2)])
    await stage.dial((await stage.grant_one()).call_id)
    async with stage.database.write() as tx:
        await campaigns.set_pacing(tx, campaign.id, {"calls_per_second": 10})
    assert (await stage.grant())[0].dial_at <= NOON + timedelta(seconds=0.2)


async def test_the_rate_of_the_account_holds_over_all_campaigns(stage: Stage) -> None:
    stage.limits = AccountLimits(calls_per_second=2)
    await stage.number(channels=20)
    one, two = await stage.campaign("one"), await stage.campaign("two")
    await stage.leads(one, [person(n) for n in range(10)])
    await stage.leads(two, [person(50 + n) for n in range(10)])
    granted = await stage.grant()
    assert len(granted) == 4
    assert {grant.campaign_id for grant in granted} == {one.id, two.id}
    turns = [await turn(stage, grant.call_id) for grant in granted[:2]]
    assert seconds(turns) == [0, 0.515]


async def test_a_slow_campaign_does_not_slow_the_account_down(stage: Stage) -> None:
    stage.limits = AccountLimits(calls_per_second=4)
    await stage.number(channels=20)
    slow, fast = await stage.campaign("slow", calls_per_second=0.1), await stage.campaign("fast")
    await stage.leads(slow, [person(n) for n in range(3)])
    await stage.leads(fast, [person(50 + n) for n in range(10)])
    placed: list[str] = []
    waiting: list[Grant] = []
    for _ in range(20):
        waiting += await stage.grant()
        for grant in list(waiting):
            if isinstance(await stage.accept(grant.call_id), Accepted):
                placed.append(grant.campaign_id)
                waiting.remove(grant)
        stage.pass_time(seconds=0.3)
    assert placed.count(fast.id) == 10


@settings(max_examples=200, deadline=None)
@given(rate=st.floats(0.1, 100), jitters=st.lists(st.floats(0, 0.005), min_size=10, max_size=40))
@pytest.mark.filterwarnings("ignore")
def test_no_second_ever_has_more_calls_than_the_rate(rate: float, jitters: list[float]) -> None:
    """Turns one spacing apart, each placed up to five milliseconds late."""
    gap = spacing(rate).total_seconds()
    placed = [place * gap + late for place, late in enumerate(jitters)]
    for at in placed:
        assert sum(at <= other < at + 1 for other in placed) <= max(1, -(-rate // 1))
