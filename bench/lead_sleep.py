"""Many leads asleep in their cooldown: what the machine does meanwhile, and how those go on that wake together.

Sleepers are not called first, which would take long: they are written to the database as leads whose first call
nobody answered, and each is given its old grant. That is how the relay wakes a lead that lost its workflow; the
workflow finds the lead in RETRY and sleeps until it is due.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import func, insert, select, update

from bench.lead_pacing import created_s, most_within
from bench.lead_stack import LeadStack, lead_stack, phones
from bench.process_figures import CpuReading, memory_mib
from breeze_buddy.domain import messages
from breeze_buddy.domain.messages import Grant, LeadStart
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.retry import RetryPolicy
from breeze_buddy.store import schema
from breeze_buddy.store.database import Database

_AT_ONCE = 100
_QUIET_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Sleep:
    """`core_share`: of one core, by process, while nothing happens. Lateness is against the earliest moments at which
    the pace allowed the calls of leads that came due when they did."""

    sleepers: int
    core_share: dict[str, float]
    memory_mib: dict[str, float]
    woken: int
    spread_s: float
    pace_per_s: float
    achieved_per_s: float
    most_in_a_second: int
    latest_s: float
    last_s: float

    @property
    def core_share_of_all(self) -> float:
        return sum(share for name, share in self.core_share.items() if name != "simulator")


async def measure(
    folder: Path, *, sleepers: int, woken: int, pace_per_s: float, quiet_s: float, cooldown: timedelta
) -> Sleep:
    """`sleepers` sleep until tomorrow; `woken` more have cooldowns of that length, which began at the same moment and
    end soon."""
    policy = RetryPolicy(cooldown=cooldown)
    async with lead_stack(folder) as stack:
        number = await stack.number("+14155550100", channels=60)
        asleep = phones(sleepers)
        template = {"record": False, "retry": policy.model_dump(mode="json")}
        for_long = await stack.campaign("asleep", [number], [], **template)
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        await _put_to_sleep(stack, for_long, {str(uuid4()): (phone, tomorrow) for phone in asleep})
        await _quiet(stack, sleepers)
        before, began = CpuReading.of(stack.pids), time.monotonic()
        await asyncio.sleep(quiet_s)
        used, took_s = CpuReading.of(stack.pids).since(before), time.monotonic() - began
        memory = {name: memory_mib(pid) for name, pid in stack.pids.items()}

        called = phones(woken, first=sleepers)
        await stack.people([{"phone": phone, "ring_s": 0, "talk_s": 0} for phone in called])
        soon = await stack.campaign("woken", [number], [], pacing={"calls_per_second": pace_per_s}, **template)
        # Time to put them to sleep before the first one is due.
        ends = datetime.now(UTC) + timedelta(seconds=20 + woken / 25) - cooldown
        due = {}
        for phone in called:
            lead_id = str(uuid4())
            due[lead_id] = (phone, ends + policy.cooldown_after(Outcome.NO_ANSWER, attempt=1, seed=lead_id))
        await _put_to_sleep(stack, soon, due)
        moments = sorted(at.timestamp() for _, at in due.values())
        await asyncio.sleep(moments[-1] - time.time() + 5)
        await _until_dialled(stack.database, soon, woken, within_s=woken / pace_per_s + 60)
        created = created_s(await stack.witnessed())
    ideal = _ideal(moments, pace_per_s)
    return Sleep(
        sleepers,
        {name: cpu / took_s for name, cpu in used.items()},
        memory,
        len(created),
        moments[-1] - moments[0],
        pace_per_s,
        (len(created) - 1) / (created[-1] - created[0]),
        most_within(created, 1.0),
        max(done - best for done, best in zip(created, ideal, strict=False)),
        created[-1] - ideal[-1],
    )


async def _put_to_sleep(stack: LeadStack, campaign_id: str, due: dict[str, tuple[str, datetime]]) -> None:
    """Leads by id in RETRY with one attempt behind them, and a workflow each, which sleeps until the lead is due."""
    grants = await _written(stack.database, campaign_id, due)
    await stack.start(campaign_id)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(grant: Grant) -> None:
        async with gate:
            await stack.temporal.start_workflow(
                messages.LEAD_WORKFLOW,
                LeadStart(
                    lead_id=grant.lead_id,
                    campaign_id=campaign_id,
                    campaign_name="asleep",
                    template_name="asleep",
                    masked_phone="+12…",
                    dials_at_once=True,
                    ends_at_once=True,
                ),
                id=messages.lead_workflow_id(grant.lead_id),
                task_queue=messages.TASK_QUEUE,
                start_signal=messages.GRANT,
                start_signal_args=[grant],
            )

    await asyncio.gather(*(one(grant) for grant in grants))


async def _written(database: Database, campaign_id: str, due: dict[str, tuple[str, datetime]]) -> list[Grant]:
    now = database.now()
    past = now - timedelta(minutes=10)
    leads, calls = [], []
    async with database.write() as tx:
        number = (await tx.execute(select(schema.numbers).limit(1))).one()
        for lead_id, (phone, at) in due.items():
            call_id = str(uuid4())
            leads.append(
                {
                    "id": lead_id,
                    "campaign_id": campaign_id,
                    "phone": phone,
                    "variables": {},
                    "priority": 0,
                    "status": "RETRY",
                    "attempts": 1,
                    "grants": 1,
                    "due_at": at,
                    "cancel_hang_up": False,
                    "created_at": past,
                }
            )
            calls.append(
                {
                    "id": call_id,
                    "direction": "outbound",
                    "lead_id": lead_id,
                    "campaign_id": campaign_id,
                    "number_id": number.id,
                    "attempt": 1,
                    "from_phone": number.phone,
                    "to_phone": phone,
                    "progress": "ended",
                    "status": "no-answer",
                    "granted_at": past,
                    "dial_at": past,
                    "intended_at": past,
                    "dialled_at": past,
                    "settled_at": past,
                    "no_media": False,
                    "cancelled_by_us": False,
                    "streams": 0,
                    "sequence": 1,
                    "sid": f"CA{call_id.replace('-', '')}",
                }
            )
        await tx.execute(insert(schema.leads), leads)
        await tx.execute(insert(schema.campaign_zones), {"campaign_id": campaign_id, "zones": ""})
        await tx.execute(insert(schema.calls), calls)
        await tx.execute(
            update(schema.campaigns)
            .where(schema.campaigns.c.id == campaign_id)
            .values(open_leads=len(leads), total_leads=len(leads))
        )
    return [
        Grant(lead_id=call["lead_id"], call_id=call["id"], campaign_id=campaign_id, attempt=1, dial_at=past)
        for call in calls
    ]


async def _quiet(stack: LeadStack, sleepers: int) -> None:
    """Until all have gone to sleep: nobody uses much CPU any more. Raises TimeoutError."""
    async with asyncio.timeout(120 + sleepers / 5):
        calm = 0
        while calm < 3:
            before = CpuReading.of(stack.pids)
            await asyncio.sleep(2)
            used = sum(CpuReading.of(stack.pids).since(before).values())
            calm = calm + 1 if used / 2 < _QUIET_SHARE else 0


async def _until_dialled(database: Database, campaign_id: str, wanted: int, *, within_s: float) -> None:
    """Until so many leads of a campaign were called a second time. Raises TimeoutError."""
    placed = (
        select(func.count())
        .select_from(schema.calls)
        .where(schema.calls.c.campaign_id == campaign_id, schema.calls.c.attempt > 1)
        .where(schema.calls.c.dialled_at.is_not(None))
    )
    async with asyncio.timeout(within_s):
        while True:
            async with database.read() as tx:
                if (await tx.scalar(placed) or 0) >= wanted:
                    return
            await asyncio.sleep(2)


def _ideal(due: Sequence[float], pace_per_s: float) -> list[float]:
    """The earliest moments at which leads that are due then can be called at that pace."""
    moments: list[float] = []
    for at in due:
        moments.append(max(at, moments[-1] + 1 / pace_per_s) if moments else at)
    return moments
