"""What an ordinary lead costs, next to the least that a durable call can cost on the same Temporal server.

Both are run with the same number of calls at a time, in turns, so that a machine that grows slower does so for both,
and as fast as they go. CPU is what the operating system says that Temporal and the worker have used, divided by the
leads.
"""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.lead_stack import LeadStack, lead_stack, phones, until
from bench.minimal_lead import TASK_QUEUE, one_lead
from bench.process_figures import CpuReading
from bench.webhook_receiver import WebhookReceiver
from breeze_buddy.cli.process import Child, ChildSpec
from breeze_buddy.cli.readiness import polls_temporal
from breeze_buddy.domain.messages import lead_workflow_id
from breeze_buddy.store import leads as lead_rows

WARM_UP = 20
TURNS = 2
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU a lead, the events of the longest history of a sample, and how fast they went."""

    server_ms: float
    worker_ms: float
    history_events: int
    leads_per_s: float
    api_ms: float = 0.0

    @property
    def both_ms(self) -> float:
        return self.server_ms + self.worker_ms


@dataclass(frozen=True, slots=True)
class LeadCost:
    """The figures of this section."""

    minimal: Cost
    ordinary: Cost

    @property
    def ratio(self) -> float:
        return self.ordinary.both_ms / self.minimal.both_ms


async def measure(folder: Path, *, leads: int, lines: int) -> LeadCost:
    """So many of each, after warm-ups, `lines` at a time."""
    minimal, ordinary = [], []
    async with lead_stack(folder) as stack:
        number = await stack.number("+14155550100", channels=lines)
        for turn in range(TURNS):
            minimal.append(await _minimal(stack, leads // TURNS, lines, turn))
            ordinary.append(await _ordinary(stack, leads // TURNS, lines, number, turn))
    return LeadCost(_together(minimal), _together(ordinary))


def _together(costs: list[Cost]) -> Cost:
    """The mean of runs of the same size, and their longest history."""
    return Cost(
        server_ms=fmean(one.server_ms for one in costs),
        worker_ms=fmean(one.worker_ms for one in costs),
        history_events=max(one.history_events for one in costs),
        leads_per_s=fmean(one.leads_per_s for one in costs),
        api_ms=fmean(one.api_ms for one in costs),
    )


async def _minimal(stack: LeadStack, leads: int, lines: int, turn: int) -> Cost:
    address = stack.temporal.service_client.config.target_host
    spec = ChildSpec(
        "minimal-worker",
        (sys.executable, "-m", "bench.minimal_lead", address),
        os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        probe=polls_temporal(address, "default", TASK_QUEUE),
    )
    worker = Child(spec, stack.folder / "logs")
    await worker.spawn()
    try:
        await worker.until_ready()
        assert worker.pid is not None
        pids = {"server": stack.pids["temporal"], "worker": worker.pid}
        await _minimal_leads(stack, WARM_UP, lines, run=f"warm-{turn}")
        before, began = CpuReading.of(pids), time.monotonic()
        ids = await _minimal_leads(stack, leads, lines, run=f"measured-{turn}")
        took_s = time.monotonic() - began
        await asyncio.sleep(1)  # what the server does behind a workflow's end is part of its cost
        used = CpuReading.of(pids).since(before)
    finally:
        await worker.stop()
    events = await _most_events(stack, ids)
    return Cost(used["server"] / leads * 1000, used["worker"] / leads * 1000, events, leads / took_s)


async def _minimal_leads(stack: LeadStack, count: int, lines: int, *, run: str) -> list[str]:
    gate = asyncio.Semaphore(lines)

    async def one(phone: str) -> str:
        async with gate:
            return await one_lead(stack.temporal, phone, run=run, call_s=0.1)

    return list(await asyncio.gather(*(one(phone) for phone in phones(count))))


async def _ordinary(stack: LeadStack, leads: int, lines: int, number: str, turn: int) -> Cost:
    pids = {"server": stack.pids["temporal"], "worker": stack.pids["worker"], "api": stack.pids["api"]}
    async with WebhookReceiver() as receiver:
        await _campaign(stack, receiver, number, f"warm-up {turn}", phones(WARM_UP))
        before, began = CpuReading.of(pids), time.monotonic()
        campaign_id = await _campaign(stack, receiver, number, f"measured {turn}", phones(leads, first=WARM_UP))
        took_s = time.monotonic() - began
        await asyncio.sleep(1)
        used = CpuReading.of(pids).since(before)
    async with stack.database.read() as tx:
        some = await lead_rows.listed(tx, campaign_id=campaign_id, limit=_SAMPLE)
    return Cost(
        used["server"] / leads * 1000,
        used["worker"] / leads * 1000,
        await _most_events(stack, [lead_workflow_id(lead.id) for lead in some]),
        leads / took_s,
        api_ms=used["api"] / leads * 1000,
    )


async def _campaign(stack: LeadStack, receiver: WebhookReceiver, number: str, name: str, called: list[str]) -> str:
    """One attempt each, recorded, reported to the webhook; returns when the last report is there."""
    await stack.people([{"phone": phone, "ring_s": 0, "talk_s": 0, "recorded_s": 0.2} for phone in called])
    campaign_id = await stack.campaign(name, [number], called, webhook_url=receiver.url)
    told = len(receiver.leads) + len(called)
    await stack.start(campaign_id)

    async def all_told() -> bool:
        return len(receiver.leads) >= told

    await until(all_told, timeout_s=60 + len(called))
    return campaign_id


async def _most_events(stack: LeadStack, ids: list[str]) -> int:
    lengths = [(await stack.temporal.get_workflow_handle(one).describe()).history_length for one in ids[-_SAMPLE:]]
    return max(lengths)
