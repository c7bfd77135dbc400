"""`breeze` as a person uses it against a running API: in this process, on real sockets, with what it printed."""

import asyncio
import contextlib
import io
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from breeze_buddy.cli.main import main
from tests.api.house import House


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in `folder`, against the API at `url`."""

    def __init__(self, house: House, url: str, folder: Path) -> None:
        self.house = house
        self.url = url
        self.folder = folder

    async def breeze(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command to its end."""
        return await asyncio.to_thread(run_breeze, *arguments, stdin=stdin)

    async def done(self, *arguments: str) -> Any:
        """Run a command with --json, which has to succeed; what it printed."""
        ended = await self.breeze(*arguments, "--json")
        assert ended.code == 0, ended
        return ended.json

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name


def run_breeze(*arguments: str, stdin: str = "") -> Done:
    """The command in this process, with streams of its own and the logging put back."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    root, before = logging.getLogger(), sys.stdin
    handlers, level = root.handlers[:], root.level
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _exit_code(lambda: main(arguments))
    finally:
        sys.stdin, root.handlers = before, handlers
        root.setLevel(level)
    out.flush(), err.flush()
    printed, said = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    assert "Traceback" not in printed + said, said
    return Done(code, printed, said)


def _exit_code(work: Callable[[], None]) -> int:
    with pytest.raises(SystemExit) as left:
        work()
    return int(left.value.code or 0)


@asynccontextmanager
async def served(app: Any, listening: socket.socket | None = None) -> AsyncIterator[str]:
    """An ASGI application on a socket of its own; its address."""
    listening = listening or socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
