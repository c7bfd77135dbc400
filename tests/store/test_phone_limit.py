"""At most so many calls to one phone number in so many hours: who has had them costs no line."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from breeze_buddy.domain.call import CallFacts, CallStatus, FailureClass
from breeze_buddy.domain.campaign import Campaign
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import Grant
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.store import backlog, phone_limit, schema
from breeze_buddy.store.acceptance import Accepted, Unusable
from tests.store.stage import NOON, Stage, person

DAY = timedelta(hours=24)


@pytest.fixture
def stage(stage: Stage) -> Stage:
    stage.limits = AccountLimits(calls_per_second=1000, calls_per_phone=2, calls_per_phone_hours=24)
    return stage


async def granted(stage: Stage) -> tuple[list[Grant], list[str]]:
    """What a decision grants, and the campaigns that it wakes."""
    to_wake: list[backlog.ToWake] = []
    async with stage.database.write() as tx:
        made = await backlog.grant_lines(tx, now=stage.now, limits=stage.limits, to_wake=to_wake)
    return [item.grant for item in made], [campaign.campaign_id for campaign in to_wake]


async def next_wake(stage: Stage, campaign: Campaign) -> datetime | None:
    async with stage.database.read() as tx:
        return await backlog.next_wake(tx, campaign.id, now=stage.now)


async def calls(stage: Stage) -> int:
    async with stage.database.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(schema.calls)) or 0)


async def called_twice(stage: Stage, place: int) -> None:
    """At noon and an hour later, by other campaigns; it is two o'clock then."""
    for name in ("one", "two"):
        await stage.lead(await stage.campaign(name), person(place))
        await stage.attempt(CallStatus.COMPLETED)
        stage.pass_time(hours=1)


async def test_a_number_that_was_called_enough_gets_no_line_until_it_may_be_called_again(stage: Stage) -> None:
    await stage.number()
    await called_twice(stage, 7)
    campaign = await stage.campaign("three")
    enough = await stage.lead(campaign, person(7), priority=9)
    other = await stage.lead(campaign, person(8))
    before = await calls(stage)
    (grant,), woken = await granted(stage)
    assert (grant.lead_id, woken) == (other, [campaign.id])
    assert await calls(stage) == before + 1
    lead = await stage.read_lead(enough)
    # The first of the two was at noon.
    assert (lead.status, lead.due_at, lead.priority) == (LeadStatus.BACKLOG, NOON + DAY, 9)
    assert await next_wake(stage, campaign) == NOON + DAY
    await stage.dial(grant.call_id)
    await stage.end(grant.call_id, CallStatus.COMPLETED)
    await stage.finish(grant.call_id)
    assert await granted(stage) == ([], [])
    stage.now = NOON + DAY
    ((grant,), woken) = await granted(stage)
    assert (grant.lead_id, woken) == (enough, [])
    assert isinstance(await stage.accept(grant.call_id), Accepted)
    await stage.check()


async def test_a_campaign_is_woken_only_for_a_lead_that_is_due_before_those_it_waits_for(stage: Stage) -> None:
    await stage.number()
    await called_twice(stage, 1)
    campaign = await stage.campaign("three")
    await stage.lead(campaign, person(9), due=stage.now + timedelta(hours=1))
    await stage.lead(campaign, person(1))
    assert await granted(stage) == ([], [])
    assert await next_wake(stage, campaign) == stage.now + timedelta(hours=1)


async def test_a_crowd_that_was_called_enough_holds_up_nobody_for_long(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_limit, "MOST_AT_ONCE", 100)
    stage.limits = AccountLimits(calls_per_second=1000, calls_per_phone=1)
    crowd = [f"+1415555{n:04}" for n in range(150)]
    await stage.number(channels=200)
    await stage.leads(await stage.campaign("one"), crowd)
    for grant in [*await stage.grant(), *await stage.grant()]:
        await stage.dial(grant.call_id)
        await stage.end(grant.call_id, CallStatus.COMPLETED)
        await stage.finish(grant.call_id)
    campaign, bystander = await stage.campaign("two"), await stage.campaign("three")
    await stage.leads(campaign, crowd, priority=5)
    last = await stage.lead(campaign, person(1))
    other = await stage.lead(bystander, person(2))
    grants, woken = await granted(stage)
    assert ([grant.lead_id for grant in grants], woken) == ([other], [campaign.id])
    # Its workflow looks again, and comes to the end of them.
    grants, _ = await granted(stage)
    assert [grant.lead_id for grant in grants] == [last]
    assert await next_wake(stage, campaign) == NOON + DAY


async def test_a_lead_in_somebody_elses_hands_is_not_waited_for(stage: Stage) -> None:
    if stage.database.is_sqlite:
        pytest.skip("a write is alone on SQLite")
    await stage.number()
    await called_twice(stage, 7)
    campaign = await stage.campaign("three")
    held = await stage.lead(campaign, person(7), priority=9)
    other = await stage.lead(campaign, person(8))
    async with stage.database.write() as tx:
        await tx.execute(select(schema.leads.c.id).where(schema.leads.c.id == held).with_for_update())
        async with asyncio.timeout(5):
            grants, _ = await granted(stage)
    assert [grant.lead_id for grant in grants] == [other]


async def test_a_call_that_twilio_tells_of_late_still_keeps_the_next_one_from_being_placed(stage: Stage) -> None:
    """The number has had its calls between the grant of a line and the dial."""
    stage.limits = AccountLimits(calls_per_second=1000, calls_per_phone=1)
    await stage.number(channels=2)
    await stage.lead(await stage.campaign("one"), person(7))
    lost = await stage.grant_one()
    await stage.accept(lost.call_id)
    await stage.refuse(lost.call_id, FailureClass.PERMANENT)
    await stage.finish(lost.call_id)
    lead_id = await stage.lead(await stage.campaign("two"), person(7))
    grant = await stage.grant_one()
    await stage.hear(lost.call_id, CallFacts(sid="CA1", status=CallStatus.COMPLETED, sequence=9))
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert (answer.standing.status, answer.standing.due_at) == (LeadStatus.BACKLOG, NOON + DAY)
    assert (await stage.read_lead(lead_id)).attempts == 0
    assert await stage.leased() == 0
