"""The whole stack as processes of their own, for tests: started by `breeze up`, reached like a user reaches it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from breeze_buddy.domain.messages import campaign_workflow_id, lead_workflow_id

START_TIMEOUT_S = 90
PROCESSES = ("temporal", "simulator", "api", "worker", "media")


def template(name: str, **changes: Any) -> dict[str, Any]:
    """A short order confirmation that takes "yes", "no", 1 and 2; `changes` are other fields of the template."""
    confirm = {"name": "confirm", "phrases": ["yes", "correct"], "digits": "1", "answers": {"order": "confirmed"}}
    change = {"name": "change", "phrases": ["no", "wrong"], "digits": "2", "answers": {"order": "to change"}}
    return {
        "name": name,
        "flow": {
            "start": "order",
            "nodes": {
                "order": {
                    "say": "Hello {name}. You ordered {item}. Is that correct?",
                    "functions": [{**confirm, "go": "thanks"}, {**change, "go": "sorry"}],
                    "max_reprompts": 1,
                },
                "thanks": {"say": "Thank you. Goodbye.", "then": {"action": "end_conversation", "result": "confirmed"}},
                "sorry": {
                    "say": "We will look into it.",
                    "then": {"action": "end_conversation", "result": "to_change"},
                },
            },
        },
        "turns": {"no_input_s": 3},
        "retry": {"max_retries": 1, "cooldown": 1},
        "ring_timeout_s": 6,
        "max_call_s": 60,
        **changes,
    }


class Stack:
    """One running stack. `api` and `simulator` are HTTP clients on them; `settings` are given to every process."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._environment = os.environ | settings
        self._phones = 0
        self._clients: list[httpx.AsyncClient] = []

    def launch(self) -> None:
        """Start `breeze up` in its own session, so that a Ctrl-C at the tests is not its Ctrl-C."""
        log = (self.folder / "up.log").open("wb")
        command = [sys.executable, "-m", "breeze_buddy.cli", "up", "--data", str(self.folder), "--free-ports"]
        self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, start_new_session=True)

    async def start(self) -> None:
        """Launch it and wait until every process is ready."""
        self.launch()
        await self.until(lambda: _true(self._running()), START_TIMEOUT_S)
        urls = self.state["urls"]
        self.temporal_address: str = urls["temporal"]
        self.api = httpx.AsyncClient(base_url=urls["api"], timeout=30, trust_env=False)
        self.simulator = httpx.AsyncClient(base_url=urls["simulator"], timeout=30, trust_env=False)
        self._clients = [self.api, self.simulator]
        self.api_origin = urls["api"].split("/agent")[0]
        self.temporal = await Client.connect(self.temporal_address, data_converter=pydantic_data_converter)

    async def stop(self) -> None:
        """Stop it as Ctrl-C does, and see that it ends."""
        for client in self._clients:
            await client.aclose()
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(60) == 0, (self.folder / "up.log").read_text()

    @property
    def state(self) -> dict[str, Any]:
        """stack.json, empty until it is there."""
        try:
            read = json.loads((self.folder / "stack.json").read_text())
        except FileNotFoundError:
            assert self._process.poll() is None, (self.folder / "up.log").read_text()
            return {}
        assert isinstance(read, dict)
        return read

    def _running(self) -> bool:
        """Whether every process is ready; they appear in the file one after the other."""
        processes = self.state.get("processes", {})
        return all(processes.get(name, {}).get("state") == "running" for name in PROCESSES)

    def kill(self, name: str) -> int:
        """SIGKILL one process of the stack; returns the id it had."""
        pid = self.state["processes"][name]["pid"]
        os.kill(pid, signal.SIGKILL)
        assert isinstance(pid, int)
        return pid

    async def until(self, condition: Callable[[], Awaitable[Any]], timeout_s: float = 60) -> Any:
        """Ask again and again until the answer is true; fails with the last answer."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = await condition()
            if answer:
                return answer
            assert time.monotonic() < deadline, f"not within {timeout_s} s; the last answer was {answer!r}"
            await asyncio.sleep(0.1)

    def new_phone(self) -> str:
        """A number in the United States that no other test uses."""
        self._phones += 1
        return f"+1415{2_000_000 + self._phones:07d}"

    async def person(self, **behaviour: Any) -> str:
        """Somebody at a new phone number who behaves like this."""
        phone = self.new_phone()
        person = {"phone": phone, "ring_s": 0.3, **behaviour}
        (await self.simulator.post("/simulator/people", json=[person])).raise_for_status()
        return phone

    async def number(self, channels: int = 4) -> str:
        """A new number of ours, registered here and owned by the simulated account."""
        phone = self.new_phone()
        (await self.simulator.post("/simulator/numbers", json=[phone])).raise_for_status()
        await self.post("/numbers", {"phone": phone, "channels": channels})
        return phone

    async def post(self, path: str, body: Any = None) -> Any:
        answer = await self.api.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.api.get(path)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def campaign(self, phones: list[str], *, channels: int = 4, pool: str | None = None, **changes: Any) -> str:
        """Create and start a campaign that calls these people; returns its id."""
        name = f"test-{uuid4().hex[:8]}"
        made = await self.post(
            "/campaigns",
            {
                "name": name,
                "template": template(name, **changes),
                "numbers": [await self.number(channels)],
                "pool": pool,
                "leads": [{"phone": phone, "variables": {"name": "Ada", "item": "a lamp"}} for phone in phones],
            },
        )
        assert made["accepted"] == len(phones), made
        campaign_id = made["campaign"]["id"]
        await self.post(f"/campaigns/{campaign_id}/start")
        assert isinstance(campaign_id, str)
        return campaign_id

    async def finished(self, campaign_id: str, timeout_s: float = 120) -> dict[str, dict[str, Any]]:
        """Wait for the end of a campaign and of all that belongs to its leads; the leads by phone."""
        handle = self.temporal.get_workflow_handle(campaign_workflow_id(campaign_id))
        await asyncio.wait_for(handle.result(), timeout_s)
        page = await self.get(f"/campaigns/{campaign_id}/leads?limit=1000")
        leads = [await self.get(f"/leads/{lead['id']}") for lead in page["items"]]
        for lead in leads:
            workflow = self.temporal.get_workflow_handle(lead_workflow_id(lead["id"]))
            await asyncio.wait_for(workflow.result(), timeout_s)
        return {lead["phone"]: await self.get(f"/leads/{lead['id']}") for lead in leads}

    async def witness(self, phone: str) -> list[dict[str, Any]]:
        """The simulator's own record of the calls to a phone."""
        answer = await self.simulator.get("/simulator/calls", params={"to": phone})
        answer.raise_for_status()
        calls = answer.json()
        assert isinstance(calls, list)
        return calls

    async def most_calls_at_once(self, phone: str) -> int:
        """How many calls to a phone were ever live at the same time."""
        summary = (await self.simulator.get("/simulator/summary")).raise_for_status().json()
        return int(summary["max_live_by_callee"].get(phone, 0))


async def _true(value: bool) -> bool:
    return value
