"""A simulator in this process, and a customer: a web server with TwiML, callbacks and a media server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from breeze_buddy.simulator.people import Person, Scenario
from breeze_buddy.simulator.server import Simulator, SimulatorConfig
from breeze_buddy.simulator.sound import tone

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "token-of-the-tests"
OUR_NUMBER = "+14155550100"
CALLS = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"


@dataclass
class Received:
    """A request that reached the customer."""

    path: str
    url: str
    form: dict[str, str]
    headers: dict[str, str]
    method: str


@dataclass
class Customer:
    """Answers as told, remembers everything, and can be waited for."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ws_url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def twiml(self, path: str, document: str, status: int = 200) -> str:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=document, content_type="text/xml", status=status)

        self.answers[path] = answer
        return self.url(path)

    def at(self, path: str) -> list[Received]:
        return [request for request in self.received if request.path == path]

    async def wait_for(
        self, path: str, count: int = 1, *, status: str | None = None, timeout_s: float = 10
    ) -> list[Received]:
        def enough() -> bool:
            found = self.at(path)
            return len(found) >= count and (status is None or any(f.form.get("CallStatus") == status for f in found))

        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(enough)
        return self.at(path)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            form = {str(name): str(value) for name, value in (await request.post()).items()}
            url = f"http://{request.host}{request.raw_path}"
            self.received.append(Received(request.path, url, form, dict(request.headers), request.method))
            async with self.changed:
                self.changed.notify_all()
        answer = self.answers.get(request.path)
        return await answer(request) if answer else web.Response(text="ok")


@dataclass
class MediaServer:
    """The customer's end of Media Streams. ``talk`` is what it does once the stream has started."""

    talk: Callable[["MediaServer"], Awaitable[None]]
    messages: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    socket: web.WebSocketResponse | None = None
    stream_sid: str = ""
    close_code: int | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.socket = web.WebSocketResponse()
        self.headers = dict(request.headers)
        await self.socket.prepare(request)
        talking: asyncio.Task[None] | None = None

        async def talk() -> None:
            try:
                await self.talk(self)
            except TimeoutError:
                await self.close()

        async for message in self.socket:
            assert message.type is aiohttp.WSMsgType.TEXT
            event = json.loads(message.data)
            self.messages.append(event)
            if event["event"] == "start":
                self.stream_sid = event["start"]["streamSid"]
                self.started.set()
                talking = asyncio.create_task(talk())
            async with self.changed:
                self.changed.notify_all()
        self.close_code = self.socket.close_code
        if talking is not None:
            if not talking.done():
                talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
        self.finished.set()
        return self.socket

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == event]

    async def wait_for(self, event: str, count: int = 1, timeout_s: float = 10) -> list[dict[str, Any]]:
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(lambda: len(self.of(event)) >= count)
        return self.of(event)

    async def send(self, event: str, **body: Any) -> None:
        assert self.socket is not None
        await self.socket.send_json({"event": event, "streamSid": self.stream_sid, **body})

    async def say(self, seconds: float) -> None:
        payload = base64.b64encode(tone(440, seconds)).decode()
        await self.send("media", media={"payload": payload})

    async def mark(self, name: str) -> None:
        await self.send("mark", mark={"name": name})

    async def close(self) -> None:
        assert self.socket is not None
        await self.socket.close()


@pytest.fixture
async def customer() -> AsyncIterator[Customer]:
    customer = Customer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", customer.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    customer.port = runner.addresses[0][1]
    yield customer
    await runner.cleanup()


@dataclass
class Lab:
    """A running simulator with an authorised client."""

    simulator: Simulator
    session: aiohttp.ClientSession

    async def post(self, path: str, form: Any, status: int | None = None) -> dict[str, Any]:
        async with self.session.post(self.simulator.url + path, data=form) as response:
            body: dict[str, Any] = await response.json()
            assert status is None or response.status == status, body
            return body

    async def get(self, path: str, status: int | None = 200) -> Any:
        async with self.session.get(self.simulator.url + path) as response:
            assert status is None or response.status == status, await response.text()
            return await response.json()

    async def call(self, to: str, **parameters: Any) -> dict[str, Any]:
        """Create a call; underscores in names are dropped: ``StatusCallbackEvent`` takes a list."""
        form = [("To", to), ("From", OUR_NUMBER)]
        for name, value in parameters.items():
            form.extend((name, str(item)) for item in (value if isinstance(value, list) else [value]))
        return await self.post(CALLS, form, 201)

    async def witness(self, sid: str) -> dict[str, Any]:
        witness: dict[str, Any] = await self.get(f"/simulator/calls/{sid}")
        return witness

    async def until_over(self, sid: str, timeout_s: float = 15) -> dict[str, Any]:
        """Wait for the end of a call; its witness record."""
        call = self.simulator.exchange.calls.by_sid[sid]
        async with asyncio.timeout(timeout_s):
            await call.finished.wait()
        return await self.witness(sid)


Start = Callable[..., Awaitable[Lab]]


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of rendered sentences for all tests."""
    return tmp_path_factory.mktemp("voices")


@pytest.fixture
async def start(tmp_path: Path, voices: Path) -> AsyncIterator[Start]:
    """Starts simulators: ``await start(people=[{...}], **config)``."""
    labs: list[Lab] = []

    async def begin(people: list[dict[str, Any]] | None = None, **config: Any) -> Lab:
        data = tmp_path / f"simulator-{len(labs)}"
        data.mkdir()
        (data / "voices").symlink_to(voices)
        scenario = Scenario(people=[Person.model_validate(person) for person in people or []])
        settings = {"calls_per_second": 0, "recording_delay_s": 0.05, "scenario": scenario} | config
        simulator = Simulator(SimulatorConfig(data=data, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, **settings))
        await simulator.start()
        headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
        labs.append(Lab(simulator, aiohttp.ClientSession(headers=headers)))
        return labs[-1]

    yield begin
    for lab in labs:
        await lab.session.close()
        await lab.simulator.stop()


@pytest.fixture
def media(customer: Customer) -> Callable[[Callable[[MediaServer], Awaitable[None]]], MediaServer]:
    """Puts a media server at ``/media``: ``media(talk)``."""

    def serve(talk: Callable[[MediaServer], Awaitable[None]]) -> MediaServer:
        server = MediaServer(talk)
        customer.answers["/media"] = server.handle
        return server

    return serve


@pytest.fixture
def stream(customer: Customer) -> Callable[..., str]:
    """TwiML that joins a call to the media server: ``stream(after="<Hangup/>", lead="7")``."""

    def twiml(after: str = "", **parameters: str) -> str:
        inside = "".join(f'<Parameter name="{name}" value="{value}"/>' for name, value in parameters.items())
        url = customer.ws_url("/media")
        return f'<Response><Connect><Stream url="{url}">{inside}</Stream></Connect>{after}</Response>'

    return twiml
