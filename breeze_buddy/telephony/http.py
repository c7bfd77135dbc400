"""The official client's asynchronous HTTP client, with the three things it leaves open.

A time limit on every request (the client takes one and never uses it); no phone numbers in its log; and
whether a request that got no answer can have reached Twilio: once a connection was made it may have, before
that it certainly has not. A POST is never sent a second time; a GET may be, on a kept connection that broke.
"""

import asyncio
import json
import logging
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import aiohttp
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]

from breeze_buddy.telephony.errors import NoAnswer, Refusal

LOST = (aiohttp.ClientError, TimeoutError, OSError)
"""What a connection can fail with."""


class Reached:
    """Whether one request has got a connection."""

    def __init__(self) -> None:
        self.connected = False


_reached: ContextVar[Reached] = ContextVar("reached")


class Http(AsyncTwilioHttpClient):  # type: ignore[misc]
    """Raises Refusal and NoAnswer in place of the library's errors. Belongs to the loop of its first request."""

    def __init__(self, *, timeout_s: float) -> None:
        log = logging.getLogger("breeze_buddy.telephony.http")
        log.setLevel(logging.WARNING)  # the client logs whole queries, with the numbers in them, as INFO
        super().__init__(pool_connections=False, timeout=timeout_s, logger=log, max_retries=None)
        self._timeout_s = timeout_s
        self.session: aiohttp.ClientSession | None = None

    def open(self) -> aiohttp.ClientSession:
        """The session, which needs a running loop to be made."""
        if self.session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_connected)
            trace.on_connection_reuseconn.append(_connected)
            self.session = aiohttp.ClientSession(trace_configs=[trace])
        return self.session

    async def close(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            await session.close()

    async def request(self, *args: Any, **kwargs: Any) -> Response:
        self.open()
        reached = Reached()
        before = _reached.set(reached)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await super().request(*args, **kwargs)
        except LOST as error:
            raise NoAnswer(sent=reached.connected, reason=why(error, self._timeout_s)) from error
        except UnicodeDecodeError as error:
            raise NoAnswer(sent=True, reason="its answer is not text") from error
        finally:
            _reached.reset(before)
        if not 200 <= response.status_code < 300:
            raise refusal(response.status_code, response.text, response.headers.get("Retry-After"))
        if response.status_code != 204 and _object(response.text) is None:
            raise NoAnswer(sent=True, reason=f"it answered {response.status_code} with something that is not JSON")
        return response


async def _connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    reached = _reached.get(None)
    if reached is not None:
        reached.connected = True


def refusal(status: int, text: str, retry_after: str | None) -> Refusal:
    """An answer other than success, read."""
    body = _object(text) or {}
    code, message = body.get("code"), body.get("message") or body.get("detail") or body.get("title")
    return Refusal(
        http_status=status,
        code=code if isinstance(code, int) else None,
        text=message if isinstance(message, str) else "",
        retry_after_s=float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None,
    )


def why(error: BaseException, timeout_s: float) -> str:
    """The reason of a lost connection, in words."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return str(error) or type(error).__name__


def _object(text: str) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
