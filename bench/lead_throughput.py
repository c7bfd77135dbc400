"""How many leads a second one machine takes to FINISHED, with everything that belongs to them.

The whole stack runs on this machine, with the simulated Twilio and the receiver of the webhook. Calls have no length:
each is created, answered, ended and recorded at once, so what is measured is all the rest.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from bench.lead_stack import LeadStack, lead_stack, phones
from bench.process_figures import CpuReading, memory_mib
from bench.webhook_receiver import WebhookReceiver
from breeze_buddy.domain.messages import campaign_workflow_id

_SAMPLE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """`memory_mib` of each process: when a fifth of the leads was done, and at the end. `campaign_runs`: how often
    its workflow went on with an empty history, plus one."""

    leads: int
    leads_per_s: float
    cpu_ms: dict[str, float]
    memory_mib: dict[str, tuple[float, float]]
    campaign_runs: int
    campaign_events: int
    outcomes: dict[str, int]


async def measure(folder: Path, *, leads: int, lines: int) -> Throughput:
    """One campaign with so many leads on so many lines, from its start to the last FINISHED."""
    async with lead_stack(folder) as stack, WebhookReceiver() as receiver:
        number = await stack.number("+14155550100", channels=lines)
        called = phones(leads)
        await stack.people([{"phone": phone, "ring_s": 0, "talk_s": 0, "recorded_s": 0.2} for phone in called])
        campaign_id = await stack.campaign("throughput", [number], called, webhook_url=receiver.url)
        before, began = CpuReading.of(stack.pids), time.monotonic()
        await stack.start(campaign_id)
        early = await _until_finished(stack, campaign_id, leads, share=0.2)
        late = await _until_finished(stack, campaign_id, leads, share=1.0)
        took_s = time.monotonic() - began
        used = CpuReading.of(stack.pids).since(before)
        progress = await stack.progress(campaign_id)
        runs, events = await _campaign_runs(stack, campaign_id)
    return Throughput(
        leads,
        leads / took_s,
        {name: cpu / leads * 1000 for name, cpu in used.items()},
        {name: (early[name], late[name]) for name in early},
        runs,
        events,
        progress["outcomes"],
    )


async def _until_finished(stack: LeadStack, campaign_id: str, leads: int, *, share: float) -> dict[str, float]:
    """Wait for that share of the leads; the memory of each process then. Raises TimeoutError when nothing moves."""
    done, since = 0, time.monotonic()
    while done < leads * share:
        await asyncio.sleep(min(_SAMPLE_EVERY_S, leads / 1000))
        now_done = int((await stack.progress(campaign_id))["leads"]["FINISHED"])
        if now_done > done:
            done, since = now_done, time.monotonic()
        elif time.monotonic() - since > 60:
            raise TimeoutError(f"{done} of {leads} leads are FINISHED, and no other has been for a minute")
    return {name: memory_mib(pid) for name, pid in stack.pids.items()}


async def _campaign_runs(stack: LeadStack, campaign_id: str) -> tuple[int, int]:
    """Runs of the campaign's workflow, and the events of the longest."""
    query = f"WorkflowId = '{campaign_workflow_id(campaign_id)}'"
    lengths = []
    async for run in stack.temporal.list_workflows(query):
        handle = stack.temporal.get_workflow_handle(run.id, run_id=run.run_id)
        lengths.append((await handle.describe()).history_length)
    return len(lengths), max(lengths, default=0)
