"""`breeze pods`: the list of pods, and making one drain. From the database, so it works while the API is away."""

import asyncio
import json

from rich.console import Console
from rich.table import Table

from breeze_buddy.cli.errors import CommandError
from breeze_buddy.domain.pod import Pod
from breeze_buddy.settings import Settings
from breeze_buddy.store import pods
from breeze_buddy.store.database import Database
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.migrate import check_current

_ASK_EVERY_S = 0.5


async def list_pods(settings: Settings, *, as_json: bool) -> None:
    """Print all pods. Raises SchemaOutdated."""
    database = Database(settings.database_url)
    try:
        await check_current(database)
        async with database.read() as tx:
            found = await pods.listed(tx, now=database.now())
    finally:
        await database.close()
    if as_json:
        print(json.dumps([pod.model_dump(mode="json") for pod in found], indent=2))
    else:
        Console().print(_table(found) if found else "No pod is registered. `breeze media` starts one.")


async def drain_pod(settings: Settings, name: str, *, wait_s: float | None) -> int:
    """Make a pod drain, and with `wait_s` wait so long until it is empty; 1 if it is not. Raises CommandError."""
    database = Database(settings.database_url)
    try:
        await check_current(database)
        try:
            async with database.write() as tx:
                await pods.drain(tx, name)
        except NotFound as error:
            raise CommandError(f"{error}: `breeze pods` lists those that are registered") from None
        return 0 if wait_s is None else await _until_empty(database, name, wait_s)
    finally:
        await database.close()


async def _until_empty(database: Database, name: str, wait_s: float) -> int:
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        try:
            async with database.read() as tx:
                live = (await pods.get(tx, name, now=database.now())).live
        except NotFound:
            return 0  # it has ended
        if live == 0:
            return 0
        if asyncio.get_running_loop().time() >= deadline:
            print(f"{name} still has {live} streams")
            return 1
        await asyncio.sleep(_ASK_EVERY_S)


def _table(found: list[Pod]) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("pod", "state", "pool", "beat"):
        table.add_column(heading)
    table.add_column("streams", justify="right")
    table.add_column("address", overflow="fold")
    for pod in found:
        since_s = max((pod.as_of - pod.beat_at).total_seconds(), 0)
        table.add_row(
            pod.name,
            _state(pod),
            pod.pool or "general",
            f"{since_s:.0f} s ago",
            f"{pod.live}/{pod.capacity}",
            pod.stream_url,
        )
    return table


def _state(pod: Pod) -> str:
    if pod.as_of - pod.beat_at >= pods.SILENT_AFTER:
        return "silent"
    if pod.draining:
        return "draining"
    return "full" if pod.live >= pod.capacity else "ready"
