"""The API in this process, over a real database and a real Temporal, and somebody who asks it things."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import httpx
from fastapi import FastAPI
from temporalio.client import Client
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from breeze_buddy.api.app import create_app
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import lead_workflow_id
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.settings import PREFIX, Settings
from breeze_buddy.store import acceptance, attempts, leads
from breeze_buddy.store.acceptance import Accepted
from breeze_buddy.store.database import Database

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://calls.example.com"
STREAM_URL = "wss://media.example.com/agent/voice/breeze-buddy/ws/twilio"

FLOW = {
    "start": "order",
    "nodes": {
        "order": {
            "say": "Hello {name}. Is your order right?",
            "functions": [{"name": "confirm", "phrases": ["yes"], "digits": "1", "go": "bye"}],
        },
        "bye": {"say": "Goodbye.", "then": {"action": "end_conversation", "result": "confirmed"}},
    },
}

LIMITS = AccountLimits(calls_per_second=1000)


def person(place: int) -> str:
    return f"+1212555{1000 + place}"


def settings_for(**changes: Any) -> Settings:
    given = {
        "public_url": PUBLIC_URL,
        "stream_url": STREAM_URL,
        "twilio_cps": 1000,
        "twilio_account_sid": "AC" + "0" * 32,
        "twilio_auth_token": AUTH_TOKEN,
        "twilio_phone_number": "+14155550000",
        # Nothing works off the queue of the tests: workflows stand where they were started.
        "temporal_task_queue": f"nobody-{uuid4()}",
    }
    return Settings(_env_file=None, **{**given, **changes})


class House:
    """`rest` asks below the prefix; `twilio` posts like Twilio does."""

    def __init__(self, settings: Settings, database: Database, temporal: Client) -> None:
        self.settings = settings
        self.database = database
        self.temporal = temporal
        self.app: FastAPI = create_app(settings, database, temporal)
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://api.internal:8000")

    async def close(self) -> None:
        await self._http.aclose()

    # REST

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self._http.request(method, PREFIX + path, **more)

    async def plain(self, method: str, path: str) -> httpx.Response:
        """A request to any path, with nothing in it."""
        return await self._http.request(method, path)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.ask("POST", path, **({"json": body} if body is not None else {}), **more)

    async def made(self, path: str, body: Any) -> Any:
        answer = await self.post(path, body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def template(self, name: str = "order", **more: Any) -> str:
        return str((await self.made("/templates", {"name": name, "flow": FLOW, **more}))["id"])

    async def number(self, phone: str = "+14155550001", **more: Any) -> str:
        return str((await self.made("/numbers", {"phone": phone, **more}))["id"])

    async def campaign(self, **more: Any) -> str:
        """A campaign that was not started."""
        body = {"name": "summer", "template": {"name": "order", "flow": FLOW}, **more}
        return str((await self.made("/campaigns", body))["campaign"]["id"])

    async def push(self, phone: str = person(0), **more: Any) -> dict[str, Any]:
        """A lead on the template `order`."""
        body = {"template_name": "order", "phone": phone, "variables": {"name": "Ada"}, **more}
        pushed: dict[str, Any] = await self.made("/leads", body)
        return pushed

    async def lead(self, lead_id: str) -> dict[str, Any]:
        read: dict[str, Any] = (await self.get(f"/leads/{lead_id}")).json()
        return read

    async def dialled_call(self) -> tuple[str, str]:
        """A lead whose call was asked for: its id and the call's. What the worker would do is done by hand."""
        await self.template()
        lead_id = (await self.push())["id"]
        (call,) = (await self.lead(lead_id))["calls"]
        async with self.database.write() as tx:
            answer = await acceptance.accept_grant(tx, call["id"], limits=LIMITS, now=self.database.now())
            assert isinstance(answer, Accepted)
        return lead_id, call["id"]

    async def finish(self, call_id: str) -> LeadStatus:
        async with self.database.write() as tx:
            end, _ = await attempts.finish_attempt(tx, call_id, now=self.database.now(), wait_for_conversation=False)
            return end.status

    async def backlog(self) -> int:
        async with self.database.read() as tx:
            return len(await leads.listed(tx, status=LeadStatus.BACKLOG))

    # Twilio

    def signature(
        self, path: str, form: Mapping[str, str], *, origin: str = PUBLIC_URL, token: str = AUTH_TOKEN
    ) -> str:
        return str(RequestValidator(token).compute_signature(origin + path, dict(form)))

    async def twilio(
        self, name: str, call_id: str, form: Mapping[str, str], *, signature: str | None = None, **headers: str
    ) -> httpx.Response:
        """A form that Twilio signed, unless another signature is given."""
        path = f"/twilio/callback/{name}?lead_id=x&call_id={call_id}"
        signed = self.signature(path, form) if signature is None else signature
        return await self._http.post(path, data=dict(form), headers={"X-Twilio-Signature": signed, **headers})

    async def signed(self, path: str, form: Mapping[str, str], *, signature: str | None = None) -> httpx.Response:
        """The same for any path of ours, with its query."""
        signed = self.signature(path, form) if signature is None else signature
        return await self._http.post(path, data=dict(form), headers={"X-Twilio-Signature": signed})

    async def twiml(self, name: str, call_id: str, **form: str) -> ElementTree.Element:
        answer = await self.twilio(name, call_id, {"CallSid": "CA1", "CallStatus": "in-progress", **form})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/xml")
        return ElementTree.fromstring(answer.text)

    # Temporal

    async def signals_of(self, lead_id: str) -> list[str]:
        """The names of the signals that a lead's workflow got, in order."""
        return await self.signals_of_workflow(lead_workflow_id(lead_id))

    async def signals_of_workflow(self, workflow_id: str) -> list[str]:
        handle = self.temporal.get_workflow_handle(workflow_id)
        return [
            event.workflow_execution_signaled_event_attributes.signal_name
            async for event in handle.fetch_history_events()
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
