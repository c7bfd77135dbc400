"""Copies of leads in several pages: each lead once, in its order, whatever breaks off."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from breeze_buddy.activities import cloning
from breeze_buddy.domain.campaign import Campaign, CloneRequest
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.schema import leads
from tests.store.stage import NOON, Stage, person


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Pages are short, and the clock stands still unless the test moves it."""
    monkeypatch.setattr(cloning, "_READ_AT_ONCE", 7)
    monkeypatch.setattr(cloning, "_WRITTEN_AT_ONCE", 3)
    monkeypatch.setattr(stage.database, "now", lambda: stage.now)
    return stage


async def crowd(stage: Stage) -> tuple[Campaign, list[str]]:
    """Forty leads, seven at a time: their phones in the order in which they came."""
    campaign = await stage.campaign()
    for place in range(0, 40, 10):
        await stage.leads(campaign, [person(100 - place - n) for n in range(10)])
        stage.pass_time(seconds=1)
    return campaign, await phones(stage, campaign.id)


async def phones(stage: Stage, campaign_id: str) -> list[str]:
    async with stage.database.read() as tx:
        found = select(leads.c.phone).where(leads.c.campaign_id == campaign_id)
        return list(await tx.scalars(found.order_by(leads.c.created_at, leads.c.id)))


async def test_a_clone_has_each_lead_once_in_the_order_in_which_they_came(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, came = await crowd(stage)
    added: list[str] = []
    original = lead_rows.add

    async def add(tx: Any, campaign_id: str, new: Any, *, now: Any) -> Any:
        added.extend(item.lead.phone for item in new)
        return await original(tx, campaign_id, new, now=now)

    monkeypatch.setattr(lead_rows, "add", add)
    clone = await cloning.clone(stage.database, campaign.id, CloneRequest(leads="all"))
    assert added == came
    assert clone.open_leads == 40
    await stage.check()


async def test_a_clone_that_broke_off_is_whole_when_it_is_asked_for_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, came = await crowd(stage)
    original, pages = lead_rows.add, []

    async def add(*args: Any, **more: Any) -> Any:
        pages.append(await original(*args, **more))
        if len(pages) == 5:
            raise ConnectionError("killed")
        return pages[-1]

    monkeypatch.setattr(lead_rows, "add", add)
    wanted = CloneRequest(leads="all", request_id="once")
    with pytest.raises(ConnectionError):
        await cloning.clone(stage.database, campaign.id, wanted)
    clone = await cloning.clone(stage.database, campaign.id, wanted)
    assert sorted(await phones(stage, clone.id)) == sorted(came)
    assert clone.open_leads == 40
    await stage.check()


async def test_a_redial_that_is_over_before_the_last_page_is_not_redialled_in_turn(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, _ = await crowd(stage)
    over = {"status": LeadStatus.FINISHED, "outcome": Outcome.BUSY, "finished_at": stage.now}
    async with stage.database.write() as tx:
        await tx.execute(update(leads).values(**over))
    original = lead_rows.add

    async def add(tx: Any, *args: Any, **more: Any) -> Any:
        stage.pass_time(seconds=1)
        added = await original(tx, *args, **more)
        later = {**over, "finished_at": stage.now + timedelta(seconds=1)}
        await tx.execute(update(leads).where(leads.c.id.in_(added.ids)).values(**later))
        return added

    monkeypatch.setattr(lead_rows, "add", add)
    assert await cloning.redial(stage.database, campaign.id, (Outcome.BUSY,)) == 40
    stage.now = NOON + timedelta(hours=1)
    # Those can be redialled now, and the first ones not again.
    assert await cloning.redial(stage.database, campaign.id, (Outcome.BUSY,)) == 40
    assert len(await phones(stage, campaign.id)) == 120
