"""Looking up many values of a campaign costs the same, however many leads it has and whatever statistics know of it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update

from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.store import backlog, leads, schema, uploads
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.leads import NewLead
from tests.store.stage import NOON, Stage

LEADS = 4000


def asked(place: int, count: int) -> list[NewLead]:
    return [
        NewLead(LeadInput(phone=f"+1212{2_000_000 + n:07d}", time_zone="UTC", request_id=f"r{n}"), NOON)
        for n in range(place, place + count)
    ]


async def blocks_read(tx: Transaction, question: Any) -> int:
    """How many pages of the database the SELECTs of `question` read, asked once more."""
    made: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        made.append((statement, parameters))

    engine = tx.engine.sync_engine
    event.listen(engine, "before_cursor_execute", keep)
    try:
        await question()
    finally:
        event.remove(engine, "before_cursor_execute", keep)
    total = 0
    for statement, parameters in made:
        if statement.startswith("SELECT") and "set_config" not in statement:
            told = "\n".join(
                (await tx.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)).scalars()
            )
            total += sum(int(count) for count in re.findall(r"Buffers: shared hit=(\d+)", told)[:1])
    assert total > 0
    return total


async def test_of_a_campaign_that_is_new_to_the_statistics_no_more_is_read(stage: Stage) -> None:
    if stage.database.is_sqlite:
        pytest.skip("SQLite has no statistics")
    known, new = await stage.campaign("known"), await stage.campaign("new")
    async with stage.database.write() as tx:
        await leads.add(tx, known.id, asked(0, LEADS), now=NOON)
        await tx.execute(text("ANALYZE leads"))
        await leads.add(tx, new.id, asked(0, LEADS), now=NOON)
        ids, phones = [f"r{n}" for n in range(500)], [f"+1212{2_000_000 + n:07d}" for n in range(500)]
        assert len(await leads._known_requests(tx, new.id, ids)) == 500
        for question in (
            lambda: leads._known_requests(tx, new.id, ids),
            lambda: uploads.known_among(tx, new.id, phones=phones, request_ids=[]),
        ):
            # A few for each value, where all leads of the campaign would be 80 and more for each.
            assert await blocks_read(tx, question) < 500 * 10


async def test_a_decision_about_a_new_campaign_reads_neither_its_whole_backlog_nor_all_calls_there_were(
    stage: Stage,
) -> None:
    if stage.database.is_sqlite:
        pytest.skip("SQLite has no statistics")
    number = await stage.number(channels=3)
    known, new = await stage.campaign("known"), await stage.campaign("new")
    over = {"progress": "ended", "settled_at": NOON, "direction": "outbound", "attempt": 1, "from_phone": number.phone}
    over |= {"granted_at": NOON, "dial_at": NOON, "no_media": False, "cancelled_by_us": False, "streams": 0}
    async with stage.database.write() as tx:
        added = await leads.add(tx, known.id, asked(0, LEADS), now=NOON)
        await tx.execute(update(schema.leads).values(status="FINISHED", outcome="COMPLETED"))
        facts = {**over, "sequence": 9, "campaign_id": known.id, "number_id": number.id, "to_phone": "+12125550000"}
        await tx.execute(
            insert(schema.calls), [{"id": f"call {id_}"[:36], "lead_id": id_, **facts} for id_ in added.ids]
        )
        await tx.execute(text("ANALYZE"))
        await leads.add(tx, new.id, asked(0, LEADS), now=NOON)
    async with stage.database.write() as tx:
        read = await blocks_read(tx, lambda: backlog.grant_lines(tx, now=NOON, limits=stage.limits, limit=1))
        assert read < 300


async def test_a_page_from_the_middle_of_a_campaign_reads_that_page(stage: Stage) -> None:
    if stage.database.is_sqlite:
        pytest.skip("SQLite has no statistics")
    campaign = await stage.campaign("long")
    async with stage.database.write() as tx:
        for second in range(0, LEADS, 500):
            added = await leads.add(tx, campaign.id, asked(second, 500), now=NOON + timedelta(seconds=second))
        await tx.execute(text("ANALYZE leads"))
        first = await blocks_read(tx, lambda: leads.listed(tx, campaign_id=campaign.id, limit=50))
        last = await blocks_read(tx, lambda: leads.listed(tx, campaign_id=campaign.id, after=added.ids[0], limit=50))
        assert last < first + 20
