"""The other end of Twilio's REST API, on a real socket: it notes what was asked and answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from breeze_buddy.telephony.client import PlaceCall, Twilio, Twiml

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "an auth token"
CALLS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    """One request that arrived whole."""

    method: str
    path: str
    query: dict[str, str]
    form: list[tuple[str, str]]
    authorization: str | None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.form if key == name]


@dataclass
class OtherEnd:
    url: str
    account: str = ACCOUNT
    token: str = TOKEN
    calls: str = CALLS
    asked: list[Asked] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def will_answer(self, status: int, body: object = None, headers: dict[str, str] | None = None) -> None:
        """The next request gets this, as JSON."""

        async def answer(request: web.Request) -> web.Response:
            return web.json_response(body, status=status, headers=headers)

        self.answers.append(answer)

    def will_refuse(self, code: int, status: int = 400, message: str = "refused", **headers: str) -> None:
        """The next request gets an error body as Twilio writes them."""
        more = f"https://www.twilio.com/docs/errors/{code}"
        self.will_answer(status, {"code": code, "message": message, "more_info": more, "status": status}, headers)

    def will_say(self, status: int, text: str) -> None:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=status, text=text, content_type="text/html")

        self.answers.append(answer)

    def will_reset(self) -> None:
        """The next request is read to its end, and then the connection breaks."""

        async def answer(request: web.Request) -> web.Response:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        self.answers.append(answer)

    def will_keep_silent(self) -> None:
        async def answer(request: web.Request) -> web.Response:
            await self.stop.wait()
            return web.Response()

        self.answers.append(answer)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        self.asked.append(
            Asked(request.method, request.path, dict(request.query), form, request.headers.get("Authorization"))
        )
        if not self.answers:
            return web.json_response({"message": "the test expected no request here"}, status=418)
        return await self.answers.pop(0)(request)


@pytest.fixture
async def other_end() -> AsyncIterator[OtherEnd]:
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    end = OtherEnd(url="")
    app.router.add_route("*", "/{path:.*}", end.handle)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    end.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield end
    end.stop.set()
    await runner.cleanup()


@pytest.fixture
async def twilio(other_end: OtherEnd) -> AsyncIterator[Twilio]:
    async with Twilio(ACCOUNT, TOKEN, other_end.url, timeout_s=5) as client:
        yield client


@pytest.fixture
def call() -> PlaceCall:
    return PlaceCall(
        to="+14155550123",
        from_="+14155550100",
        answer=Twiml("<Response/>"),
        status_callback="https://calls.example.com/status?lead=1&call=2",
    )
