"""Our REST API as the commands use it. Every failure is a CommandError with a sentence and an exit code."""

import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from breeze_buddy.cli.errors import ApiRefused, ApiUnreachable, KeyRefused, NotThere, OptionError
from breeze_buddy.cli.places import place
from breeze_buddy.settings import PREFIX

Json = Any
Query = Mapping[str, str | int]

_TIMEOUT = httpx.Timeout(30, connect=10)
# A file is answered when all of its rows are in the database.
_LONG_TIMEOUT = httpx.Timeout(600, connect=10)


class Api:
    """`url` is the address of the API, with or without the prefix of its routes; `key` is its API_KEY.

    Paths begin behind the prefix. Raises OptionError for an address that is none.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self._origin = url.rstrip("/").removesuffix(PREFIX)
        try:
            parsed = httpx.URL(self._origin)
        except httpx.InvalidURL as error:
            raise OptionError(f"{url!r} is not an address ({error}): write --api-url http://HOST:PORT") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise OptionError(f"{url!r} is not an address of an API: write --api-url http://HOST:PORT")
        self._http = httpx.AsyncClient(
            base_url=self._origin + PREFIX,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT,
            trust_env=not _is_here(parsed.host),  # a proxy is for addresses elsewhere
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str | int | None) -> Json:
        return (await self.ask("GET", path, query=_given(query)))[1]

    async def post(self, path: str, body: Json = None, **query: str | int | None) -> Json:
        return (await self.ask("POST", path, body=body, query=_given(query)))[1]

    async def put(self, path: str, body: Json) -> Json:
        return (await self.ask("PUT", path, body=body))[1]

    async def patch(self, path: str, body: Json) -> Json:
        return (await self.ask("PATCH", path, body=body))[1]

    async def delete(self, path: str) -> None:
        await self.ask("DELETE", path)

    async def ask(self, method: str, path: str, *, body: Json = None, query: Query | None = None) -> tuple[int, Json]:
        """The HTTP status and the body, None when there is none. Raises ApiUnreachable, ApiRefused."""
        with _Reaching(self._origin):
            answer = await self._http.request(method, path, json=body, params=dict(query or {}))
        return answer.status_code, self._read(answer)

    async def upload(self, path: str, content: AsyncIterator[bytes], *, size: int | None, query: Query) -> Json:
        """Send CSV while it is read. `size`: its bytes, None when they are not known."""
        headers = {"Content-Type": "text/csv"} | ({} if size is None else {"Content-Length": str(size)})
        with _Reaching(self._origin):
            answer = await self._http.post(
                path, content=content, headers=headers, params=dict(query), timeout=_LONG_TIMEOUT
            )
        return self._read(answer)

    @asynccontextmanager
    async def download(self, path: str, **query: str | int | None) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of an answer, piece by piece."""
        with _Reaching(self._origin):
            async with self._http.stream("GET", path, params=_given(query), timeout=_LONG_TIMEOUT) as answer:
                if not answer.is_success:
                    await answer.aread()
                    self._read(answer)
                yield answer.aiter_bytes()

    async def pages(self, path: str, **query: str | int | None) -> AsyncIterator[Json]:
        """All items of a list that comes in pages."""
        after: str | None = None
        while True:
            page = await self.get(path, **query, after=after)
            for item in page["items"]:
                yield item
            after = page.get("next")
            if after is None:
                return

    def _read(self, answer: httpx.Response) -> Json:
        """Raises ApiRefused for an error, ApiUnreachable for an answer that is not our API's."""
        if answer.status_code == httpx.codes.NO_CONTENT:
            return None
        try:
            body = answer.json()
        except ValueError:
            raise _somebody_else(self._origin, answer) from None
        if answer.is_success:
            return body
        raise _refusal(body, answer) or _somebody_else(self._origin, answer)


class _Reaching:
    """Turns a lost connection into a sentence."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, httpx.TransportError):
            why = str(error) or type(error).__name__
            raise ApiUnreachable(
                f"the API at {self._origin} does not answer ({why}).\n"
                "Start it (`breeze up`, `breeze api`), or say where it is: --api-url or BREEZE_API_URL."
            ) from None


def _refusal(body: Json, answer: httpx.Response) -> ApiRefused | None:
    """The error that our API describes in `body`; None when that is not how it speaks."""
    if not isinstance(body, dict):
        return None
    status = answer.status_code
    if status == httpx.codes.UNPROCESSABLE_ENTITY and isinstance(body.get("detail"), list):
        return ApiRefused("\n".join(["refused:", *(f"  {line}" for line in _problems(body["detail"]))]), status=status)
    message = body.get("message")
    if not isinstance(message, str):
        return None
    match status:
        case httpx.codes.NOT_FOUND:
            if message == "Not Found":
                message = f"the API has no {answer.request.method} {answer.request.url.path}: is it of this version?"
            return NotThere(message, status=status)
        case httpx.codes.UNAUTHORIZED | httpx.codes.FORBIDDEN:
            return KeyRefused(f"{message}. Set API_KEY to the key of the API.", status=status)
        case _:
            return ApiRefused(message, status=status)


def _problems(detail: list[Any]) -> list[str]:
    lines = []
    for problem in detail:
        where = [part for part in problem.get("loc", ()) if part not in ("body", "query", "path")]
        lines.append(f"{place(where)}: {problem.get('msg')}" if where else str(problem.get("msg")))
    return lines


def _somebody_else(origin: str, answer: httpx.Response) -> ApiUnreachable:
    return ApiUnreachable(
        f"{origin} answered {answer.status_code}, but not as Breeze Buddy's API does: check --api-url or BREEZE_API_URL"
    )


def _given(query: Mapping[str, str | int | None]) -> dict[str, str | int]:
    return {name: value for name, value in query.items() if value is not None}


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
