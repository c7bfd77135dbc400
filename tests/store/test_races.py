"""Several dispatchers at once, in one process and in several: nothing is granted twice, nothing is left."""

import asyncio
import json
import os
import sys

import pytest
from sqlalchemy import select, update

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.number import NumberUpdate
from breeze_buddy.store import acceptance, cancelling, leads, numbers, schema
from breeze_buddy.store.database import Database
from tests.store.racer import race
from tests.store.stage import NOON, Stage, person

LEADS = 120
# `make race` wants 10,000.
GRANTS = int(os.environ.get("RACE_GRANTS", "2000"))


async def crowd(stage: Stage, channels: int = 4, people: int = LEADS) -> None:
    """Two campaigns on two numbers; every third person is in both."""
    await stage.number("+14155550001", channels=channels)
    await stage.number("+14155550002", channels=channels)
    one, two = await stage.campaign("one"), await stage.campaign("two", weight=2)
    await stage.leads(one, [person(n) for n in range(people)])
    await stage.leads(two, [person(3 * n) for n in range(people // 3)])


async def all_called_once(stage: Stage, made: list[tuple[str, str]]) -> None:
    called = [lead_id for lead_id, _ in made]
    assert len(called) == len(set(called)), "a lead was granted twice"
    async with stage.database.read() as tx:
        rows = (await tx.execute(select(schema.calls.c.id, schema.calls.c.progress))).all()
        everybody = {lead.id for lead in await leads.listed(tx, limit=1000)}
    assert set(called) == everybody
    assert {row.id for row in rows} == {call_id for _, call_id in made}
    assert {row.progress for row in rows} == {"ended"}
    assert await stage.leased() == 0
    await stage.check()


async def test_dispatchers_of_one_process_grant_every_lead_once(stage: Stage) -> None:
    await crowd(stage)
    async with asyncio.TaskGroup() as group:
        races = [group.create_task(race(Stage(stage.database))) for _ in range(6)]
    await all_called_once(stage, [grant for done in races for grant in done.result()])
    assert sum(bool(done.result()) for done in races) > 1


async def test_dispatchers_of_several_processes_grant_every_lead_once(stage: Stage) -> None:
    await crowd(stage)
    command = (sys.executable, "-m", "tests.store.racer", stage.database.url, "2")
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    told = await asyncio.gather(*(process.communicate() for process in processes))
    for process, (_, errors) in zip(processes, told, strict=True):
        assert process.returncode == 0, errors.decode()
    await all_called_once(stage, [tuple(grant) for said, _ in told for grant in json.loads(said)])


async def test_nothing_is_granted_twice_by_two_transactions_in_the_same_moment(stage: Stage) -> None:
    """All at once on the same few lines, again and again."""
    await crowd(stage, channels=2, people=40)
    for _ in range(7):
        granted = [grant for found in await asyncio.gather(*(stage.grant() for _ in range(5))) for grant in found]
        assert len(granted) <= 4
        await stage.check()
        for grant in granted:
            await stage.dial(grant.call_id)
            await stage.end(grant.call_id, CallStatus.COMPLETED)
        # Each is finished by several at once: the line comes free once.
        await asyncio.gather(*(stage.finish(grant.call_id) for grant in granted for _ in range(3)))
        await stage.check()


async def test_channels_can_be_changed_under_full_load(stage: Stage) -> None:
    await crowd(stage, channels=6, people=45)
    async with stage.database.read() as tx:
        number_ids = [number.id for number in await numbers.listed(tx)]

    async def change() -> None:
        for place in range(30):
            async with stage.database.write() as tx:
                await numbers.change(tx, number_ids[place % 2], NumberUpdate(channels=(1, 6, 3)[place % 3]))

    async with asyncio.TaskGroup() as group:
        races = [group.create_task(race(Stage(stage.database))) for _ in range(2)]
        group.create_task(change())
    await all_called_once(stage, [grant for done in races for grant in done.result()])


async def test_a_campaign_cancelled_while_it_is_dispatched_leaves_nobody_half_cancelled(stage: Stage) -> None:
    await stage.number(channels=8)
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(n) for n in range(60)])

    async def work() -> None:
        for _ in range(6):
            for grant in await stage.grant(limit=2):
                if isinstance(await stage.accept(grant.call_id), acceptance.Accepted):
                    await stage.record_dialled(grant.call_id, f"CA{grant.call_id}")
                    await stage.end(grant.call_id, CallStatus.BUSY)
                    await stage.finish(grant.call_id)

    async def start_late() -> None:
        await stage.grant(limit=1)
        await stage.cancel_campaign(campaign, limit=7)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(work())
        group.create_task(start_late())
    await stage.check()
    async with stage.database.read() as tx:
        open_leads = [lead.id for lead in await leads.listed(tx, limit=100) if lead.status != "FINISHED"]
        waiting = {lead_id for lead_id, _ in await cancelling.asked_to_cancel(tx, campaign_id=campaign.id)}
    # What is not finished waits for its workflow, and every one of these has had a line.
    assert set(open_leads) == waiting
    for lead_id in open_leads:
        assert (await stage.row("leads", lead_id))["grants"] > 0


async def test_eight_dispatchers_grant_no_line_and_no_lead_twice(stage: Stage) -> None:
    """Lines come free as fast as they can, so that all eight always find some."""
    if stage.database.url.startswith("sqlite"):
        pytest.skip("writes on SQLite are one after the other anyway: the race is PostgreSQL's")
    for place in range(4):
        await stage.number(f"+1415555000{place}", channels=50)
    for name in ("one", "two", "three", "four"):
        await stage.leads(await stage.campaign(name), [person_of(name, n) for n in range(GRANTS // 4)])
    made: list[tuple[str, str]] = []

    async def dispatch(database: Database) -> None:
        own = Stage(database)
        idle = 0
        while len(made) < GRANTS and idle < 50:
            granted = await own.grant(limit=50)
            made.extend((grant.lead_id, grant.call_id) for grant in granted)
            idle = 0 if granted else idle + 1
            if granted:
                await free_at_once(database, [grant.call_id for grant in granted])

    databases = [Database(stage.database.url) for _ in range(8)]
    try:
        async with asyncio.TaskGroup() as group:
            for database in databases:
                group.create_task(dispatch(database))
    finally:
        for database in databases:
            await database.close()
    assert len(made) == GRANTS
    assert len({lead_id for lead_id, _ in made}) == GRANTS
    assert len({call_id for _, call_id in made}) == GRANTS


def person_of(name: str, place: int) -> str:
    area = {"one": 212, "two": 305, "three": 617, "four": 713}[name]
    return f"+1{area}{2000000 + place}"


async def free_at_once(database: Database, call_ids: list[str]) -> None:
    """End calls without what comes before; fails when one of them has no line of its own."""
    async with database.write() as tx:
        ended = update(schema.calls).where(schema.calls.c.id.in_(call_ids), schema.calls.c.progress == "granted")
        assert (await tx.execute(ended.values(progress="ended", settled_at=NOON))).rowcount == len(call_ids)
        freed = update(schema.lines).where(schema.lines.c.call_id.in_(call_ids))
        assert (await tx.execute(freed.values(call_id=None, campaign_id=None))).rowcount == len(call_ids)
