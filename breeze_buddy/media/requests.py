"""What flows ask of servers: `http_request`, carried out beside the conversation.

Only hosts on the platform's list are asked, and none at a private address unless the settings allow that. No redirect
is followed. Whatever goes wrong is logged, and the flow goes its `failed` way: a caller waits for the answer.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from breeze_buddy.activities.public_addresses import PrivateAddress, PublicResolver, check_public
from breeze_buddy.domain.flow import HttpRequest, fill

log = logging.getLogger(__name__)

MOST_ANSWER_BYTES = 256 * 1024
LONGEST_ANSWER = 2000
KEY_HEADER = "Idempotency-Key"
_ALLOWED_BY = "HTTP_REQUEST_ALLOW_PRIVATE"
_OF_URLS = "%/:?#[]@!$&'()*+,;=~"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Requests(Protocol):
    """Carries out requests of flows."""

    async def send(self, request: HttpRequest, values: Mapping[str, str], *, key: str) -> dict[str, str] | None:
        """The answers that `request.save` names; None when there was no answer, or not a good one.

        `key` is the same when the same step of a call is carried out again. Raises nothing.
        """


class NoRequests:
    """Asks nobody."""

    async def send(self, request: HttpRequest, values: Mapping[str, str], *, key: str) -> dict[str, str] | None:
        log.warning("%s: not asked: no host is allowed; see HTTP_REQUEST_HOSTS", key)
        return None


class RequestRefused(Exception):
    """A request that may not be sent, or an answer that cannot be used; the message says why."""


class HttpRequests:
    """`hosts`: those that may be asked, as `api.example.com`, `*.example.com` or `10.0.0.7:8080`."""

    def __init__(self, hosts: str, *, allow_private: bool) -> None:
        self._hosts = {host.strip().lower() for host in hosts.split(",") if host.strip()}
        self._allow_private = allow_private

    async def send(self, request: HttpRequest, values: Mapping[str, str], *, key: str) -> dict[str, str] | None:
        """See Requests."""
        try:
            async with asyncio.timeout(request.timeout_s):
                answer = await self._ask(request, values, key)
        except TimeoutError:
            log.warning("%s: no answer within %s s", key, request.timeout_s)
        except (RequestRefused, PrivateAddress) as error:
            log.warning("%s: %s", key, error)
        except (aiohttp.ClientError, OSError) as error:  # their texts may hold the URL, and what the caller said in it
            log.warning("%s: %s was not asked: %s", key, urlsplit(request.url).hostname, type(error).__name__)
        else:
            found = {name: _kept(answer, path) for name, path in request.save.items()}
            return {name: value for name, value in found.items() if value is not None}
        return None

    async def _ask(self, request: HttpRequest, values: Mapping[str, str], key: str) -> Any:
        url = fill(request.url, {name: quote(value, safe="") for name, value in values.items()})
        url = quote(url, safe=_OF_URLS)  # what the template has in it that URLs do not
        self._check(url)
        headers = {name: fill(value, values) for name, value in request.headers.items()}
        if any("\r" in value or "\n" in value or "\0" in value for value in headers.values()):
            raise RequestRefused("a value has a line break in it, and cannot be a header")
        body = json.dumps(_filled(request.body, values)).encode() if request.body is not None else None
        if request.method == "POST":
            headers = {KEY_HEADER: key, "Content-Type": "application/json", **headers}
        resolver = None if self._allow_private else PublicResolver(_ALLOWED_BY)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver), trust_env=False) as session,
            session.request(
                request.method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
            ) as answer,
        ):
            if not 200 <= answer.status < 300:
                raise RequestRefused(f"{urlsplit(url).hostname} answered {answer.status}")
            return await _json_of(answer) if request.save else None

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        names = {f"{host}:{port}"} | ({host} if port == _DEFAULT_PORTS[parts.scheme] else set())
        wide = {f"*{name[at:]}" for name in names for at, character in enumerate(name) if character == "."}
        if not (names | wide) & self._hosts:
            raise RequestRefused(f"{host}:{port} is not asked: HTTP_REQUEST_HOSTS does not name it")
        if not self._allow_private:
            check_public(host, _ALLOWED_BY)


async def _json_of(answer: aiohttp.ClientResponse) -> Any:
    body = await answer.content.read(MOST_ANSWER_BYTES + 1)
    while len(body) <= MOST_ANSWER_BYTES and (more := await answer.content.read(MOST_ANSWER_BYTES)):
        body += more
    if len(body) > MOST_ANSWER_BYTES:
        raise RequestRefused(f"the answer has more than {MOST_ANSWER_BYTES} bytes")
    try:
        return json.loads(body)
    except ValueError as error:
        raise RequestRefused(f"the answer is not JSON: {error}") from error


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, dict):
        return {name: _filled(one, values) for name, one in value.items()}
    return [_filled(one, values) for one in value] if isinstance(value, list) else value


def _kept(answer: Any, path: str) -> str | None:
    """The text at `path`; None when nothing is there, or something that has parts."""
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    if answer is None or isinstance(answer, dict | list):
        return None
    text = ("yes" if answer else "no") if isinstance(answer, bool) else str(answer)
    return text[:LONGEST_ANSWER]
