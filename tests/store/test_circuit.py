"""A campaign whose calls fail is paused by itself, and says why."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from breeze_buddy.domain.call import CallStatus, FailureClass
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.circuit_breaker import CircuitBreaker
from breeze_buddy.store import acceptance, campaigns
from breeze_buddy.store.database import Database

from .stage import Stage, a_template, person

ONCE = {"retry": {"max_retries": 0}}


@pytest.fixture
async def stage(database: Database) -> Stage:
    return Stage(database)


async def a_campaign(stage: Stage, people: int, breaker: CircuitBreaker | None = None, **template: Any) -> Campaign:
    await stage.number(channels=1)
    campaign = await stage.campaign(template=a_template(**{**ONCE, **template}))
    await stage.leads(campaign, [person(place) for place in range(people)])
    async with stage.database.write() as tx:
        return await campaigns.set_circuit_breaker(tx, campaign.id, breaker or CircuitBreaker(window_calls=5))


async def call(stage: Stage, statuses: Sequence[CallStatus]) -> None:
    for status in statuses:
        stage.pass_time(seconds=1)
        await stage.attempt(status)


BAD, BUSY = CallStatus.FAILED, CallStatus.BUSY


async def test_too_many_failures_pause_the_campaign_with_the_reason(stage: Stage) -> None:
    campaign = await a_campaign(stage, 10)
    await call(stage, [BAD, BUSY, BAD, BUSY])
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.RUNNING
    await call(stage, [BAD])
    paused = await stage.read_campaign(campaign)
    assert paused.status is CampaignStatus.PAUSED
    assert paused.status_reason is not None
    assert "3 of the last 5 calls failed" in paused.status_reason
    assert "call failed" in paused.status_reason
    assert "resume" in paused.status_reason
    assert await stage.grant() == []


async def test_people_who_are_busy_pause_nothing(stage: Stage) -> None:
    campaign = await a_campaign(stage, 10)
    await call(stage, [BUSY] * 10)
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.RUNNING


async def test_what_was_before_the_resume_is_forgotten(stage: Stage) -> None:
    campaign = await a_campaign(stage, 20)
    await call(stage, [BAD] * 5)
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.PAUSED
    stage.pass_time(minutes=1)
    await stage.set_status(campaign.id, CampaignStatus.RUNNING)
    await call(stage, [BAD] * 4)
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.RUNNING
    await call(stage, [BAD])
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.PAUSED


async def test_failures_of_another_time_or_campaign_do_not_count(stage: Stage) -> None:
    campaign = await a_campaign(stage, 10, CircuitBreaker(window_calls=5, window_minutes=10))
    await call(stage, [BAD] * 4)
    stage.pass_time(minutes=11)
    await call(stage, [BAD])
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.RUNNING
    other = await stage.campaign("winter", template=a_template("winter"), priority=10)
    await stage.leads(other, [person(50 + place) for place in range(3)])
    await call(stage, [BAD] * 3)
    for one in (campaign, other):
        assert (await stage.read_campaign(one)).status is CampaignStatus.RUNNING


async def test_one_without_a_breaker_goes_on(stage: Stage) -> None:
    campaign = await a_campaign(stage, 30)
    async with stage.database.write() as tx:
        await campaigns.set_circuit_breaker(tx, campaign.id, None)
    await call(stage, [BAD] * 25)
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.RUNNING


async def test_refusals_by_twilio_count_and_numbers_that_do_not_exist_do_not(stage: Stage) -> None:
    campaign = await a_campaign(stage, 20)
    for failure, expected in (
        (FailureClass.PERMANENT, CampaignStatus.RUNNING),
        (FailureClass.NOT_PERMITTED, CampaignStatus.PAUSED),
    ):
        for _ in range(5):
            stage.pass_time(seconds=1)
            grant = await stage.grant_one()
            assert isinstance(await stage.accept(grant.call_id), acceptance.Accepted)
            await stage.refuse(grant.call_id, failure)
            await stage.finish(grant.call_id)
            if (await stage.read_campaign(campaign)).status is CampaignStatus.PAUSED:
                break
        assert (await stage.read_campaign(campaign)).status is expected


async def test_grants_that_were_given_back_are_no_failures(stage: Stage) -> None:
    campaign = await a_campaign(stage, 20, calling_window={"start": "03:00", "end": "17:00"})  # of New York
    stage.pass_time(hours=8, minutes=59)
    await call(stage, [BUSY] * 4)
    for _ in range(3):
        stage.now = stage.now.replace(hour=20, minute=59, second=59, microsecond=0)
        grant = await stage.grant_one()
        stage.now = stage.now.replace(hour=21, minute=0, second=0)
        assert isinstance(await stage.accept(grant.call_id), acceptance.Unusable)
    stage.now = stage.now.replace(hour=20, minute=59, second=58)
    await call(stage, [BAD])
    assert (await stage.read_campaign(campaign)).status is CampaignStatus.RUNNING


async def test_failures_that_end_in_the_same_moment_are_seen_together(stage: Stage) -> None:
    campaign = await a_campaign(stage, 50, CircuitBreaker(window_calls=10, failure_share=0.9))
    await stage.number("+14155550009", channels=9)
    async with stage.database.write() as tx:
        await campaigns.use_all_numbers(tx, campaign)
    for _ in range(4):
        stage.pass_time(seconds=1)
        live = await stage.grant()
        assert len(live) == 10
        for grant in live:
            await stage.dial(grant.call_id)
            await stage.end(grant.call_id, BAD)
        await asyncio.gather(*(stage.finish(grant.call_id) for grant in live))
        assert (await stage.read_campaign(campaign)).status is CampaignStatus.PAUSED
        assert await stage.grant() == []
        stage.pass_time(minutes=1)
        await stage.set_status(campaign.id, CampaignStatus.RUNNING)
    await stage.check()
