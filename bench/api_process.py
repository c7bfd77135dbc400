"""One API process on a database, with the Temporal server that it wants; both end with the block."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from breeze_buddy.settings import PREFIX

HOST = "127.0.0.1"


@dataclass(frozen=True)
class ApiProcess:
    """`url` is that of REST."""

    pid: int
    port: int
    url: str


@asynccontextmanager
async def api_process(database_url: str, **more: str) -> AsyncIterator[ApiProcess]:
    """`more`: other settings. Raises RuntimeError with what the process said when it does not come up."""
    port, temporal, ui = _free_ports(3)
    url = f"http://{HOST}:{port}{PREFIX}"
    with tempfile.TemporaryDirectory(prefix="breeze-bench-") as folder:
        settings = os.environ | {
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": f"{HOST}:{temporal}",
            "PUBLIC_URL": f"http://{HOST}:{port}",
            "API_HOST": HOST,
            "API_PORT": str(port),
            "TWILIO_PHONE_NUMBER": "+14155550000",
            "TWILIO_AUTH_TOKEN": "the-token-of-a-benchmark",
            **more,
        }
        log = Path(folder) / "log"
        with _breeze(("temporal", "--data", folder, "--port", str(temporal), "--ui-port", str(ui)), settings, log):
            await _until_listening(temporal, log)
            with _breeze(("api",), settings, log) as pid:
                await _until_healthy(url, log)
                yield ApiProcess(pid, port, url)


@contextmanager
def _breeze(command: tuple[str, ...], settings: dict[str, str], log: Path) -> Iterator[int]:
    with log.open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "breeze_buddy.cli", *command], env=settings, stdout=said, stderr=said
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


async def _until_listening(port: int, log: Path) -> None:
    for _ in range(300):
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise RuntimeError(f"nothing listens on {port}: {log.read_text()}")  # noqa: ASYNC240 - the end


async def _until_healthy(url: str, log: Path) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(300):
            try:
                if (await client.get(f"{url}/health")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise RuntimeError(f"the API does not come up: {log.read_text()}")  # noqa: ASYNC240 - the end
