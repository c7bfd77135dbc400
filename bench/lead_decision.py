"""One dispatch decision beside a small backlog and a large one: its time must not depend on how many wait."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, insert, literal, select, text, update

from bench.postgres import cluster
from breeze_buddy.domain.campaign import CampaignStatus, Pacing
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.number import NumberInput
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.domain.template import Template
from breeze_buddy.store import backlog, campaigns, leads, numbers, schema, templates
from breeze_buddy.store.database import Database
from breeze_buddy.store.leads import NewLead
from breeze_buddy.store.migrate import upgrade

CAMPAIGNS = 50
FEW = 10_000
_FLOW = {"nodes": {"start": {"say": "Hello.", "then": {"action": "end_conversation"}}}}
_LIMITS = AccountLimits(calls_per_second=1_000_000)


@dataclass(frozen=True, slots=True)
class Decision:
    """Medians in milliseconds: one free line, one lead that gets it."""

    database: str
    many: int
    few_ms: float
    many_ms: float

    @property
    def ratio(self) -> float:
        return self.many_ms / self.few_ms


async def measure(*, many: int, decisions: int) -> list[Decision]:
    """On SQLite and on PostgreSQL. `many` is a multiple of FEW. Raises PostgresMissing."""
    found = []
    for name, place in (("SQLite", _sqlite), ("PostgreSQL", cluster)):
        with place() as url:
            found.append(await _on(name, url, many, decisions))
    return found


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="breeze-bench-") as folder:
        yield f"sqlite+aiosqlite:///{Path(folder) / 'breeze.db'}"


async def _on(name: str, url: str, many: int, decisions: int) -> Decision:
    await upgrade(url)
    database = Database(url)
    try:
        await _backlog(database)
        few_ms = await _median_ms(database, decisions)
        await _multiply(database, many // FEW)
        many_ms = await _median_ms(database, decisions)
    finally:
        await database.close()
    return Decision(name, many, few_ms, many_ms)


async def _backlog(database: Database) -> None:
    """Running campaigns with their leads, and one number with one line."""
    now = database.now()
    async with database.write() as tx:
        template = await templates.register(tx, Template.model_validate({"name": "bench", "flow": _FLOW}), now=now)
        number = await numbers.create(tx, NumberInput(phone="+14155550000", channels=1), now=now)
        for place in range(CAMPAIGNS):
            campaign = await campaigns.create(
                tx,
                name=f"campaign {place}",
                template_id=template.id,
                number_ids=[number.id],
                pacing=Pacing(weight=1 + place % 3),
                now=now,
            )
            each = FEW // CAMPAIGNS
            new = [NewLead(LeadInput(phone=f"+1212{2_000_000 + place * each + n:07d}"), now) for n in range(each)]
            await leads.add(tx, campaign.id, new, now=now)
            await campaigns.set_status(tx, campaign.id, CampaignStatus.RUNNING, now=now)


async def _multiply(database: Database, times: int) -> None:
    """The same leads again and again, with other ids and phones."""
    columns = [column for column in schema.leads.c if column.name not in ("id", "phone")]
    names = ["id", "phone", *(column.name for column in columns)]
    original = schema.leads.c.phone.like("+1212%")
    waiting = schema.leads.c.status == "BACKLOG"
    for round_ in range(1, times):
        id_ = literal(f"{round_:08x}") + func.substr(schema.leads.c.id, 9)
        phone = literal(f"+1{300 + round_}") + func.substr(schema.leads.c.phone, 6)
        copies = select(id_, phone, *columns).where(original, waiting)
        async with database.write() as tx:
            await tx.execute(insert(schema.leads).from_select(names, copies))
    async with database.write() as tx:
        counted = func.coalesce(
            select(func.count()).where(schema.leads.c.campaign_id == schema.campaigns.c.id).scalar_subquery(), 0
        )
        await tx.execute(update(schema.campaigns).values(open_leads=counted, total_leads=counted))
        if not database.is_sqlite:
            await tx.execute(text("ANALYZE"))  # as autovacuum does within a minute


async def _median_ms(database: Database, decisions: int) -> float:
    took: list[float] = []
    for _ in range(decisions):
        began = time.perf_counter()
        async with database.write() as tx:
            granted = await backlog.grant_lines(tx, now=database.now(), limits=_LIMITS, limit=1)
        took.append(time.perf_counter() - began)
        if len(granted) != 1:
            raise RuntimeError("a decision granted nothing although a line was free and leads were due")
        async with database.write() as tx:  # the call is over
            ended = {"progress": "ended", "settled_at": database.now()}
            await tx.execute(update(schema.calls).where(schema.calls.c.id == granted[0].grant.call_id).values(ended))
            await tx.execute(update(schema.lines).values(call_id=None, campaign_id=None, leased_at=None))
    return statistics.median(took[decisions // 10 :]) * 1000
