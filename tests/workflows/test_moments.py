"""Limits open again, and lines with them: whoever waits for that is called at the moment, and not by the relay."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from breeze_buddy.store.database import Database

from .rig import Rig, SkippedClock

SOON = timedelta(seconds=20)


@pytest_asyncio.fixture
async def rig(environment: WorkflowEnvironment, migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Rig]:
    """Nobody is called twice within a day. The relay does not look for due leads."""
    file = tmp_path / "breeze.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    clock = SkippedClock()
    await clock.look(environment)
    database = Database(f"sqlite+aiosqlite:///{file}", clock=clock)
    async with Rig(environment, database, clock, tmp_path).running(calls_per_phone=1) as running:
        yield running
    await database.close()


async def placed(rig: Rig, phone: str, calls: int) -> datetime:
    """When the last of so many calls to a phone was placed, by the platform's clock."""

    async def there() -> str | None:
        lead = await rig.lead(phone)
        times = [call["dialled_at"] for call in lead["calls"] if call["dialled_at"]]
        return times[-1] if times and len(rig.calls_to(phone)) == calls else None

    return datetime.fromisoformat(await rig.until(there))


async def called_at(rig: Rig, phone: str, moment: datetime, *, calls: int) -> None:
    """The `calls`-th call to a phone is placed at that moment, and none before."""
    await rig.skip_to(moment - timedelta(seconds=30))
    assert len(rig.calls_to(phone)) == calls - 1
    await rig.skip_to(moment + timedelta(seconds=1))
    assert moment <= await placed(rig, phone, calls) <= moment + SOON


async def at_noon(rig: Rig) -> datetime:
    """Tomorrow at noon, so that no day ends by chance; returns when that day ends."""
    noon = (rig.clock() + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    await rig.skip_to(noon)
    return datetime.combine(noon.date() + timedelta(days=1), datetime.min.time(), UTC)


async def test_who_was_called_enough_is_called_when_the_limit_opens(rig: Rig) -> None:
    phone, other = rig.person(), rig.person()
    await rig.campaign([phone])
    first = await rig.lead_in(phone, "FINISHED")
    await rig.campaign([phone, other])
    await rig.lead_in(other, "FINISHED")
    lead = await rig.lead(phone)
    assert (lead["status"], lead["calls"]) == ("BACKLOG", [])
    opens = datetime.fromisoformat(first["calls"][0]["granted_at"]) + timedelta(hours=24)
    assert datetime.fromisoformat(lead["due_at"]) == opens
    await called_at(rig, phone, opens, calls=2)


async def test_a_cap_that_is_reached_in_mid_run_is_over_when_its_day_is(rig: Rig) -> None:
    midnight = await at_noon(rig)
    number = await rig.number(daily_cap=2, channels=1)
    people = [rig.person() for _ in range(3)]
    campaign_id = await rig.created(people, number=number)
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
    for phone in people[:2]:
        await rig.lead_in(phone, "FINISHED")
    await called_at(rig, people[2], midnight, calls=1)


async def test_a_cap_that_is_set_while_a_campaign_runs_is_over_when_its_day_is(rig: Rig) -> None:
    midnight = await at_noon(rig)
    number = await rig.number(channels=1)
    first, second = rig.person(ring_s=60), rig.person()
    campaign_id = await rig.created([first, second], number=number)
    (await rig.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()

    async def rings() -> bool:
        return bool(rig.calls_to(first))

    await rig.until(rings)
    (row,) = (await rig.api.get("/numbers")).json()
    (await rig.api.patch(f"/numbers/{row['id']}", json={"daily_cap": 1})).raise_for_status()
    for call in rig.calls_to(first):
        await rig.simulator.exchange.hang_up(call)
    await called_at(rig, second, midnight, calls=1)


async def template(rig: Rig, **fields: Any) -> None:
    flow = {"nodes": {"start": {"say": "Hello.", "then": {"action": "end_conversation"}}}}
    body = {"name": "single", "flow": flow, "record": False, "detect_voicemail": False, **fields}
    (await rig.api.post("/templates", json=body)).raise_for_status()


async def pushed(rig: Rig, phone: str) -> None:
    (await rig.api.post("/leads", json={"template_name": "single", "phone": phone})).raise_for_status()


async def test_single_leads_wait_for_the_end_of_a_capped_day_too(rig: Rig) -> None:
    midnight = await at_noon(rig)
    await rig.number(daily_cap=1, channels=1)
    first, second = rig.person(), rig.person()
    await template(rig)
    await pushed(rig, first)
    await rig.lead_in(first, "FINISHED")
    await pushed(rig, second)
    await called_at(rig, second, midnight, calls=1)


async def test_a_single_lead_whose_cooldown_ends_on_a_capped_day_is_called_when_all_limits_are_open(rig: Rig) -> None:
    midnight = await at_noon(rig)
    await rig.number(daily_cap=1, channels=1)
    phone = rig.person(attempts=["busy"])
    await template(rig, retry={"max_retries": 1, "cooldown": 12 * 3600 - 600, "jitter": 0})
    await pushed(rig, phone)
    await rig.lead_in(phone, "RETRY")
    # The day ends ten minutes after the cooldown; then it is found that the person was called at noon.
    await rig.skip_to(midnight)
    lead = await rig.lead_in(phone, "BACKLOG")
    assert len(rig.calls_to(phone)) == 1
    await called_at(rig, phone, datetime.fromisoformat(lead["calls"][0]["granted_at"]) + timedelta(hours=24), calls=2)
