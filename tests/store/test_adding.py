"""Leads that are added while others of the same campaign are called."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from breeze_buddy.activities.uploading import LeadUpload
from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.store import campaigns, leads, uploads
from breeze_buddy.store.errors import Conflict
from tests.store.stage import NOON, Stage, person

Adding = Callable[[], Awaitable[Any]]


@pytest.fixture(autouse=True)
def _postgresql(stage: Stage) -> None:
    if stage.database.is_sqlite:
        pytest.skip("a write is alone on SQLite")


async def held_after_its_leads(
    monkeypatch: pytest.MonkeyPatch, adding: Adding
) -> tuple[asyncio.Event, asyncio.Task[Any]]:
    """What adds leads, stopped when they are written and the transaction has not ended; the event lets it go on."""
    written, go_on = asyncio.Event(), asyncio.Event()
    original = leads._add_zones

    async def add_zones(*args: Any) -> None:
        await original(*args)
        written.set()
        await go_on.wait()

    monkeypatch.setattr(leads, "_add_zones", add_zones)
    task = asyncio.ensure_future(adding())
    await asyncio.wait_for(written.wait(), 5)
    monkeypatch.setattr(leads, "_add_zones", original)
    return go_on, task


def upload(stage: Stage, campaign: Campaign, phones: list[str]) -> Adding:
    async def work() -> int:
        async with LeadUpload(stage.database, campaign.id, file_name=None) as file:
            for line, phone in enumerate(phones, 2):
                await file.take(line, LeadInput(phone=phone))
            await file.write()
        return file.counts.accepted

    return work


async def test_calls_are_granted_and_end_while_a_page_of_a_file_is_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.number(channels=2)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(3)])
    go_on, task = await held_after_its_leads(monkeypatch, upload(stage, campaign, [person(n) for n in range(10, 40)]))
    async with asyncio.timeout(5):
        assert len(await stage.grant(limit=1)) == 1
        await stage.attempt(CallStatus.COMPLETED)
    go_on.set()
    assert await task == 30
    assert (await stage.read_campaign(campaign)).open_leads == 32
    await stage.check()


async def test_what_refers_to_a_campaign_is_written_while_somebody_changes_it(stage: Stage) -> None:
    campaign = await stage.campaign()
    async with stage.database.write() as tx:
        await campaigns.get(tx, campaign.id, lock=True)
        async with asyncio.timeout(5), stage.database.write() as other:
            await uploads.begin(other, campaign.id, file_name=None, now=stage.now)


async def test_the_same_requests_at_once_become_one_lead_each(stage: Stage) -> None:
    campaign = await stage.campaign()
    new = [leads.NewLead(LeadInput(phone=person(n), request_id=f"r{n}"), NOON) for n in range(50)]

    async def bring() -> int:
        async with stage.database.write() as tx:
            return len((await leads.add(tx, campaign.id, new, now=stage.now)).ids)

    assert sum(await asyncio.gather(*(bring() for _ in range(4)))) == 50
    await stage.check()


async def test_leads_on_their_way_into_a_campaign_that_is_cancelled_are_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await stage.campaign()
    go_on, task = await held_after_its_leads(monkeypatch, upload(stage, campaign, [person(n) for n in range(10)]))
    async with asyncio.timeout(5):
        await stage.set_status(campaign.id, CampaignStatus.CANCELLED)
    go_on.set()
    with pytest.raises(Conflict, match="was cancelled"):
        await task
    assert (await stage.read_campaign(campaign)).open_leads == 0
    await stage.check()


async def test_leads_on_their_way_into_a_campaign_that_completes_set_it_going_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await stage.campaign()
    go_on, task = await held_after_its_leads(monkeypatch, upload(stage, campaign, [person(n) for n in range(10)]))
    async with asyncio.timeout(5):
        await stage.set_status(campaign.id, CampaignStatus.COMPLETED)
    go_on.set()
    assert await task == 10
    found = await stage.read_campaign(campaign)
    assert (found.status, found.ended_at, found.open_leads) == (CampaignStatus.RUNNING, None, 10)
