"""The media server as it is deployed: a process that loads its models, serves, and drains when it is told to stop."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.client import connect

from breeze_buddy.media.server import STREAM_PATH
from tests.media.fakes import StreamMessages

ROOT = Path(__file__).parents[2]


async def _line_with(process: asyncio.subprocess.Process, text: str) -> str:
    assert process.stdout is not None
    seen = []
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if text in line:
                return line
            seen.append(line)
    raise AssertionError(f"the process ended without {text!r}: {''.join(seen)}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_told_to_stop_finishes_its_calls_first(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.media.process"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        port = (await _line_with(process, "media server listens")).rpartition(":")[2].strip()
        url = f"ws://127.0.0.1:{port}{STREAM_PATH}"
        messages = StreamMessages()
        async with connect(url) as socket:
            await socket.send(messages.connected())
            await socket.send(messages.start())
            await socket.recv()
            process.send_signal(number)
            await _line_with(process, "draining")
            with pytest.raises(websockets.InvalidStatus):
                await connect(url)
            async for text in socket:
                event = json.loads(text)
                if event["event"] == "mark":
                    await socket.send(messages.mark(event["mark"]["name"]))
        await _line_with(process, "reported reached_end")
        await _line_with(process, "stopped")
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
