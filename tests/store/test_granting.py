"""Who gets the next free line."""

from datetime import timedelta

import pytest

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.number import NumberUpdate
from breeze_buddy.store import backlog, grants, numbers
from tests.store.stage import NOON, OUR_PHONE, Stage, a_template, person


async def change_number(stage: Stage, number_id: str, **wanted: object) -> None:
    async with stage.database.write() as tx:
        await numbers.change(tx, number_id, NumberUpdate.model_validate(wanted))


async def test_a_free_line_goes_to_a_due_lead(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    lead_id = await stage.lead(campaign)
    grant = await stage.grant_one()
    assert (grant.lead_id, grant.campaign_id, grant.attempt, grant.dial_at) == (lead_id, campaign.id, 1, NOON)
    assert (await stage.read_lead(lead_id)).status is LeadStatus.PROCESSING
    assert await stage.statuses(lead_id) == ["BACKLOG", "PROCESSING"]
    call = await stage.row("calls", grant.call_id)
    assert (call["from_phone"], call["to_phone"], call["progress"]) == (OUR_PHONE, person(0), "granted")
    await stage.check()
    # Nothing is left to be granted.
    assert await stage.grant() == []


async def test_no_more_leads_are_granted_than_lines_are_free(stage: Stage) -> None:
    await stage.number(channels=2)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(5)])
    assert len(await stage.grant()) == 2
    assert await stage.grant() == []
    await stage.check()


async def test_the_higher_priority_is_called_first(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    await stage.lead(campaign, person(0), priority=-5)
    await stage.lead(campaign, person(1))
    wanted = await stage.lead(campaign, person(2), priority=7)
    assert (await stage.grant_one()).lead_id == wanted


async def test_a_retry_comes_before_a_fresh_lead_although_it_became_due_later(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign(template=a_template(retry={"cooldown": 60, "jitter": 0}))
    tried = await stage.lead(campaign, person(0))
    assert (await stage.attempt(CallStatus.BUSY)).status is LeadStatus.RETRY
    await stage.lead(campaign, person(1), due=NOON)
    stage.pass_time(seconds=60)
    await stage.rejoin(tried)
    grant = await stage.grant_one()
    assert (grant.lead_id, grant.attempt) == (tried, 2)


async def test_among_equals_the_one_that_is_due_longest_is_called_first(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    await stage.lead(campaign, person(0), due=NOON - timedelta(minutes=1))
    longest = await stage.lead(campaign, person(1), due=NOON - timedelta(minutes=2))
    await stage.lead(campaign, person(2), due=NOON)
    assert (await stage.grant_one()).lead_id == longest


async def test_a_lead_is_not_called_before_it_is_due(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    await stage.lead(campaign, due=NOON + timedelta(seconds=1), priority=100)
    assert await stage.grant() == []
    async with stage.database.read() as tx:
        assert await backlog.next_wake(tx, campaign.id, now=NOON) == NOON + timedelta(seconds=1)
    stage.pass_time(seconds=1)
    assert len(await stage.grant()) == 1


@pytest.mark.parametrize(
    "status", [CampaignStatus.CREATED, CampaignStatus.PAUSED, CampaignStatus.COMPLETED, CampaignStatus.CANCELLED]
)
async def test_only_running_campaigns_call(stage: Stage, status: CampaignStatus) -> None:
    await stage.number()
    campaign = await stage.campaign(status=CampaignStatus.CREATED)
    await stage.lead(campaign)
    if status is not CampaignStatus.CREATED:
        await stage.set_status(campaign.id, CampaignStatus.RUNNING)
        await stage.set_status(campaign.id, status)
    assert await stage.grant() == []
    if status in (CampaignStatus.CREATED, CampaignStatus.PAUSED):
        await stage.set_status(campaign.id, CampaignStatus.RUNNING)
        assert len(await stage.grant()) == 1


async def test_a_campaign_calls_from_its_own_numbers_only(stage: Stage) -> None:
    await stage.number("+14155550001", channels=5)
    own = await stage.number("+14155550002", channels=1)
    campaign = await stage.campaign(on=[own.phone])
    await stage.leads(campaign, [person(n) for n in range(3)])
    (grant,) = await stage.grant()
    assert (await stage.row("calls", grant.call_id))["from_phone"] == own.phone


async def test_calls_spread_over_the_numbers(stage: Stage) -> None:
    for place in range(3):
        await stage.number(f"+1415555000{place}", channels=2)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(3)])
    used = {(await stage.row("calls", grant.call_id))["from_phone"] for grant in await stage.grant()}
    assert len(used) == 3


async def test_a_disabled_number_is_not_used(stage: Stage) -> None:
    number = await stage.number()
    campaign = await stage.campaign()
    await stage.lead(campaign)
    await change_number(stage, number.id, enabled=False)
    assert await stage.grant() == []
    await change_number(stage, number.id, enabled=True)
    assert len(await stage.grant()) == 1


async def test_campaigns_share_lines_by_weight(stage: Stage) -> None:
    await stage.number(channels=40)
    light = await stage.campaign("light", weight=1)
    heavy = await stage.campaign("heavy", weight=3)
    await stage.leads(light, [person(n) for n in range(50)])
    await stage.leads(heavy, [person(100 + n) for n in range(50)])
    granted = [grant.campaign_id for grant in await stage.grant()]
    assert (granted.count(light.id), granted.count(heavy.id)) == (10, 30)


async def test_a_share_that_is_not_wanted_goes_to_the_others(stage: Stage) -> None:
    await stage.number(channels=10)
    small = await stage.campaign("small", weight=100)
    large = await stage.campaign("large", weight=1)
    await stage.leads(small, [person(1)])
    await stage.leads(large, [person(100 + n) for n in range(20)])
    granted = [grant.campaign_id for grant in await stage.grant()]
    assert (granted.count(small.id), granted.count(large.id)) == (1, 9)


async def test_calls_that_are_on_count_for_the_share(stage: Stage) -> None:
    await stage.number(channels=4)
    first = await stage.campaign("first")
    await stage.leads(first, [person(n) for n in range(9)])
    assert len(await stage.grant(limit=2)) == 2
    second = await stage.campaign("second")
    await stage.leads(second, [person(100 + n) for n in range(9)])
    assert [grant.campaign_id for grant in await stage.grant()] == [second.id, second.id]


async def test_each_step_of_priority_doubles_a_campaign_s_share(stage: Stage) -> None:
    await stage.number(channels=1)
    usual, urgent = await stage.campaign("usual"), await stage.campaign("urgent", priority=2)
    await stage.leads(usual, [person(n) for n in range(40)])
    await stage.leads(urgent, [person(100 + n) for n in range(40)])
    called = []
    for _ in range(25):
        grant = await stage.grant_one()
        called.append(grant.campaign_id)
        await stage.dial(grant.call_id)
        await stage.end(grant.call_id, CallStatus.COMPLETED)
        await stage.finish(grant.call_id)
    assert called.count(urgent.id) == 20


async def test_a_campaign_never_has_more_calls_than_its_limit(stage: Stage) -> None:
    await stage.number(channels=10)
    campaign = await stage.campaign(max_concurrent_calls=2)
    await stage.leads(campaign, [person(n) for n in range(5)])
    granted = await stage.grant()
    assert len(granted) == 2
    assert await stage.grant() == []
    await stage.dial(granted[0].call_id)
    await stage.end(granted[0].call_id, CallStatus.COMPLETED)
    await stage.finish(granted[0].call_id)
    assert len(await stage.grant()) == 1


async def test_one_person_in_two_campaigns_is_on_the_phone_once(stage: Stage) -> None:
    await stage.number(channels=10)
    one, two = await stage.campaign("one"), await stage.campaign("two")
    leads = {await stage.lead(one, person(7)), await stage.lead(two, person(7))}
    first = await stage.grant_one()
    assert await stage.grant() == []
    await stage.dial(first.call_id)
    assert await stage.grant() == []
    await stage.end(first.call_id, CallStatus.COMPLETED)
    # The end is known, but it is the freed line that lets the next call through.
    await stage.finish(first.call_id)
    second = await stage.grant_one()
    assert {first.lead_id, second.lead_id} == leads
    await stage.check()


async def test_a_person_on_the_phone_does_not_hold_up_the_next_lead(stage: Stage) -> None:
    await stage.number(channels=10)
    campaign = await stage.campaign()
    await stage.lead(campaign, person(7))
    await stage.grant_one()
    await stage.lead(campaign, person(7), priority=50)
    other = await stage.lead(campaign, person(8))
    assert (await stage.grant_one()).lead_id == other


async def test_channels_taken_away_while_they_are_in_use_go_when_their_calls_end(stage: Stage) -> None:
    number = await stage.number(channels=3)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(6)])
    granted = await stage.grant()
    await change_number(stage, number.id, channels=1)
    assert await stage.leased() == 3
    for grant in granted:
        await stage.dial(grant.call_id)
        await stage.end(grant.call_id, CallStatus.COMPLETED)
        await stage.finish(grant.call_id)
    await stage.check()
    assert len(await stage.grant()) == 1
    assert await stage.leased() == 1


async def test_channels_added_are_used(stage: Stage) -> None:
    number = await stage.number(channels=1)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(6)])
    await stage.grant()
    await change_number(stage, number.id, channels=4)
    assert len(await stage.grant()) == 3


async def test_a_cancelled_lead_gets_no_line(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign(template=a_template(retry={"cooldown": 0}))
    lead_id = await stage.lead(campaign)
    assert (await stage.attempt(CallStatus.BUSY)).status is LeadStatus.RETRY
    await stage.rejoin(lead_id)
    assert await stage.cancel(lead_id)
    assert await stage.grant() == []


async def test_grants_that_nobody_takes_up_are_found_again(stage: Stage) -> None:
    await stage.number(channels=3)
    campaign = await stage.campaign(calls_per_second=0.1)
    await stage.leads(campaign, [person(0), person(1)])
    taken = await stage.grant_one()
    await stage.dial(taken.call_id)
    # Its turn is ten seconds away.
    lost = await stage.grant_one()

    async def found() -> list[str]:
        async with stage.database.read() as tx:
            again = await grants.unaccepted_grants(tx, older_than=stage.now - timedelta(seconds=5))
        return [item.grant.call_id for item in again]

    stage.pass_time(seconds=4)
    assert await found() == []
    stage.pass_time(seconds=8)
    # Its time had not come five seconds ago: its workflow sleeps.
    assert await found() == []
    stage.pass_time(seconds=6)
    assert await found() == [lost.call_id]
    async with stage.database.read() as tx:
        (item,) = await grants.unaccepted_grants(tx, older_than=stage.now)
    assert item.grant == lost
    assert (item.start.campaign_name, item.start.template_name) == ("summer", "greeting")
    assert person(1) not in item.start.masked_phone


async def test_only_a_lead_in_retry_rejoins_the_backlog(stage: Stage) -> None:
    await stage.number()
    lead_id = await stage.lead(await stage.campaign(template=a_template(retry={"cooldown": 60, "jitter": 0})))
    assert await stage.rejoin(lead_id) is LeadStatus.BACKLOG
    assert (await stage.attempt(CallStatus.NO_ANSWER)).status is LeadStatus.RETRY
    assert await stage.rejoin(lead_id) is LeadStatus.BACKLOG
    assert await stage.rejoin(lead_id) is LeadStatus.BACKLOG
    assert await stage.statuses(lead_id) == ["BACKLOG", "PROCESSING", "RETRY", "BACKLOG"]
