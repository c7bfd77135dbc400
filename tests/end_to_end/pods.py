"""More media servers in one stack, as pods of its router."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

from breeze_buddy.cli.ports import StackPorts
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.cli.stack_secrets import load_or_make
from breeze_buddy.settings import PREFIX, Settings

from .stack import Stack


class ExtraPod:
    """Another media server beside the stack's own. `settings` are its environment variables."""

    def __init__(self, stack: Stack, name: str, port: int, **settings: str) -> None:
        self.name = name
        self.url = f"ws://127.0.0.1:{port}{PREFIX}/ws/twilio"
        self._stack = stack
        state = stack.state
        plan = StackPlan(stack.folder, StackPorts(**state["ports"]), Settings())
        environment = plan.environment(load_or_make(stack.folder))
        own = {"POD_NAME": name, "MEDIA_PORT": str(port), "POD_STREAM_URL": self.url, "POD_ISOLATION": "true"}
        self.environment = environment | own | {"DRAIN_TIMEOUT_S": "30"} | settings

    async def run(self, *arguments: str) -> asyncio.subprocess.Process:
        log = (self._stack.folder / "logs" / f"{self.name}.log").open("ab")
        with log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "breeze_buddy.cli", "--log-format", "text", *arguments),
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    async def start(self) -> None:
        self.process = await self.run("media")
        await self._stack.until(self.ready, 120)

    async def stop(self) -> None:
        """At once."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def ready(self) -> bool:
        assert self.process.returncode is None, (self._stack.folder / "logs" / f"{self.name}.log").read_text()
        return bool((await pods_of(self._stack)).get(self.name, {}).get("ready"))

    async def has_streams(self) -> bool:
        return bool(await streams_to(self._stack, self.url))


@contextlib.asynccontextmanager
async def extra_pod(stack: Stack, name: str, port: int) -> AsyncIterator[ExtraPod]:
    pod = ExtraPod(stack, name, port)
    await pod.start()
    try:
        yield pod
    finally:
        await pod.stop()


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listened on a moment ago, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


async def pods_of(stack: Stack) -> dict[str, dict[str, Any]]:
    return {pod["name"]: pod for pod in await stack.get("/pods")}


async def streams_to(stack: Stack, url: str) -> list[dict[str, Any]]:
    """Streams that are live at a media server now, by Twilio's own account."""
    calls = (await stack.simulator.get("/simulator/calls")).raise_for_status().json()
    live = [call for call in calls if call["status"] == "in-progress"]
    return [s for call in live for s in call["streams"] if s["url"] == url and s["ended"] is None]
