"""A database of the first version with campaigns in the middle of their work: upgraded, and taken back."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.store import backlog, migrate
from breeze_buddy.store.database import Database
from breeze_buddy.store.schema import UtcDateTime
from tests.store.stage import NOON, OUR_PHONE, Stage, a_template, person

LATER = NOON + timedelta(hours=2)


async def at_revision(database: Database, run: Callable[[Any, str], None], revision: str) -> None:
    async with database.write() as tx:
        await tx.run_sync(lambda connection: run(migrate._config(connection), revision))


@pytest.fixture
async def old(database_url: str) -> AsyncIterator[Stage]:
    """A stage whose database is at 0001."""
    database = Database(database_url)
    await at_revision(database, command.upgrade, "0001")
    yield Stage(database)
    await database.close()


async def fill(database: Database) -> dict[str, str]:
    """A running campaign on two channels with a lead in each status, as the first version wrote them; ids by name."""
    tables = sa.MetaData()
    ids = {name: str(uuid4()) for name in ("template", "number", "campaign", "call", "line", "free")}
    async with database.write() as tx:
        await tx.run_sync(tables.reflect)
        for table in tables.tables.values():
            for column in table.columns:
                if isinstance(column.type, sa.DateTime):
                    column.type = UtcDateTime()

        async def put(table: str, **values: Any) -> None:
            await tx.execute(sa.insert(tables.tables[table]).values(**values))

        definition = a_template().model_dump(mode="json")
        times = {"created_at": NOON, "updated_at": NOON}
        await put("templates", id=ids["template"], name="greeting", version=1, definition=definition, **times)
        number = {"phone": OUR_PHONE, "provider": "twilio", "channels": 2, "enabled": True, "created_at": NOON}
        await put("numbers", id=ids["number"], **number)
        await put(
            "campaigns",
            id=ids["campaign"],
            name="old",
            template_id=ids["template"],
            status="RUNNING",
            standing=False,
            weight=1.0,
            priority=0,
            workflow_id="campaign-old",
            open_leads=4,
            total_leads=5,
            created_at=NOON,
            started_at=NOON,
        )
        await put("campaign_numbers", campaign_id=ids["campaign"], number_id=ids["number"])
        leads: dict[str, tuple[str, datetime, dict[str, Any]]] = {
            "due": ("BACKLOG", NOON, {"time_zone": "Europe/Berlin"}),
            "later": ("BACKLOG", LATER, {}),
            "cooling": ("RETRY", LATER, {"attempts": 1, "grants": 1}),
            "talking": ("PROCESSING", NOON, {"call_id": ids["call"], "grants": 1}),
            "over": ("FINISHED", NOON, {"outcome": "BUSY", "attempts": 3, "grants": 3, "finished_at": NOON}),
        }
        for place, (name, (status, due_at, more)) in enumerate(leads.items()):
            ids[name] = str(uuid4())
            row = {"attempts": 0, "grants": 0, "priority": 0, "cancel_hang_up": False, "variables": {}, **more}
            row |= {"phone": person(place), "status": status, "due_at": due_at, "created_at": NOON}
            await put("leads", id=ids[name], campaign_id=ids["campaign"], **row)
            for change in [] if status == "BACKLOG" else dict.fromkeys(("PROCESSING", status)):
                await put("lead_history", lead_id=ids[name], status=change, at=NOON)
        await put(
            "calls",
            id=ids["call"],
            direction="outbound",
            lead_id=ids["talking"],
            campaign_id=ids["campaign"],
            number_id=ids["number"],
            attempt=1,
            from_phone=OUR_PHONE,
            to_phone=person(3),
            progress="dialled",
            granted_at=NOON,
            dial_at=NOON,
            intended_at=NOON,
            dialled_at=NOON,
            no_media=False,
            cancelled_by_us=False,
            streams=0,
            sequence=-1,
            sid="CA1",
        )
        leased = {"call_id": ids["call"], "campaign_id": ids["campaign"], "leased_at": NOON}
        await put("lines", id=ids["line"], number_id=ids["number"], channel=0, **leased)
        await put("lines", id=ids["free"], number_id=ids["number"], channel=1)
    return ids


async def shape(database: Database) -> dict[str, Any]:
    """Tables, columns and indexes."""

    def read(connection: sa.Connection) -> dict[str, Any]:
        seen = sa.inspect(connection)
        found: dict[str, Any] = {}
        for table in seen.get_table_names():
            indexes = {
                index["name"]: (index["unique"], str(sorted(map(str, index.get("dialect_options", {}).values()))))
                for index in seen.get_indexes(table)
            }
            found[table] = (sorted(column["name"] for column in seen.get_columns(table)), indexes)
        if connection.dialect.name == "sqlite":
            rows = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))
            found["ways"] = {name: " ".join(str(sql).split()) for name, sql in rows}
        else:
            rows = connection.execute(sa.text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
            found["ways"] = {row.indexname: row.indexdef for row in rows}
        return found

    async with database.read() as tx:
        return await tx.run_sync(read)


async def test_a_campaign_goes_on_where_it_was_after_the_upgrade(old: Stage) -> None:
    ids = await fill(old.database)
    await at_revision(old.database, command.upgrade, "head")
    async with old.database.read() as tx:
        assert await backlog.next_wake(tx, ids["campaign"], now=NOON) == LATER
    await old.check()
    grant = await old.grant_one()
    assert grant.lead_id == ids["due"]
    await old.dial(grant.call_id)
    for call_id in (grant.call_id, ids["call"]):
        await old.end(call_id, CallStatus.COMPLETED)
        await old.finish(call_id)
    assert await old.grant() == []
    old.now = LATER
    assert await old.rejoin(ids["cooling"]) is LeadStatus.BACKLOG
    assert {grant.lead_id for grant in await old.grant()} == {ids["later"], ids["cooling"]}
    await old.check()


async def test_the_way_back_keeps_the_rows_and_leaves_the_first_versions_tables(old: Stage) -> None:
    before = await shape(old.database)
    ids = await fill(old.database)
    await at_revision(old.database, command.upgrade, "head")
    await at_revision(old.database, command.downgrade, "0001")
    assert await shape(old.database) == before
    async with old.database.read() as tx:
        assert await tx.scalar(sa.text("SELECT count(*) FROM leads")) == 5
        assert await tx.scalar(sa.text("SELECT count(*) FROM lead_history")) == 5
    await at_revision(old.database, command.upgrade, "head")
    assert (await old.grant_one()).lead_id == ids["due"]
