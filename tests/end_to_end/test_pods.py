"""Several media servers in one stack with pod isolation: one is killed, one drains, and the router is down."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .killing import AGREES, MACHINE, PRESSES, killing, table
from .pods import ExtraPod, extra_pod, pods_of, streams_to
from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Nobody is asked again while they think.
CALM: dict[str, Any] = {"turns": {"no_input_s": 20}, "record": False, "detect_voicemail": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("pods"), POD_ISOLATION="true", ROUTER_TIMEOUT_S="2")
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


def own_pod(stack: Stack) -> str:
    """The name of the stack's own media server."""
    return f"127.0.0.1:{stack.state['ports']['media']}"


async def streams_of(stack: Stack, phone: str) -> list[str]:
    (call,) = await stack.witness(phone)
    return [stream["url"] for stream in call["streams"]]


async def people(stack: Stack, count: int, *, think_s: float) -> list[str]:
    script = [{"wait": think_s}, {"press": "1"}]
    return [await stack.person(script=script) for _ in range(count)]


async def test_calls_of_a_killed_pod_go_on_elsewhere_and_it_gets_no_new_ones(stack: Stack, free_port: int) -> None:
    own_url = stack.state["urls"]["stream"]
    async with extra_pod(stack, "killed", free_port) as pod:
        phones = await people(stack, 4, think_s=5)
        campaign_id = await stack.campaign(phones, channels=4, **CALM)

        async def shared() -> bool:
            return len(await streams_to(stack, pod.url)) == 2 == len(await streams_to(stack, own_url))

        await stack.until(shared)
        pod.process.kill()
        leads = await stack.finished(campaign_id)
        assert {lead["outcome"] for lead in leads.values()} == {"COMPLETED"}
        urls = [await streams_of(stack, phone) for phone in phones]
        assert sorted(urls) == sorted([[own_url], [own_url], [pod.url, own_url], [pod.url, own_url]])

        async def silent() -> bool:
            return not (await pods_of(stack))["killed"]["ready"]

        await stack.until(silent, 15)
        later = await people(stack, 2, think_s=0)
        await stack.finished(await stack.campaign(later, channels=2, **CALM))
        assert [await streams_of(stack, phone) for phone in later] == [[own_url], [own_url]]


async def test_a_call_whose_pod_is_killed_at_any_moment_goes_on_to_its_right_end(stack: Stack) -> None:
    """`make kills` is the long form."""
    async with killing(stack, pods=2, seed=7) as killed:
        rows = await killed.run(3, at_once=3, people=(AGREES, PRESSES, MACHINE))
    print(f"\n{table(rows)}")
    assert len(rows) >= 3
    assert not [str(row) for row in rows if row.wrong]


async def test_a_drained_pod_loses_no_call(stack: Stack, free_port: int) -> None:
    own_url = stack.state["urls"]["stream"]
    async with extra_pod(stack, "drained", free_port) as pod:
        phones = await people(stack, 2, think_s=4)
        campaign_id = await stack.campaign(phones, channels=2, **CALM)
        await stack.until(pod.has_streams)
        drain = await pod.run("media", "--drain")  # as Kubernetes does before it stops a pod

        async def told() -> bool:
            return bool((await pods_of(stack))["drained"]["draining"])

        await stack.until(told)
        later = await people(stack, 2, think_s=0)
        second_id = await stack.campaign(later, channels=2, **CALM)
        assert await drain.wait() == 0, "it waits for the calls to end"
        assert not await pod.has_streams()
        pod.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(pod.process.wait(), 20) == 0
        assert "drained" not in await pods_of(stack)
        leads = await stack.finished(campaign_id) | await stack.finished(second_id)
        assert {lead["outcome"] for lead in leads.values()} == {"COMPLETED"}
        assert sorted([await streams_of(stack, phone) for phone in phones]) == sorted([[own_url], [pod.url]])
        assert [await streams_of(stack, phone) for phone in later] == [[own_url], [own_url]]


async def test_while_the_router_is_down_every_call_gets_its_stream(stack: Stack) -> None:
    """The table that only the router and the pods' beats use is gone."""
    file = stack.folder / "breeze.db"
    await asyncio.to_thread(_rename, file, "pods", "pods_away")
    try:
        phones = await people(stack, 3, think_s=0)
        leads = await stack.finished(await stack.campaign(phones, channels=3, **CALM))
    finally:
        await asyncio.to_thread(_rename, file, "pods_away", "pods")
    assert {lead["outcome"] for lead in leads.values()} == {"COMPLETED"}
    own_url = stack.state["urls"]["stream"]
    assert [await streams_of(stack, phone) for phone in phones] == [[own_url]] * 3
    said = (stack.folder / "logs" / "api.log").read_text()
    assert said.count("without the router") == 3

    async def back() -> bool:
        return bool((await pods_of(stack))[own_pod(stack)]["ready"])

    await stack.until(back, 15)


def _rename(file: Path, old: str, new: str) -> None:
    with contextlib.closing(sqlite3.connect(file, timeout=20)) as database:
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")


async def test_breeze_pods_lists_them(stack: Stack) -> None:
    pod = ExtraPod(stack, "listed", 0)
    listing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "breeze_buddy.cli", "pods"),
        env=os.environ | {"DATABASE_URL": pod.environment["DATABASE_URL"], "COLUMNS": "160"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await listing.communicate()
    assert listing.returncode == 0
    assert any(line.split()[:3] == [own_pod(stack), "ready", "general"] for line in out.decode().splitlines()), (
        out.decode()
    )
