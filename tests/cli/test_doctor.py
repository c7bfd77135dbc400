"""What `breeze doctor` finds: each thing that can be wrong, and that all is well where it is."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import text
from starlette.responses import PlainTextResponse
from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from breeze_buddy.api.inbound_callbacks import webhooks_at
from breeze_buddy.cli.doctor import database, storage, twilio, web
from breeze_buddy.cli.doctor.clocks import compare
from breeze_buddy.cli.doctor.finding import Area, Finding, State
from breeze_buddy.cli.doctor.temporal import look as look_at_temporal
from breeze_buddy.domain.inbound import InboundPolicy
from breeze_buddy.domain.number import Number
from breeze_buddy.settings import Settings
from breeze_buddy.simulator.server import Simulator, SimulatorConfig
from breeze_buddy.store.database import Database
from breeze_buddy.store.migrate import newest_revision
from breeze_buddy.telephony.client import Twilio
from tests.api.house import AUTH_TOKEN, House, settings_for
from tests.cli.shell import served
from tests.media.fakes import MemoryDirectory
from tests.media.test_server import SessionLimits, listening

ACCOUNT = "AC" + "0" * 32
OURS = "+14155550001"
PUBLIC_URL = "https://calls.example.com"


def states(findings: list[Finding]) -> dict[str, State]:
    return {finding.check: finding.state for finding in findings}


def failure(findings: list[Finding]) -> Finding:
    """The one thing that failed; it says what to do."""
    (failed,) = [finding for finding in findings if finding.state is State.FAILED]
    assert failed.advice
    return failed


def silent_port() -> socket.socket:
    """A port that is taken and where nobody listens."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


# --- the database


async def test_a_migrated_database_is_well(migrated_url: str) -> None:
    findings, numbers = await database.look(settings_for(database_url=migrated_url))
    assert states(findings) == dict.fromkeys(("reachable", "schema", "clock"), State.OK)
    assert numbers is not None


async def test_an_old_schema_is_to_be_migrated(sqlite_url: str) -> None:
    made = Database(sqlite_url)
    async with made.write() as tx:
        await tx.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    await made.close()
    findings, numbers = await database.look(settings_for(database_url=sqlite_url))
    found = failure(findings)
    assert (found.check, numbers) == ("schema", None)
    assert "at revision 0001" in found.found
    assert newest_revision() in found.found
    assert "breeze migrate" in found.advice


async def test_a_database_that_is_not_there_is_said_and_not_made(tmp_path: Path) -> None:
    findings, _ = await database.look(settings_for(database_url=f"sqlite+aiosqlite:///{tmp_path}/breeze.db"))
    assert "there is no file" in failure(findings).found
    assert not list(tmp_path.glob("breeze.db*"))


async def test_a_database_that_refuses_is_said() -> None:
    with silent_port() as taken:
        url = f"postgresql+asyncpg://breeze@127.0.0.1:{taken.getsockname()[1]}/breeze"
        findings, _ = await database.look(settings_for(database_url=url))
    assert failure(findings).check == "reachable"
    assert failure((await database.look(settings_for(database_url="mysql://x/y")))[0]).check == "reachable"


def test_a_clock_that_is_wrong_is_said_with_its_direction() -> None:
    area = Area("twilio")
    assert compare(area, "Twilio's", -1.9).state is State.OK
    assert "40 s behind Twilio's clock" in compare(area, "Twilio's", 40.2).found
    assert "40 s ahead of Twilio's clock" in compare(area, "Twilio's", -40.2).found


# --- Twilio


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    made = Simulator(SimulatorConfig(data=tmp_path / "simulator", account_sid=ACCOUNT, auth_token=AUTH_TOKEN))
    await made.start()
    yield made
    await made.stop()


def at(simulator: Simulator, **changes: Any) -> Settings:
    given = {"twilio_api_base_url": simulator.url, "twilio_phone_number": None, "public_url": PUBLIC_URL}
    return settings_for(**given | changes)


def number(phone: str = OURS, *, inbound: bool = False, enabled: bool = True) -> Number:
    policy = InboundPolicy(template_id="t") if inbound else None
    return Number(id="n", phone=phone, enabled=enabled, inbound=policy, created_at=datetime.now(UTC))


async def test_an_account_its_clock_and_its_numbers_are_well(simulator: Simulator) -> None:
    simulator.account.add_numbers([OURS])
    async with Twilio(ACCOUNT, AUTH_TOKEN, simulator.url) as client:
        await client.answer_calls_to(OURS, webhooks_at(PUBLIC_URL))
    findings = await twilio.look(at(simulator), [number(inbound=True)])
    checks = ("credentials", "clock", "calls per second", OURS, f"{OURS} calls to it")
    assert states(findings) == dict.fromkeys(checks, State.OK)


@pytest.mark.parametrize("wrong", [{"twilio_auth_token": "x"}, {"twilio_account_sid": "", "twilio_auth_token": ""}])
async def test_wrong_credentials_are_said(wrong: dict[str, str], simulator: Simulator) -> None:
    found = failure(await twilio.look(at(simulator, **wrong), [number()]))
    assert found.check == "credentials"
    assert "TWILIO_AUTH_TOKEN" in found.advice


async def test_twilio_away_is_said() -> None:
    with silent_port() as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        found = failure(await twilio.look(settings_for(twilio_api_base_url=url), []))
    assert "could not look at the account" in found.found


async def test_a_number_of_somebody_else_is_said_unless_it_is_verified(simulator: Simulator) -> None:
    simulator.account.add_numbers(["+14155550009"])
    assert failure(await twilio.look(at(simulator), [number()])).check == OURS
    assert states(await twilio.look(at(simulator), [number(enabled=False)]))[OURS] is State.SKIPPED
    simulator.account.verified.add(OURS)
    assert states(await twilio.look(at(simulator), [number()]))[OURS] is State.OK


async def test_the_default_number_is_looked_at_too(simulator: Simulator) -> None:
    simulator.account.add_numbers(["+14155550009"])
    for given in (OURS, "12"):
        found = failure(await twilio.look(at(simulator, twilio_phone_number=given), []))
        assert found.check == f"TWILIO_PHONE_NUMBER {given}"


async def test_a_number_for_messages_only_is_said(simulator: Simulator) -> None:
    simulator.account.set_up(OURS, {}).voice = False
    assert "cannot carry calls" in failure(await twilio.look(at(simulator), [number()])).found


async def test_webhooks_that_lead_elsewhere_are_said(simulator: Simulator) -> None:
    simulator.account.set_up(OURS, {"voice_url": "https://old.example.com/twilio/callback/inbound"})
    found = failure(await twilio.look(at(simulator), [number(inbound=True)]))
    assert found.check == f"{OURS} calls to it"
    assert "voice URL is https://old.example.com" in found.found
    assert f"{PUBLIC_URL}/twilio/callback/inbound" in found.advice


async def test_a_trial_account_starts_one_call_a_second(simulator: Simulator) -> None:
    assert states(await twilio.look(at(simulator, twilio_cps=5), []))["calls per second"] is State.OK
    simulator.account.trial = True
    assert failure(await twilio.look(at(simulator, twilio_cps=5), [])).check == "calls per second"


# --- the web


@pytest.fixture
async def stream_url() -> AsyncIterator[str]:
    async with listening(MemoryDirectory(), SessionLimits(start_s=0.3)) as server:
        yield f"ws://127.0.0.1:{server.port}/agent/voice/breeze-buddy/ws/twilio"


@pytest.fixture
async def here(sqlite_database: Database, temporal: Client, stream_url: str) -> AsyncIterator[Callable[..., Settings]]:
    """Settings of an API that is served at its own PUBLIC_URL, with changes that doctor has and it has not."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    given = {"public_url": url, "stream_url": stream_url, "twilio_api_base_url": "http://127.0.0.1:1"}
    house = House(settings_for(**given), sqlite_database, temporal)
    async with served(house.app, listener):
        yield lambda **changes: settings_for(**{**given, **changes})
    await house.close()


async def test_a_public_url_and_a_stream_url_that_reach_us_are_well(here: Callable[..., Settings]) -> None:
    findings = await web.look(here())
    assert len(findings) == 6
    assert {finding.state for finding in findings} == {State.OK}


async def test_another_token_than_the_apis_is_found_by_the_signature(here: Callable[..., Settings]) -> None:
    found = failure(await web.look(here(twilio_auth_token="another")))
    assert found.check == "signed request"
    assert "TWILIO_AUTH_TOKEN" in found.advice


async def test_another_spelling_of_the_public_url_is_found_by_the_signature(here: Callable[..., Settings]) -> None:
    url = here().public_url.replace("127.0.0.1", "localhost")
    assert failure(await web.look(here(public_url=url))).check == "signed request"


async def test_a_public_url_where_nobody_is_is_said(here: Callable[..., Settings]) -> None:
    with silent_port() as taken:
        findings = await web.look(here(public_url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
    assert failure(findings).check == "API"


async def test_a_public_url_of_somebody_else_is_said(here: Callable[..., Settings]) -> None:
    async with served(PlainTextResponse("welcome")) as url:
        findings = await web.look(here(public_url=url))
    assert "something else than our API answers (200)" in failure(findings).found


async def test_a_server_that_checks_no_signature_is_said(here: Callable[..., Settings]) -> None:
    async def anything(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/health"):
            answer = PlainTextResponse('{"status": "ok", "database": "ok", "temporal": "ok"}')
        else:
            answer = PlainTextResponse("", status_code=204)
        await answer(scope, receive, send)

    async with served(anything) as url:
        found = failure(await web.look(here(public_url=url)))
    assert found.check == "unsigned request"


@pytest.mark.parametrize("path", ["/health", "/nothing"])
async def test_a_stream_url_without_a_websocket_is_said(path: str, here: Callable[..., Settings]) -> None:
    url = here().stream_url.partition("/agent")[0] + path
    found = failure(await web.look(here(stream_url=url)))
    assert (found.area, found.check) == ("stream URL", "media server")


async def test_a_media_server_that_is_away_or_misspelt_is_said(here: Callable[..., Settings]) -> None:
    with silent_port() as taken:
        away = f"ws://127.0.0.1:{taken.getsockname()[1]}/agent/voice/breeze-buddy/ws/twilio"
        assert failure(await web.look(here(stream_url=away))).check == "media server"
    assert failure(await web.look(here(stream_url="https://media.example.com"))).check == "address"


async def test_a_draining_media_server_is_there(here: Callable[..., Settings]) -> None:
    async with listening(MemoryDirectory(), SessionLimits()) as server:
        server.refuse()
        url = f"ws://127.0.0.1:{server.port}/agent/voice/breeze-buddy/ws/twilio"
        (found,) = [one for one in await web.look(here(stream_url=url)) if one.check == "media server"]
    assert (found.state, "draining" in found.found) == (State.OK, True)


async def test_the_real_twilio_cannot_reach_this_machine(here: Callable[..., Settings]) -> None:
    findings = await web.look(here(twilio_api_base_url=None))
    failed = [finding for finding in findings if finding.state is State.FAILED]
    assert [(finding.area, finding.check) for finding in failed] == [
        ("public URL", "address"),
        ("stream URL", "address"),
    ]


# --- Temporal


@workflow.defn
class Idle:
    @workflow.run
    async def run(self) -> None:
        return None


@activity.defn
async def rest() -> None:
    return None


async def until(look: Callable[[], Awaitable[list[Finding]]], ready: Callable[[list[Finding]], bool]) -> list[Finding]:
    """Look again until the server has noticed what was done."""
    async with asyncio.timeout(30):
        while not ready(found := await look()):  # noqa: ASYNC110 (it is a server that changes)
            await asyncio.sleep(0.2)
    return found


async def test_temporal_with_a_worker_is_well(temporal_address: str, temporal: Client) -> None:
    queue = f"doctor-{uuid4()}"
    given = settings_for(temporal_address=temporal_address, temporal_task_queue=queue, temporal_retention_days=1)
    found = failure(await look_at_temporal(given))
    assert (found.check, queue in found.found) == ("workers", True)
    runner = UnsandboxedWorkflowRunner()
    async with Worker(temporal, task_queue=queue, workflows=[Idle], activities=[rest], workflow_runner=runner):
        findings = await until(lambda: look_at_temporal(given), lambda found: states(found)["workers"] is State.OK)
    checks = ("reachable", "namespace", "retention", "search attributes", "workers")
    assert states(findings) == dict.fromkeys(checks, State.OK)


async def test_a_short_retention_is_said(temporal_address: str) -> None:
    findings = await look_at_temporal(settings_for(temporal_address=temporal_address, temporal_retention_days=3000))
    (found,) = [finding for finding in findings if finding.check == "retention"]
    assert found.state is State.FAILED
    assert "instead of 3000" in found.found
    assert "breeze migrate" in found.advice


async def test_a_namespace_that_is_not_there_is_said(temporal_address: str) -> None:
    given = settings_for(temporal_address=temporal_address, temporal_namespace="nowhere")
    assert failure(await look_at_temporal(given)).check == "namespace"


async def test_missing_search_attributes_are_named(temporal_address: str, temporal: Client) -> None:
    name = f"doctor-{uuid4()}"
    kept = Duration()
    kept.FromTimedelta(timedelta(days=30))
    await temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=kept)
    )
    given = settings_for(temporal_address=temporal_address, temporal_namespace=name)
    findings = await until(lambda: look_at_temporal(given), lambda found: "search attributes" in states(found))
    (found,) = [finding for finding in findings if finding.check == "search attributes"]
    assert found.state is State.FAILED
    assert "CampaignId" in found.found
    assert "breeze migrate" in found.advice


async def test_temporal_away_is_said() -> None:
    with silent_port() as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        found = failure(await look_at_temporal(settings_for(temporal_address=address)))
    assert (found.check, address in found.found) == ("reachable", True)


# --- recordings


async def test_a_folder_that_can_be_written_is_well_and_left_as_it_was(tmp_path: Path) -> None:
    (found,) = await storage.look(settings_for(recordings_url=f"file://{tmp_path}"))
    assert found.state is State.OK
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["file:///dev/null/recordings", "nonsense://recordings"])
async def test_a_place_that_cannot_be_written_is_said(url: str) -> None:
    found = failure(await storage.look(settings_for(recordings_url=url)))
    assert "RECORDINGS_URL" in found.advice
