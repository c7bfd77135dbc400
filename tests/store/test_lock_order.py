"""Transactions of different kinds over the same rows at once on PostgreSQL: none is the victim of a deadlock."""

import asyncio
import random
from datetime import timedelta

import pytest

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.do_not_call import DoNotCallInput, ListingSource
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.number import NumberUpdate
from breeze_buddy.store import do_not_call, expiry, leads, numbers
from breeze_buddy.store.acceptance import Accepted
from breeze_buddy.store.leads import NewLead
from tests.store.stage import NOON, Stage, person


@pytest.fixture(autouse=True)
def _postgresql(stage: Stage) -> None:
    if stage.database.is_sqlite:
        pytest.skip("a write is alone on SQLite")


async def test_the_same_list_imported_twice_at_once_in_other_orders(stage: Stage) -> None:
    phones = [person(n) for n in range(400)]

    async def bring(given: list[str]) -> int:
        async with stage.database.write() as tx:
            entries = [DoNotCallInput(phone=phone) for phone in given]
            return await do_not_call.add_all(tx, entries, source=ListingSource.IMPORT, now=stage.now)

    for _ in range(5):
        await asyncio.gather(bring(phones), bring(phones[::-1]), bring(random.sample(phones, 400)))
        async with stage.database.write() as tx:
            for phone in phones:
                await do_not_call.remove(tx, phone)


async def test_everything_at_once(stage: Stage) -> None:
    """Grants, calls and their ends, uploads, expiry, numbers that change, and a cancelled campaign."""
    number = await stage.number(channels=20)
    campaigns = [await stage.campaign(f"c{n}", calls_per_second=500) for n in range(3)]
    for place, campaign in enumerate(campaigns):
        phones = [f"+1415555{1000 * place + n:04}" for n in range(300)]
        await stage.leads(
            campaign, phones[:150], due=NOON + timedelta(seconds=1), expires_at=NOON + timedelta(seconds=3)
        )
        await stage.leads(campaign, phones[150:])
    stage.pass_time(seconds=2)
    stop = asyncio.Event()

    async def call() -> None:
        while not stop.is_set():
            for grant in await stage.grant(limit=5):
                if isinstance(await stage.accept(grant.call_id), Accepted):
                    await stage.record_dialled(grant.call_id, f"CA{grant.call_id}")
                    await stage.end(grant.call_id, CallStatus.FAILED)
                    await stage.finish(grant.call_id)

    async def upload() -> None:
        place = 0
        while not stop.is_set():
            new = [NewLead(LeadInput(phone=f"+1646{place + n:07}"), stage.now) for n in range(100)]
            place += 100
            async with stage.database.write() as tx:
                await leads.add(tx, random.choice(campaigns[:2]).id, new, now=stage.now)

    async def change() -> None:
        while not stop.is_set():
            async with stage.database.write() as tx:
                await numbers.change(tx, number.id, NumberUpdate(channels=random.randint(5, 25)))

    async def end() -> None:
        for _ in range(12):
            await asyncio.sleep(0.25)
            stage.pass_time(seconds=0.2)
            for campaign in campaigns:
                async with stage.database.write() as tx:
                    await expiry.finish_expired(tx, campaign.id, now=stage.now, limit=50)
        await stage.cancel_campaign(campaigns[2], limit=20)
        stop.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for work in (call, call, call, upload, change, end):
            group.create_task(work())
    await stage.check()
