"""The real stack for benchmarks of leads: Temporal's development server, simulator, API and workers as processes.

Like `breeze up`, but without a media server (calls of no length need none), with as many workers as wanted,
and with a simulated account that dials as fast as it is asked.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from breeze_buddy.cli.ports import free_ports
from breeze_buddy.cli.process import ChildSpec
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.cli.stack_secrets import load_or_make
from breeze_buddy.cli.supervisor import Supervisor
from breeze_buddy.settings import Settings
from breeze_buddy.store.database import Database

PAGE = 1000
"""Leads or people in one request."""

FLOW = {"nodes": {"start": {"say": "Hello.", "then": {"action": "end_conversation"}}}}


@dataclass(frozen=True)
class LeadStack:
    """A running one. `pids` are by name: temporal, simulator, api, worker, worker-2 …"""

    api: httpx.AsyncClient
    simulator: httpx.AsyncClient
    temporal: Client
    database: Database
    pids: Mapping[str, int]
    folder: Path

    async def number(self, phone: str, channels: int) -> str:
        """Register a number of ours, which the simulated account then owns."""
        await _posted(self.simulator, "/simulator/numbers", [phone])
        await _posted(self.api, "/numbers", {"phone": phone, "channels": channels})
        return phone

    async def people(self, people: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(people), PAGE):
            await _posted(self.simulator, "/simulator/people", people[start : start + PAGE])

    async def campaign(self, name: str, numbers: Sequence[str], phones: Sequence[str], **changes: Any) -> str:
        """A campaign with these leads, not started; its id. `changes` are fields of the template, or its `pacing`."""
        pacing = changes.pop("pacing", {})
        template = {"name": name, "flow": FLOW, "detect_voicemail": False, "ring_timeout_s": 10, **changes}
        body = {"name": name, "template": template, "numbers": numbers, **pacing}
        campaign_id = str((await _posted(self.api, "/campaigns", body))["campaign"]["id"])
        for start in range(0, len(phones), PAGE):
            leads = [{"phone": phone} for phone in phones[start : start + PAGE]]
            await _posted(self.api, f"/campaigns/{campaign_id}/leads", {"leads": leads})
        return campaign_id

    async def start(self, campaign_id: str) -> None:
        await _posted(self.api, f"/campaigns/{campaign_id}/start", None)

    async def progress(self, campaign_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/campaigns/{campaign_id}/progress")
        return dict(answer.raise_for_status().json())

    async def witnessed(self) -> list[dict[str, Any]]:
        """The simulator's own record of all calls, in the order in which it was asked for them."""
        answer = await self.simulator.get("/simulator/calls")
        return list(answer.raise_for_status().json())


async def _posted(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await client.post(path, json=body)
    if not answer.is_success:
        raise RuntimeError(f"POST {path} was answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()


@asynccontextmanager
async def lead_stack(folder: Path, *, workers: int = 1, **settings: str) -> AsyncIterator[LeadStack]:
    """Everything serves inside the block; `settings` are given to every process. Raises StartFailed."""
    plan = StackPlan(folder, free_ports(), Settings())
    secrets = load_or_make(folder)
    (folder / "recordings").mkdir(exist_ok=True)
    environment = plan.environment(secrets) | {"LOG_LEVEL": "WARNING", "TWILIO_CPS": "1000"} | settings

    def child(spec: ChildSpec, **changes: Any) -> ChildSpec:
        return replace(spec, environment=environment, **changes)

    simulator = plan.simulator(secrets)
    command = (*simulator.command[: simulator.command.index("--cps")], "--cps", "0", "--recording-delay", "0.05")
    supervisor = Supervisor(log_folder=folder / "logs", announce=lambda said: print(said, file=sys.stderr))
    try:
        await supervisor.start(plan.temporal(), child(simulator, command=command))
        await supervisor.run(child(plan.migrate(secrets)))
        await supervisor.start(child(plan.api(secrets)), child(plan.worker(secrets)))
        for place in range(2, workers + 1):
            await supervisor.start(child(plan.worker(secrets), name=f"worker-{place}"))
        yielded = await _reached(plan, environment, supervisor)
        try:
            yield yielded
        finally:
            await yielded.api.aclose()
            await yielded.simulator.aclose()
            await yielded.database.close()
    finally:
        await supervisor.stop()


async def _reached(plan: StackPlan, environment: Mapping[str, str], supervisor: Supervisor) -> LeadStack:
    return LeadStack(
        api=httpx.AsyncClient(base_url=plan.urls["api"], timeout=120, trust_env=False),
        simulator=httpx.AsyncClient(base_url=plan.urls["simulator"], timeout=120, trust_env=False),
        temporal=await Client.connect(plan.urls["temporal"], data_converter=pydantic_data_converter),
        database=Database(environment["DATABASE_URL"]),
        pids={name: child.pid for name, child in supervisor.children.items() if child.pid is not None},
        folder=plan.folder,
    )


def phones(count: int, *, first: int = 0) -> list[str]:
    """Numbers in the United States, one each."""
    return [f"+1212{2_000_000 + first + place:07d}" for place in range(count)]


async def until(condition: Any, *, timeout_s: float, every_s: float = 0.2) -> None:
    """Ask again and again until the answer is true. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - it is about other processes
            await asyncio.sleep(every_s)
