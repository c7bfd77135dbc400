"""A campaign of any length is cancelled page by page: nobody waits for the whole of it, and nobody is left out."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from breeze_buddy.activities.campaigns import cancel_leads
from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.store import backlog, cancelling, schema
from breeze_buddy.store.acceptance import Unusable
from tests.store.stage import Stage, person


async def open_leads(stage: Stage) -> dict[str, Any]:
    """Ids of leads that are not finished, and when they were asked to end."""
    leads = schema.leads
    async with stage.database.read() as tx:
        rows = await tx.execute(
            select(leads.c.id, leads.c.cancel_requested_at).where(leads.c.status != LeadStatus.FINISHED)
        )
        return {row.id: row.cancel_requested_at for row in rows}


async def crowd(stage: Stage, count: int) -> Campaign:
    await stage.number(channels=4)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(count)])
    return campaign


async def test_pages_have_no_more_leads_than_they_may_and_leave_none(stage: Stage) -> None:
    campaign = await crowd(stage, 27)
    granted = {grant.lead_id for grant in await stage.grant()}
    assert await stage.cancel_campaign(campaign, hang_up=False, limit=10) == [10, 10, 3, 4]
    assert await open_leads(stage) == dict.fromkeys(granted, stage.now)
    await stage.check()
    # Whoever let calls end first thinks better of it.
    assert await stage.cancel_campaign(campaign, limit=3) == [3, 1]
    assert await stage.cancel_campaign(campaign, limit=3) == []


async def test_a_lead_that_is_granted_a_line_between_two_pages_is_cancelled_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stage.database.is_sqlite:
        pytest.skip("a decision is alone on SQLite: it sees that the campaign is cancelled")
    campaign = await crowd(stage, 20)
    looked, go_on = asyncio.Event(), asyncio.Event()
    original = backlog.candidates

    async def look(*args: Any) -> Any:
        found = await original(*args)
        looked.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(backlog, "candidates", look)
    decision = asyncio.create_task(stage.grant())
    await asyncio.wait_for(looked.wait(), 5)
    await stage.set_status(campaign.id, CampaignStatus.CANCELLED)
    async with stage.database.write() as tx:
        assert await cancelling.cancel_page(tx, campaign.id, hang_up=True, now=stage.now, limit=10) == 10
    go_on.set()
    granted = await decision
    assert len(granted) == 4
    assert await stage.cancel_campaign(campaign, limit=10) == [6, 4]
    assert set(await open_leads(stage)) == {grant.lead_id for grant in granted}
    for grant in granted:
        assert isinstance(await stage.accept(grant.call_id), Unusable)
    assert await open_leads(stage) == {}
    await stage.check()


async def test_a_lead_that_somebody_has_in_hand_is_waited_for(stage: Stage) -> None:
    if stage.database.is_sqlite:
        pytest.skip("a write is alone on SQLite")
    campaign = await crowd(stage, 3)
    leads = schema.leads
    async with stage.database.write() as other:
        await other.execute(select(leads.c.id).limit(1).with_for_update())
        cancelling_all = asyncio.create_task(stage.cancel_campaign(campaign))
        done, _ = await asyncio.wait([cancelling_all], timeout=0.3)
        assert not done
    assert await cancelling_all == [3]


async def test_who_is_killed_in_a_page_goes_on_with_the_rest(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = await crowd(stage, 2300)
    await stage.set_status(campaign.id, CampaignStatus.CANCELLED)
    pages: list[int] = []
    original = cancelling.cancel_page

    async def killed_in_the_second(*args: Any, **more: Any) -> int:
        pages.append(await original(*args, **more))
        if len(pages) == 2:
            raise ConnectionError("killed")
        return pages[-1]

    monkeypatch.setattr(cancelling, "cancel_page", killed_in_the_second)
    with pytest.raises(ConnectionError):
        await cancel_leads(stage.database, campaign.id, hang_up=True)
    assert len(await open_leads(stage)) == 1300
    await stage.check()
    await cancel_leads(stage.database, campaign.id, hang_up=True)
    assert pages == [1000, 1000, 1000, 300, 0]
    assert await open_leads(stage) == {}
    assert (await stage.read_campaign(campaign)).open_leads == 0
