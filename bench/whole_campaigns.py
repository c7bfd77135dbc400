"""What is done with all leads of a campaign at once, on SQLite and on PostgreSQL: results as files, a clone, a redial,
a cancel. How long it takes, whether the API's memory stays flat, and how long others wait for an answer meanwhile.

Each lead has been called once and has talked. One API process on each database, started for the run.

    python -m bench.whole_campaigns [--leads 100000] [--json FILE]
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, insert, literal, select, text, update

from bench.api_process import ApiProcess, api_process
from bench.databases import each_database
from bench.figures_table import table
from bench.meanwhile import waits_ms
from bench.process_figures import cpu_s, machine, memory_mib
from breeze_buddy.domain.call import Direction, Progress
from breeze_buddy.domain.campaign import CampaignStatus, Pacing
from breeze_buddy.domain.lead import LeadInput, LeadStatus
from breeze_buddy.domain.number import NumberInput
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.template import Template
from breeze_buddy.store import campaigns, leads, numbers, schema, templates
from breeze_buddy.store.database import Database
from breeze_buddy.store.leads import NewLead
from breeze_buddy.store.migrate import upgrade

# Flat: what it grows by after a tenth of the time.
MOST_GROWTH_MIB = 30.0
MOST_SECONDS = 60.0
_PAGE = 5000
_FLOW = {"nodes": {"start": {"say": "Hello {name}, about {item}.", "then": {"action": "end_conversation"}}}}


@dataclass(frozen=True)
class Figures:
    """One request. Memory is the API's own; `others_ms` is what others wait for an answer meanwhile."""

    database: str
    what: str
    leads: int
    done: int
    seconds: float
    cpu_s: float
    at_tenth_mib: float
    peak_mib: float
    others_ms_p99: float
    others_ms_max: float

    @property
    def wrong(self) -> list[str]:
        """What does not do."""
        found = []
        if self.done != self.leads:
            found.append(f"{self.done} of {self.leads} leads")
        if self.seconds * 100_000 / self.leads > MOST_SECONDS:
            found.append(f"{self.seconds:.1f} s for {self.leads} leads")
        if self.peak_mib - self.at_tenth_mib > MOST_GROWTH_MIB:
            found.append(f"memory grew from {self.at_tenth_mib:.0f} to {self.peak_mib:.0f} MiB")
        return found


async def called_campaign(database: Database, count: int) -> str:
    """A completed campaign of so many leads, each with one call and what was said in it; its id."""
    now = database.now()
    async with database.write() as tx:
        template = await templates.register(tx, Template.model_validate({"name": "bench", "flow": _FLOW}), now=now)
        number = await numbers.create(tx, NumberInput(phone="+14155550000", channels=1), now=now)
        campaign = await campaigns.create(
            tx, name="bench", template_id=template.id, number_ids=[number.id], pacing=Pacing(), now=now
        )
        await campaigns.set_status(tx, campaign.id, CampaignStatus.RUNNING, now=now)
    for first in range(0, count, _PAGE):
        new = [NewLead(_lead(place), now) for place in range(first, min(first + _PAGE, count))]
        async with database.write() as tx:
            await leads.add(tx, campaign.id, new, now=now + timedelta(milliseconds=first))
    async with database.write() as tx:
        await _call_everybody(database, tx, campaign.id, number.id, now)
        await campaigns.set_status(tx, campaign.id, CampaignStatus.COMPLETED, now=now)
        if not database.is_sqlite:
            await tx.execute(text("ANALYZE"))  # as autovacuum does within a minute
    return campaign.id


def _lead(place: int) -> LeadInput:
    variables = {"name": f"Person {place}", "item": f"thing number {place}"}
    return LeadInput(phone=f"+1212{2_000_000 + place:07d}", variables=variables, request_id=f"row-{place}")


async def _call_everybody(database: Database, tx: Any, campaign_id: str, number_id: str, now: datetime) -> None:
    known, calls, conversations = schema.leads, schema.calls, schema.conversations
    mine = known.c.campaign_id == campaign_id
    call_id = literal("ca11") + func.substr(known.c.id, 5)
    facts = {
        "direction": Direction.OUTBOUND,
        "number_id": number_id,
        "attempt": 1,
        "from_phone": "+14155550000",
        "progress": Progress.ENDED,
        "granted_at": now,
        "dial_at": now,
        "settled_at": now,
        "no_media": False,
        "cancelled_by_us": False,
        "streams": 1,
        "sequence": 3,
        "status": "completed",
        "duration_s": 31,
    }
    named = [literal(value, calls.c[name].type) for name, value in facts.items()]
    rows = select(call_id, known.c.id, known.c.campaign_id, known.c.phone, call_id, *named).where(mine)
    into = ["id", "lead_id", "campaign_id", "to_phone", "sid", *facts]
    await tx.execute(insert(calls).from_select(into, rows))
    report = {
        "ending": "reached_end",
        "result": "confirmed",
        "answers": {"order": "yes", "when": "tomorrow at five"},
        "transcript": [{"who": "agent", "text": "Hello, this is about your order. " * 3}] * 12,
    }
    said = literal(report, conversations.c.report.type)
    moment = literal(now, conversations.c.updated_at.type)
    rows = select(calls.c.id, said, moment, moment).where(calls.c.campaign_id == campaign_id)
    await tx.execute(insert(conversations).from_select(["call_id", "report", "updated_at", "reported_at"], rows))
    done = {"status": LeadStatus.FINISHED, "outcome": Outcome.COMPLETED, "finished_at": now, "attempts": 1, "grants": 1}
    await tx.execute(update(known).where(mine).values(**done))
    await tx.execute(update(schema.campaigns).where(schema.campaigns.c.id == campaign_id).values(open_leads=0))


class _Run:
    """Requests to one API, each watched."""

    def __init__(self, name: str, api: ApiProcess, client: httpx.AsyncClient, campaign_id: str, count: int) -> None:
        self._name = name
        self._api = api
        self._client = client
        self._campaign = f"{api.url}/campaigns/{campaign_id}"
        self._count = count

    async def all(self) -> list[Figures]:
        found = [
            await self._watched("results, a row a lead", lambda: self._lines("leads")),
            await self._watched("results, a row a call", lambda: self._lines("calls")),
            await self._watched("clone", self._clone),
            await self._watched("redial", self._redial),
        ]
        return [*found, await self._watched("cancel", self._cancel)]

    async def _lines(self, rows: str) -> int:
        lines = -1  # the header
        async with self._client.stream("GET", f"{self._campaign}/results", params={"rows": rows}) as answer:
            answer.raise_for_status()
            async for piece in answer.aiter_bytes():
                lines += piece.count(b"\r\n")
        return lines

    async def _post(self, verb: str, body: Any) -> Any:
        return (await self._client.post(f"{self._campaign}/{verb}", json=body)).raise_for_status().json()

    async def _clone(self) -> int:
        return int((await self._post("clone", {"leads": "all"}))["open_leads"])

    async def _redial(self) -> int:
        return int((await self._post("redial", {"outcomes": [Outcome.COMPLETED]}))["redialled"])

    async def _cancel(self) -> int:
        await self._post("cancel", {})
        left = (await self._client.get(self._campaign)).raise_for_status().json()["open_leads"]
        return self._count - int(left)

    async def _watched(self, what: str, work: Callable[[], Awaitable[int]]) -> Figures:
        done = asyncio.Event()
        others = asyncio.create_task(waits_ms(self._campaign, done))
        watching = asyncio.create_task(self._memory(done))
        began_s, cpu_before_s = time.perf_counter(), cpu_s(self._api.pid)
        count = await work()
        seconds, used_s = time.perf_counter() - began_s, cpu_s(self._api.pid) - cpu_before_s
        done.set()
        latencies_ms, memory = sorted(await others), await watching
        return Figures(
            database=self._name,
            what=what,
            leads=self._count,
            done=count,
            seconds=seconds,
            cpu_s=used_s,
            at_tenth_mib=memory[len(memory) // 10],
            peak_mib=max(memory),
            others_ms_p99=latencies_ms[int(len(latencies_ms) * 0.99)],
            others_ms_max=latencies_ms[-1],
        )

    async def _memory(self, done: asyncio.Event) -> list[float]:
        samples = [memory_mib(self._api.pid)]
        while not done.is_set():
            await asyncio.sleep(0.05)
            samples.append(memory_mib(self._api.pid))
        return samples


async def measure(name: str, url: str, count: int) -> list[Figures]:
    """On an empty database."""
    await upgrade(url)
    database = Database(url)
    try:
        campaign_id = await called_campaign(database, count)
    finally:
        await database.close()
    async with api_process(url) as api, httpx.AsyncClient(timeout=600, trust_env=False) as client:
        return await _Run(name, api, client, campaign_id, count).all()


async def run(count: int) -> list[Figures]:
    """Both databases, one after the other. Without PostgreSQL's programs, SQLite alone."""
    found: list[Figures] = []
    for name, url in each_database():
        found += await measure(name, url, count)
    return found


def _rows(found: list[Figures]) -> list[tuple[str, ...]]:
    head = ("", "seconds", "CPU s", "memory after a tenth, at most (MiB)", "others p99, worst (ms)")
    return [
        head,
        *(
            (
                f"{figures.database}: {figures.what}",
                f"{figures.seconds:.1f}",
                f"{figures.cpu_s:.1f}",
                f"{figures.at_tenth_mib:.0f}, {figures.peak_mib:.0f}",
                f"{figures.others_ms_p99:.0f}, {figures.others_ms_max:.0f}",
            )
            for figures in found
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    asked = parser.parse_args()
    found = asyncio.run(run(asked.leads))
    print(f"{asked.leads} leads, each called once\n\n{table(_rows(found))}\n\n{machine()}")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(figures) for figures in found], indent=2))
    wrong = [f"{figures.database}, {figures.what}: {what}" for figures in found for what in figures.wrong]
    for what in wrong:
        print(what, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
