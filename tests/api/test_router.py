"""Answered calls meet pods: where Twilio is sent, also when there is no pod, and when the database is in trouble."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import text
from temporalio.client import Client

from breeze_buddy.domain.call import CallFacts, CallStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.pod import PodInput
from breeze_buddy.settings import Settings
from breeze_buddy.store import callbacks, conversations, pods
from breeze_buddy.store.callbacks import Received
from breeze_buddy.store.database import Database
from tests.api.house import STREAM_URL, House, person, settings_for


class Isolated(House):
    """An API with pod isolation; `pod` registers one."""

    async def pod(self, name: str, *, capacity: int = 10, pool: str | None = None) -> None:
        pod = PodInput(name=name, stream_url=f"wss://{name}.example.com/ws", capacity=capacity, pool=pool)
        async with self.database.write() as tx:
            await pods.register(tx, pod, now=self.database.now())

    async def stream_of(self, name: str, call_id: str) -> str | None:
        """Where the TwiML sends the call; None when it has no stream."""
        stream = (await self.twiml(name, call_id)).find("Connect/Stream")
        return None if stream is None else stream.get("url")

    async def live(self) -> dict[str, int]:
        return {pod["name"]: pod["live"] for pod in (await self.get("/pods")).json()}

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Somebody else writes, and does not end."""
        other = Database(self.database.url)
        try:
            async with other.write() as tx:
                await tx.execute(text("UPDATE calls SET streams = streams"))
                yield
        finally:
            await other.close()


@pytest.fixture
def isolated(request: pytest.FixtureRequest) -> Settings:
    """With the most patience that there is, or with as many seconds as a test gives."""
    return settings_for(pod_isolation=True, router_timeout_s=getattr(request, "param", 10))


@pytest.fixture
async def house(isolated: Settings, sqlite_database: Database, temporal: Client) -> AsyncIterator[Isolated]:
    made = Isolated(isolated, sqlite_database, temporal)
    yield made
    await made.close()


def wss(pod: str) -> str:
    return f"wss://{pod}.example.com/ws"


async def test_an_answered_call_goes_to_the_least_loaded_pod_and_stays_there(house: Isolated) -> None:
    await house.pod("large", capacity=20)
    await house.pod("small", capacity=1)
    _, call_id = await house.dialled_call()
    assert await house.stream_of("answer", call_id) == wss("large")
    assert await house.stream_of("answer", call_id) == wss("large"), "Twilio asks again when it heard nothing"
    assert await house.live() == {"large": 1, "small": 0}


async def test_the_stream_carries_the_call_and_the_way_back(house: Isolated) -> None:
    await house.pod("a")
    lead_id, call_id = await house.dialled_call()
    document = await house.twiml("answer", call_id)
    parameters = {p.get("name"): p.get("value") for p in document.iter("Parameter")}
    assert (parameters["lead_id"], parameters["call_id"]) == (lead_id, call_id)
    assert [verb.tag for verb in document] == ["Connect", "Redirect"]


async def test_a_campaign_with_a_pool_is_served_by_it(house: Isolated) -> None:
    await house.pod("general")
    await house.pod("dedicated", pool="vip")
    await house.number()
    made = await house.made(
        "/campaigns",
        {
            "name": "vip",
            "template": {
                "name": "vip",
                "flow": {"nodes": {"start": {"say": "Hi.", "then": {"action": "end_conversation"}}}},
            },
            "numbers": ["+14155550001"],
            "leads": [{"phone": person(7)}],
            "pool": "vip",
        },
    )
    assert made["campaign"]["pool"] == "vip"
    campaign_id = made["campaign"]["id"]
    assert (await house.post(f"/campaigns/{campaign_id}/start")).is_success
    await house.app.state.context.dispatcher.dispatch()
    (lead,) = (await house.get("/leads", params={"phone": person(7)})).json()["items"]
    (call,) = (await house.lead(lead["id"]))["calls"]
    assert await house.stream_of("answer", call["id"]) == wss("dedicated")


async def test_without_a_pod_the_callee_hears_an_apology_and_the_lead_keeps_its_attempts(house: Isolated) -> None:
    lead_id, call_id = await house.dialled_call()
    document = await house.twiml("answer", call_id)
    assert [verb.tag for verb in document] == ["Say", "Hangup"]
    assert "sorry" in str(document.findtext("Say"))
    await completed(house, call_id)
    assert await house.finish(call_id) is LeadStatus.BACKLOG
    assert (await house.lead(lead_id))["attempts"] == 0


async def completed(house: House, call_id: str) -> None:
    received = Received("status", f"end of {call_id}", call_id, {}, house.database.now())
    async with house.database.write() as tx:
        await callbacks.take_call_facts(tx, received, CallFacts(status=CallStatus.COMPLETED, sequence=3, sid="CA1"))


async def test_the_end_of_the_call_frees_its_place(house: Isolated) -> None:
    await house.pod("a", capacity=1)
    _, call_id = await house.dialled_call()
    await house.stream_of("answer", call_id)
    assert await house.live() == {"a": 1}
    await completed(house, call_id)
    assert await house.live() == {"a": 0}


async def test_a_broken_stream_goes_on_at_another_pod(house: Isolated) -> None:
    await house.pod("a")
    await house.pod("b")
    _, call_id = await house.dialled_call()
    assert await house.stream_of("answer", call_id) == wss("a")
    assert await house.stream_of("continue", call_id) == wss("b")
    assert await house.live() == {"a": 0, "b": 1}


async def test_a_caller_whose_pod_died_waits_for_another_and_at_last_hears_an_apology(house: Isolated) -> None:
    await house.pod("a")
    _, call_id = await house.dialled_call()
    await house.stream_of("answer", call_id)
    async with house.database.write() as tx:
        await pods.deregister(tx, "a", now=house.database.now())
    documents = [await house.twiml("continue", call_id) for _ in range(6)]
    *waits, end = [[verb.tag for verb in document] for document in documents]
    assert waits == [["Pause", "Redirect"]] * 5
    assert end == ["Say", "Hangup"]
    assert [pause(document) for document in documents] == ["1", "2", "3", "4", "5", None]
    assert f"call_id={call_id}" in str(documents[0].findtext("Redirect"))


def pause(document: ElementTree.Element) -> str | None:
    found = document.find("Pause")
    return None if found is None else found.get("length")


async def test_after_a_conversation_that_was_reported_the_call_ends(house: Isolated) -> None:
    await house.pod("a")
    _, call_id = await house.dialled_call()
    await house.stream_of("answer", call_id)
    async with house.database.write() as tx:
        await tx.execute(
            text("INSERT INTO conversations (call_id, report, updated_at) VALUES (:id, '{}', '2026-01-01')"),
            {"id": call_id},
        )
        assert (await conversations.standing(tx, call_id)).reported
    assert [verb.tag for verb in await house.twiml("continue", call_id)] == ["Hangup"]


@pytest.mark.parametrize("isolated", [0.3], indirect=True)
@pytest.mark.parametrize("name", ["answer", "twiml-fallback"])
async def test_a_locked_database_costs_seconds_and_no_stream(house: Isolated, name: str) -> None:
    await house.pod("a")
    _, call_id = await house.dialled_call()
    async with house.locked():
        began = time.monotonic()
        assert await house.stream_of(name, call_id) == STREAM_URL
        assert time.monotonic() - began < 5, "Twilio waits 15 s"


async def test_a_router_that_fails_costs_no_stream(house: Isolated) -> None:
    await house.pod("a")
    _, call_id = await house.dialled_call()
    async with house.database.write() as tx:
        await tx.execute(text("ALTER TABLE pods RENAME TO pods_away"))
    for name in ("answer", "continue", "twiml-fallback"):
        assert await house.stream_of(name, call_id) == STREAM_URL
    async with house.database.write() as tx:
        await tx.execute(text("ALTER TABLE pods_away RENAME TO pods"))
        assert (await conversations.standing(tx, call_id)).streams == 3
    assert await house.stream_of("continue", call_id) == wss("a"), "it works again at once"


async def test_a_rush_is_served_whole(house: Isolated) -> None:
    """Many calls are answered in the same moment."""
    for name in ("a", "b", "c"):
        await house.pod(name, capacity=40)
    await house.number(channels=100)
    await house.template()
    leads = [await house.push(person(place)) for place in range(100)]
    calls = [(await house.lead(lead["id"]))["calls"][0]["id"] for lead in leads]
    began: list[Any] = []
    write = house.database.write

    @asynccontextmanager
    async def counted() -> AsyncIterator[Any]:
        began.append(None)
        async with write() as tx:
            yield tx

    house.database.write = counted  # type: ignore[method-assign]
    streams = await asyncio.gather(*(house.stream_of("answer", call) for call in calls))
    assert sorted(Counter(streams).values()) == [33, 33, 34]
    assert len(began) < 50, "calls that wait together are served together"


async def test_a_rush_on_a_fleet_that_is_too_small_fills_it_exactly(house: Isolated) -> None:
    await house.pod("a", capacity=5)
    await house.number(channels=12)
    await house.template()
    leads = [await house.push(person(place)) for place in range(12)]
    calls = [(await house.lead(lead["id"]))["calls"][0]["id"] for lead in leads]
    streams = await asyncio.gather(*(house.stream_of("answer", call) for call in calls))
    assert Counter(streams) == {wss("a"): 5, None: 7}


# Operators


async def test_pods_are_listed_with_what_they_carry(house: Isolated) -> None:
    await house.pod("a", pool="vip", capacity=3)
    (pod,) = (await house.get("/pods")).json()
    assert {name: pod[name] for name in ("name", "stream_url", "pool", "capacity", "live", "ready", "draining")} == {
        "name": "a",
        "stream_url": wss("a"),
        "pool": "vip",
        "capacity": 3,
        "live": 0,
        "ready": True,
        "draining": False,
    }


async def test_a_pod_that_is_told_to_drain_gets_no_new_stream(house: Isolated) -> None:
    await house.pod("a")
    drained = (await house.post("/pods/a/drain")).json()
    assert (drained["draining"], drained["ready"]) == (True, False)
    assert (await house.get("/pods/a")).json()["draining"]
    _, call_id = await house.dialled_call()
    assert await house.stream_of("answer", call_id) is None


async def test_a_pod_that_is_not_there_is_not_found(house: Isolated) -> None:
    for answer in (await house.get("/pods/nobody"), await house.post("/pods/nobody/drain")):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
