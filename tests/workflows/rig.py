"""Leads on a server whose time can be skipped: the real worker (sandboxed), API, database and simulator.

Nobody is waited for by the server's own time-skipping; a test skips to where it wants to be, and the store's
clock goes with it.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from pydantic import SecretStr
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from breeze_buddy.activities.clients import twilio_client
from breeze_buddy.api.app import create_app
from breeze_buddy.cli.worker import WorkerProcess
from breeze_buddy.domain.messages import SWEEP_WORKFLOW, campaign_workflow_id, lead_workflow_id
from breeze_buddy.settings import PREFIX, Settings
from breeze_buddy.simulator.faults import Fault
from breeze_buddy.simulator.people import Person
from breeze_buddy.simulator.server import Simulator, SimulatorConfig
from breeze_buddy.store.database import Database

HISTORIES = Path(__file__).parent / "histories"
AUTH_TOKEN = "token-of-the-tests"
_TASK_COMPLETED = "EVENT_TYPE_WORKFLOW_TASK_COMPLETED"


class SkippedClock:
    """The time of the Temporal server, as it was when last looked at, going on like ours."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def look(self, environment: WorkflowEnvironment) -> None:
        self._ahead = await environment.get_current_time() - datetime.now(UTC)


class WorkerKilled(RuntimeError):
    """Raised where a worker is to have died: its work is done, its result is lost."""


class _AroundActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, rig: "Rig") -> None:
        super().__init__(next)
        self._rig = rig

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        # Time may have been skipped just now.
        await self._rig.clock.look(self._rig.environment)
        result = await super().execute_activity(input)
        name = activity.info().activity_type
        if name in self._rig.losing:
            self._rig.losing.remove(name)
            raise WorkerKilled
        return result


class AroundActivities(Interceptor):
    """Sets the store's clock before each activity, and loses the results that the rig says."""

    def __init__(self, rig: "Rig") -> None:
        self._rig = rig

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _AroundActivity(next, self._rig)


class Rig:
    """One test's platform. Its leads hang up as soon as they answer, unless told otherwise."""

    def __init__(self, environment: WorkflowEnvironment, database: Database, clock: SkippedClock, folder: Path) -> None:
        self.environment = environment
        self.client = environment.client
        self.database = database
        self.clock = clock
        self.losing: list[str] = []
        self._folder = folder
        self._phones = 0

    @contextlib.asynccontextmanager
    async def running(self, **settings: Any) -> AsyncIterator["Rig"]:
        self.simulator = Simulator(
            SimulatorConfig(
                data=self._folder / "simulator",
                account_sid="AC" + "7" * 32,
                auth_token=AUTH_TOKEN,
                calls_per_second=0,
                recording_delay_s=0.05,
            )
        )
        await self.simulator.start()
        port = _free_port()
        self.settings = Settings(
            **{
                "twilio_account_sid": "AC" + "7" * 32,
                "twilio_auth_token": SecretStr(AUTH_TOKEN),
                "twilio_cps": 1000,
                "twilio_api_base_url": f"http://127.0.0.1:{self.simulator.port}",
                "public_url": f"http://127.0.0.1:{port}",
                "api_port": port,
                "stream_url": "ws://127.0.0.1:9/nobody",
                "temporal_task_queue": f"test-{uuid4().hex[:8]}",
                "recordings_url": f"file://{self._folder / 'recordings'}",
                "webhook_allow_private": True,
                **settings,
            }
        )
        app = create_app(self.settings, self.database, self.client)
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        twilio = twilio_client(self.settings)
        worker = WorkerProcess(
            self.settings, self.database, self.client, twilio, sandboxed=True, interceptors=[AroundActivities(self)]
        )
        self.relay = worker.relay
        working = asyncio.create_task(worker.run())
        self.api = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{PREFIX}", trust_env=False, timeout=30)
        await self.until(lambda: _value(server.started))
        try:
            yield self
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            server.should_exit = True
            await serving
            await self.api.aclose()
            await twilio.aclose()
            await self.simulator.stop()

    def person(self, **behaviour: Any) -> str:
        """Somebody at a new phone number, who answers at once and hangs up at once if nothing else is said."""
        self._phones += 1
        phone = f"+1415{3_000_000 + self._phones:07d}"
        fields = {"phone": phone, "ring_s": 0, "talk_s": 0, **behaviour}
        self.simulator.exchange.directory.put([Person.model_validate(fields)])
        return phone

    def lose_result(self, activity_name: str) -> None:
        """The next run of this activity does its work, and is then lost as if the worker had been killed."""
        self.losing.append(activity_name)

    def fault(self, **fault: Any) -> None:
        self.simulator.faults.add(Fault.model_validate(fault))

    def calls_to(self, phone: str) -> list[Any]:
        """The simulator's record of the calls to a phone."""
        return list(self.simulator.exchange.calls.by_to.get(phone, []))

    async def number(self, **fields: Any) -> str:
        """A number of ours, registered and owned, with five channels if nothing else is said."""
        self._phones += 1
        phone = f"+1415{4_000_000 + self._phones:07d}"
        self.simulator.account.add_numbers([phone])
        (await self.api.post("/numbers", json={"phone": phone, "channels": 5, **fields})).raise_for_status()
        return phone

    async def campaign(self, phones: list[str], **template: Any) -> str:
        """A started campaign of these people; its id."""
        campaign_id = await self.created(phones, number=await self.number(), **template)
        (await self.api.post(f"/campaigns/{campaign_id}/start")).raise_for_status()
        return campaign_id

    async def created(
        self, phones: list[str], *, number: str, pacing: dict[str, Any] | None = None, **template: Any
    ) -> str:
        """A campaign that is not started yet; its id."""
        name = f"test-{uuid4().hex[:8]}"
        definition = {
            **(pacing or {}),
            "name": name,
            "template": {
                "name": name,
                "flow": {"nodes": {"start": {"say": "Hello.", "then": {"action": "end_conversation"}}}},
                "record": False,
                "detect_voicemail": False,
                "ring_timeout_s": 10,
                **template,
            },
            "numbers": [number],
            "leads": [phone if isinstance(phone, dict) else {"phone": phone} for phone in phones],
        }
        made = await self.api.post("/campaigns", json=definition)
        assert made.is_success, made.text
        campaign_id = made.json()["campaign"]["id"]
        assert isinstance(campaign_id, str)
        return campaign_id

    async def lead(self, phone: str) -> dict[str, Any]:
        """The newest lead of a phone, with its calls."""
        page = (await self.api.get("/leads", params={"phone": phone})).json()
        lead = (await self.api.get(f"/leads/{page['items'][-1]['id']}")).json()
        assert isinstance(lead, dict)
        return lead

    async def lead_in(self, phone: str, *statuses: str) -> dict[str, Any]:
        """Wait until the lead of a phone is in one of these states."""

        async def there() -> dict[str, Any] | None:
            lead = await self.lead(phone)
            return lead if lead["status"] in statuses else None

        found = await self.until(there)
        assert isinstance(found, dict)
        return found

    def workflow(self, lead: dict[str, Any]) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(lead_workflow_id(lead["id"]))

    async def activities(self, lead: dict[str, Any]) -> list[str]:
        """The steps that were not taken within the tasks of a lead's workflow, in their order."""
        history = await self.workflow(lead).fetch_history()
        return [
            event.activity_task_scheduled_event_attributes.activity_type.name
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        ]

    async def terminate(self, lead: dict[str, Any]) -> None:
        """Terminate a lead's workflow while it waits. In the middle of a workflow task, the server would keep its time
        from being skipped for ever."""
        handle = self.workflow(lead)

        async def waits() -> bool:
            history = await handle.fetch_history()
            return EventType.Name(history.events[-1].event_type) in ("EVENT_TYPE_TIMER_STARTED", _TASK_COMPLETED)

        await self.until(waits)
        await handle.terminate("by an operator")

    async def result(self, lead: dict[str, Any]) -> Any:
        """The result of a lead's workflow, without skipping time to get it."""
        with self.environment.auto_time_skipping_disabled():
            return await asyncio.wait_for(self.workflow(lead).result(), 20)

    async def sweep(self) -> dict[str, int]:
        """What the hourly sweep finds now."""
        with self.environment.auto_time_skipping_disabled():
            running = self.client.execute_workflow(
                SWEEP_WORKFLOW, id=f"sweep-{uuid4().hex[:8]}", task_queue=self.settings.temporal_task_queue
            )
            found = await asyncio.wait_for(running, 30)
        assert isinstance(found, dict)
        return found

    async def skip(self, duration: timedelta) -> None:
        """Let this much time pass at once."""
        await self.environment.sleep(duration)
        await self.clock.look(self.environment)

    async def skip_to(self, moment: datetime) -> None:
        await self.clock.look(self.environment)
        await self.skip(moment - self.clock())

    async def until(self, condition: Callable[[], Awaitable[Any]], timeout_s: float = 20) -> Any:
        """Ask again and again until the answer is true."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = await condition()
            if answer:
                return answer
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {answer!r}"
            await asyncio.sleep(0.02)

    async def save_history(self, name: str, workflow_id: str) -> None:
        """Keep a history for the replay tests, when SAVE_HISTORIES is set (`make histories`)."""
        if "SAVE_HISTORIES" in os.environ:
            history = await self.client.get_workflow_handle(workflow_id).fetch_history()
            HISTORIES.mkdir(exist_ok=True)
            (HISTORIES / f"{name}.json").write_text(history.to_json() + "\n")

    async def save_lead(self, name: str, lead: dict[str, Any]) -> None:
        await self.save_history(f"lead_{name}", lead_workflow_id(lead["id"]))

    async def save_campaign(self, name: str, campaign_id: str) -> None:
        await self.save_history(f"campaign_{name}", campaign_workflow_id(campaign_id))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _value(value: Any) -> Any:
    return value
