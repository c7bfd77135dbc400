"""Calls to our numbers as Twilio asks about them: signed, answered whatever Temporal does, and set up at Twilio."""

import asyncio
import re
import shlex
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from twilio.request_validator import RequestValidator

from breeze_buddy.api.app import create_app
from breeze_buddy.domain.stream_token import StreamToken
from breeze_buddy.settings import PREFIX, Settings
from breeze_buddy.simulator.server import Simulator, SimulatorConfig
from breeze_buddy.store import numbers
from breeze_buddy.store.database import Database
from tests.api.house import settings_for

TOKEN = "token-of-the-tests"
ACCOUNT = "AC" + "8" * 32
PUBLIC = "https://calls.example.com/voice"
STREAM = "wss://media.example.com/agent/voice/breeze-buddy/ws/twilio"
OURS, STRANGER = "+14155550000", "+12125551000"
FLOW = {"nodes": {"start": {"say": "Hello {name}.", "then": {"action": "end_conversation"}}}}


class Exchange:
    """The API, asked by people and by Twilio."""

    def __init__(self, http: httpx.AsyncClient, database: Database, simulator: Simulator) -> None:
        self.http = http
        self.database = database
        self.simulator = simulator
        self._templates = 0

    async def template(self, **changes: Any) -> str:
        self._templates += 1
        body = {"name": f"hotline {self._templates}", "flow": FLOW, **changes}
        made = await self.http.post(f"{PREFIX}/templates", json=body)
        return str(made.raise_for_status().json()["id"])

    async def number(self, *, channels: int = 1, template: dict[str, Any] | None = None, **policy: Any) -> str:
        """The id of our number, which is answered with this policy."""
        policy = {"template_id": await self.template(**(template or {})), **policy}
        made = await self.http.post(f"{PREFIX}/numbers", json={"phone": OURS, "channels": channels, "inbound": policy})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def twilio(self, path: str, **fields: str) -> httpx.Response:
        """What Twilio posts to a callback, with its signature."""
        signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}{path}", fields)
        return await self.http.post(path, data=fields, headers={"X-Twilio-Signature": signature})

    async def ring(self, sid: str = "CA1", caller: str = STRANGER, *, path: str = "inbound") -> ElementTree.Element:
        """The instructions that Twilio gets for a call to us."""
        answer = await self.twilio(
            f"/twilio/callback/{path}", CallSid=sid, From=caller, To=OURS, CallStatus="ringing", Direction="inbound"
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/xml")
        return ElementTree.fromstring(answer.text)

    async def calls(self, **query: Any) -> list[dict[str, Any]]:
        found = await self.http.get(f"{PREFIX}/calls", params=query)
        items = found.raise_for_status().json()["items"]
        assert isinstance(items, list)
        return items

    async def leased(self) -> int:
        async with self.database.read() as tx:
            return await numbers.leased_count(tx)


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    running = Simulator(SimulatorConfig(data=tmp_path / "simulator", account_sid=ACCOUNT, auth_token=TOKEN))
    await running.start()
    running.account.add_numbers([OURS])
    yield running
    await running.stop()


@pytest.fixture
def settings(simulator: Simulator, tmp_path: Path) -> Settings:
    return settings_for(
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=SecretStr(TOKEN),
        twilio_api_base_url=simulator.url,
        public_url=PUBLIC,
        stream_url=STREAM,
        recordings_url=f"file://{tmp_path / 'recordings'}",
    )


@pytest.fixture
async def exchange(
    settings: Settings, sqlite_database: Database, simulator: Simulator, temporal: Client
) -> AsyncIterator[Exchange]:
    transport = httpx.ASGITransport(create_app(settings, sqlite_database, temporal))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as http:
        yield Exchange(http, sqlite_database, simulator)


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


# The number


async def test_a_number_with_a_policy_is_set_up_at_twilio(exchange: Exchange) -> None:
    await exchange.number()
    at_twilio = exchange.simulator.account.numbers[OURS]
    assert at_twilio.voice_url == f"{PUBLIC}/twilio/callback/inbound"
    assert at_twilio.voice_fallback_url == f"{PUBLIC}/twilio/callback/inbound-fallback"
    assert at_twilio.status_callback == f"{PUBLIC}/twilio/callback/inbound-status"


async def test_a_number_without_a_policy_is_left_alone_at_twilio(exchange: Exchange) -> None:
    made = await exchange.http.post(f"{PREFIX}/numbers", json={"phone": OURS})
    assert made.json()["inbound"] is None
    assert exchange.simulator.account.numbers[OURS].voice_url == ""
    template_id = await exchange.template()
    path = f"{PREFIX}/numbers/{made.json()['id']}"
    changed = await exchange.http.patch(path, json={"inbound": {"template_id": template_id, "reserve": 0}})
    assert changed.json()["inbound"]["template_id"] == template_id
    assert exchange.simulator.account.numbers[OURS].voice_url == f"{PUBLIC}/twilio/callback/inbound"
    assert (await exchange.http.patch(path, json={"channels": 3})).json()["inbound"]["template_id"] == template_id
    assert (await exchange.http.patch(path, json={"inbound": None})).json()["inbound"] is None


async def test_a_number_that_the_account_does_not_own_changes_nothing(exchange: Exchange) -> None:
    policy = {"template_id": await exchange.template()}
    refused = await exchange.http.post(f"{PREFIX}/numbers", json={"phone": "+14155559999", "inbound": policy})
    assert refused.status_code == 502
    assert refused.json()["code"] == "twilio_refused"
    assert "does not own +14…9999" in refused.json()["message"]
    assert (await exchange.http.get(f"{PREFIX}/numbers")).json() == []


async def test_a_policy_needs_a_template_that_exists(exchange: Exchange) -> None:
    refused = await exchange.http.post(f"{PREFIX}/numbers", json={"phone": OURS, "inbound": {"template_id": "none"}})
    assert refused.status_code == 404
    assert exchange.simulator.account.numbers[OURS].voice_url == ""


async def test_a_number_that_is_registered_is_not_set_up_again(exchange: Exchange) -> None:
    await exchange.http.post(f"{PREFIX}/numbers", json={"phone": OURS})
    policy = {"template_id": await exchange.template()}
    refused = await exchange.http.post(f"{PREFIX}/numbers", json={"phone": OURS, "inbound": policy})
    assert refused.status_code == 409
    assert exchange.simulator.account.numbers[OURS].voice_url == ""


# A call


async def test_the_agent_answers(exchange: Exchange) -> None:
    await exchange.number()
    document = await exchange.ring("CA1")
    (call,) = await exchange.calls(direction="inbound")
    assert (call["sid"], call["progress"], call["from_phone"]) == ("CA1", "dialled", STRANGER)
    assert [verb.tag for verb in document] == ["Start", "Connect", "Redirect"]
    recording = document[0][0]
    assert recording.get("channels") == "dual"
    assert recording.get("recordingStatusCallbackEvent") == "completed absent"
    callback = recording.get("recordingStatusCallback", "")
    assert callback.startswith(f"{PUBLIC}/twilio/callback/details?")
    assert _query(callback) == {"call_id": call["id"], "lead_id": ""}
    stream = document[1][0]
    assert stream.get("url") == STREAM
    parameters = {parameter.get("name"): parameter.get("value", "") for parameter in stream}
    assert set(parameters) == {"call_id", "token"}
    secret = Settings(twilio_auth_token=SecretStr(TOKEN)).stream_secret
    token = StreamToken.read(parameters["token"], secret=secret, now=exchange.database.now())
    assert (token.call_id, token.lead_id) == (call["id"], "")
    assert (document[2].text or "").startswith(f"{PUBLIC}/twilio/callback/continue?")


async def test_the_call_gets_a_workflow_that_names_no_whole_number(exchange: Exchange, temporal: Client) -> None:
    await exchange.number()
    await exchange.ring(sid := f"CA{uuid4().hex}")
    described = await temporal.get_workflow_handle(f"inbound-{sid}").describe()
    assert described.workflow_type == "InboundCallWorkflow"
    assert await described.static_summary() == "from +12…1000 · hotline 1"


async def test_nobody_waits_on_the_phone_for_temporal(
    settings: Settings, sqlite_database: Database, simulator: Simulator, temporal_address: str
) -> None:
    """A Temporal that takes requests and does not answer them: the worst kind of away."""
    async with Wire(temporal_address) as wire:
        temporal = await Client.connect(wire.address, data_converter=pydantic_data_converter)
        wire.mute()
        app = create_app(settings, sqlite_database, temporal)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
        listening = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve([listening]))
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=origin, trust_env=False) as http:
            exchange = Exchange(http, sqlite_database, simulator)
            await exchange.number()
            began = time.monotonic()
            document = await exchange.ring()
            assert time.monotonic() - began < 2, "the answer waited for Temporal, which is given five seconds"
            assert document.find("Connect/Stream") is not None
            assert await exchange.leased() == 1
        server.should_exit = True
        await serving


class Wire:
    """A connection to Temporal that can fall silent."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.removeprefix("http://").rpartition(":")
        self._hears = asyncio.Event()
        self._hears.set()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def mute(self) -> None:
        """From now on nothing comes through."""
        self._hears.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, int(self._port))
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._pumps.add(asyncio.create_task(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._hears.wait()
                sink.write(data)
        finally:
            sink.close()


async def test_a_template_without_recording_is_not_recorded(exchange: Exchange) -> None:
    await exchange.number(template={"record": False})
    assert [verb.tag for verb in await exchange.ring()] == ["Connect", "Redirect"]


async def test_twilio_asks_twice_and_also_at_the_fallback_for_one_call(exchange: Exchange) -> None:
    await exchange.number()
    for path in ("inbound", "inbound", "inbound-fallback"):
        assert (await exchange.ring("CA1", path=path)).find("Connect") is not None
    assert len(await exchange.calls()) == 1
    assert await exchange.leased() == 1


async def test_the_fallback_makes_the_call_that_the_first_request_could_not(exchange: Exchange) -> None:
    await exchange.number()
    document = await exchange.ring("CA1", path="inbound-fallback")
    assert document.find("Connect/Stream") is not None
    assert [call["sid"] for call in await exchange.calls()] == ["CA1"]


@pytest.mark.parametrize(
    ("full", "verbs"),
    [
        ({"action": "refuse"}, [("Reject", {"reason": "busy"}, "")]),
        ({"action": "message", "message": "All busy."}, [("Say", {}, "All busy."), ("Hangup", {}, "")]),
        ({"action": "redirect", "redirect_to": "+14155557777"}, [("Dial", {}, "+14155557777")]),
    ],
    ids=["refuse", "message", "redirect"],
)
async def test_who_finds_every_channel_taken_gets_what_the_number_says(
    exchange: Exchange, full: dict[str, Any], verbs: list[Any]
) -> None:
    await exchange.number(channels=1, when_full=full)
    await exchange.ring("CA1")
    document = await exchange.ring("CA2", "+12125552000")
    assert [(verb.tag, verb.attrib, "".join(verb.itertext())) for verb in document] == verbs
    (call,) = await exchange.calls(phone="+12125552000")
    assert (call["refusal"], call["progress"]) == ("full", "ended")
    assert call["error_message"] == "every channel of the number was taken"


async def test_a_blocked_caller_is_rejected_until_unblocked(exchange: Exchange) -> None:
    await exchange.number()
    blocked = await exchange.http.post(f"{PREFIX}/blocked-callers", json={"phone": "+1 212 555 1000", "reason": "x"})
    assert (blocked.status_code, blocked.json()["phone"]) == (201, STRANGER)
    assert [verb.tag for verb in await exchange.ring("CA1")] == ["Reject"]
    assert [one["phone"] for one in (await exchange.http.get(f"{PREFIX}/blocked-callers")).json()] == [STRANGER]
    assert (await exchange.http.delete(f"{PREFIX}/blocked-callers/{STRANGER}")).status_code == 204
    assert (await exchange.http.delete(f"{PREFIX}/blocked-callers/{STRANGER}")).status_code == 404
    assert (await exchange.ring("CA2")).find("Connect") is not None


async def test_a_number_nobody_registered_is_rejected(exchange: Exchange) -> None:
    assert [verb.tag for verb in await exchange.ring()] == ["Reject"]
    assert await exchange.calls() == []


async def test_a_caller_who_hides_the_number_is_answered(exchange: Exchange) -> None:
    await exchange.number()
    for place, hidden in enumerate(("", "anonymous", "sip:somebody.with.a.long.name@example.com")):
        await exchange.ring(f"CA{place}", hidden)
    assert {call["from_phone"] for call in await exchange.calls()} == {"anonymous"}


# How it ended


async def test_the_end_of_a_call_is_found_by_its_sid(exchange: Exchange) -> None:
    await exchange.number()
    await exchange.ring("CA1")
    end = {"CallSid": "CA1", "CallStatus": "completed", "CallDuration": "17", "SequenceNumber": "0"}
    told = await exchange.twilio("/twilio/callback/inbound-status", **end)
    assert told.status_code == 204
    (call,) = await exchange.calls()
    assert (call["status"], call["duration_s"]) == ("completed", 17)
    unknown = await exchange.twilio("/twilio/callback/inbound-status", **{**end, "CallSid": "CA9"})
    assert unknown.status_code == 404


@pytest.mark.parametrize("path", ["inbound", "inbound-fallback", "inbound-status"])
async def test_without_twilios_signature_nothing_is_read(exchange: Exchange, path: str) -> None:
    await exchange.number()
    fields = {"CallSid": "CA1", "From": STRANGER, "To": OURS}
    for headers in ({}, {"X-Twilio-Signature": "bm90IHR3aWxpbw=="}):
        refused = await exchange.http.post(f"/twilio/callback/{path}", data=fields, headers=headers)
        assert refused.status_code == 403
    assert await exchange.calls() == []


async def test_a_request_that_names_no_call_is_422(exchange: Exchange) -> None:
    assert (await exchange.twilio("/twilio/callback/inbound", From=STRANGER, To=OURS)).status_code == 422


async def test_calls_are_listed_in_pages(exchange: Exchange) -> None:
    await exchange.number(channels=3)
    for place in range(3):
        await exchange.ring(f"CA{place}")
    first = (await exchange.http.get(f"{PREFIX}/calls", params={"limit": 2, "direction": "inbound"})).json()
    assert [call["sid"] for call in first["items"]] == ["CA0", "CA1"]
    rest = (await exchange.http.get(f"{PREFIX}/calls", params={"limit": 2, "after": first["next"]})).json()
    assert [call["sid"] for call in rest["items"]] == ["CA2"]
    assert rest["next"] is None


async def test_a_caller_without_a_media_server_is_asked_to_call_again(exchange: Exchange) -> None:
    await exchange.number()
    await exchange.ring("CA1")
    (call,) = await exchange.calls()
    path = f"/twilio/callback/continue?lead_id=&call_id={call['id']}"
    said = [(await exchange.twilio(path, CallSid="CA1", CallStatus="in-progress")).text for _ in range(6)]
    assert all("<Stream" in text for text in said[:5])
    assert "Please call again later." in said[5]


PAGE = (Path(__file__).parents[2] / "docs" / "inbound.md").read_text()


async def test_the_commands_of_the_page_do_what_it_says(exchange: Exchange) -> None:
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [text for block in blocks for text in re.split(r"(?m)^\$ ", block) if text.startswith("curl")]
    assert len(commands) == 6
    exchange.simulator.account.add_numbers(["+14155550100"])
    template_id = await exchange.template()
    for command in commands:
        words = shlex.split(command.replace("$TEMPLATE", template_id).replace("$API", PREFIX))
        sent = words[words.index("-d") + 1] if "-d" in words else None
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if sent else "GET"
        (url,) = [word for word in words if word.startswith(PREFIX)]
        headers = {"Content-Type": "application/json"} if sent else {}
        answer = await exchange.http.request(method, url, content=sent, headers=headers)
        assert answer.is_success, (command, answer.text)
    (number,) = (await exchange.http.get(f"{PREFIX}/numbers")).json()
    assert number["inbound"]["reserve"] == 3
    assert (await exchange.http.get(f"{PREFIX}/blocked-callers")).json() == []
