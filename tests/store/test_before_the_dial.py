"""What is looked at once more between the grant of a line and the dial, and what becomes of the lead."""

from datetime import timedelta

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.do_not_call import ListingSource
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import backlog, copies, do_not_call
from breeze_buddy.store.acceptance import Unusable
from tests.store.stage import NOON, Stage, a_template, person


async def listed(stage: Stage, phone: str) -> None:
    async with stage.database.write() as tx:
        await do_not_call.add(tx, phone, source=ListingSource.API, reason=None, call_id=None, now=stage.now)


async def test_somebody_listed_between_grant_and_dial_is_not_called(stage: Stage) -> None:
    await stage.number()
    lead_id = await stage.lead(await stage.campaign(), person(7))
    grant = await stage.grant_one()
    await listed(stage, person(7))
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert (answer.standing.status, answer.standing.outcome) == (LeadStatus.FINISHED, Outcome.DO_NOT_CALL)
    assert (await stage.read_lead(lead_id)).attempts == 0
    assert await stage.leased() == 0
    await stage.check()


async def test_a_lead_whose_time_is_over_is_not_called(stage: Stage) -> None:
    await stage.number()
    await stage.lead(await stage.campaign(), expires_at=NOON + timedelta(minutes=1))
    grant = await stage.grant_one()
    stage.pass_time(minutes=1)
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert (answer.standing.status, answer.standing.outcome) == (LeadStatus.FINISHED, Outcome.EXPIRED)
    await stage.check()


async def test_a_lead_whose_time_was_over_in_the_backlog_gets_no_line(stage: Stage) -> None:
    await stage.number()
    await stage.lead(await stage.campaign(), expires_at=NOON + timedelta(minutes=1))
    stage.pass_time(minutes=2)
    assert await stage.grant() == []


async def test_a_lead_to_be_called_later_waits_until_then(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    lead_id = await stage.lead(campaign, due=NOON + timedelta(days=1))
    assert await stage.grant() == []
    async with stage.database.read() as tx:
        assert await backlog.next_wake(tx, campaign.id, now=stage.now) == NOON + timedelta(days=1)
    stage.pass_time(days=1)
    assert (await stage.grant_one()).lead_id == lead_id


async def test_leads_whose_window_is_closed_are_passed_over_and_the_opening_is_known(stage: Stage) -> None:
    await stage.number(channels=5)
    template = a_template(calling_window={"start": "09:00", "end": "18:00", "time_zone": "UTC"})
    campaign = await stage.campaign(template=template)
    await stage.lead(campaign, person(0), time_zone="America/New_York", priority=9)  # 08:00
    open_one = await stage.lead(campaign, person(1), time_zone="Europe/Berlin")  # 14:00
    await stage.lead(campaign, person(2), time_zone="Asia/Tokyo")  # 21:00
    assert (await stage.grant_one()).lead_id == open_one
    async with stage.database.read() as tx:
        assert await backlog.next_wake(tx, campaign.id, now=stage.now) == NOON + timedelta(hours=1)


async def test_a_lead_in_its_cooldown_can_be_called_now(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign(template=a_template(retry={"cooldown": 3600}))
    lead_id = await stage.lead(campaign, person(0))
    assert (await stage.attempt(CallStatus.BUSY)).status is LeadStatus.RETRY
    await stage.lead(campaign, person(1), priority=50)
    async with stage.database.write() as tx:
        assert await backlog.call_now(tx, lead_id, now=stage.now) is LeadStatus.BACKLOG
    assert (await stage.grant_one()).lead_id == lead_id


async def test_a_lead_that_was_called_before_all_others_waits_its_turn_the_next_time(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign(template=a_template(retry={"cooldown": 60, "jitter": 0}))
    hurried = await stage.lead(campaign, person(0), priority=-3)
    best = await stage.lead(campaign, person(1), priority=100)
    for _ in range(2):  # asked for twice is asked for once
        async with stage.database.write() as tx:
            await backlog.call_now(tx, hurried, now=stage.now)
        assert (await stage.read_lead(hurried)).priority == -3
    async with stage.database.read() as tx:
        copied = await copies.to_clone(tx, campaign.id, None, now=stage.now, after=None, limit=9)
    assert sorted(lead.priority for lead in copied.leads) == [-3, 100]
    grant = await stage.grant_one()
    assert grant.lead_id == hurried
    # A line that was not used is no attempt: it is still before all others.
    await stage.set_status(campaign.id, CampaignStatus.PAUSED)
    assert isinstance(await stage.accept(grant.call_id), Unusable)
    await stage.set_status(campaign.id, CampaignStatus.RUNNING)
    assert (await stage.attempt(CallStatus.BUSY)).status is LeadStatus.RETRY
    stage.pass_time(seconds=60)
    await stage.rejoin(hurried)
    assert [(await stage.row("leads", lead))["priority"] for lead in (hurried, best)] == [-3, 100]
    assert (await stage.grant_one()).lead_id == best


async def test_a_window_is_waited_for_also_by_a_lead_that_became_due_while_no_line_was_free(stage: Stage) -> None:
    await stage.number(channels=1)
    await stage.lead(await stage.campaign("busy"), person(1))
    await stage.grant_one()
    template = a_template("office", calling_window={"start": "09:00", "end": "18:00", "time_zone": "UTC"})
    campaign = await stage.campaign("closed", template=template)
    await stage.lead(campaign, person(2), time_zone="UTC", due=NOON + timedelta(hours=7))
    stage.pass_time(hours=7)
    assert await stage.grant() == []
    async with stage.database.read() as tx:
        assert await backlog.next_wake(tx, campaign.id, now=stage.now) == NOON + timedelta(hours=21)
