"""HTTP requests to the customer's URLs: signed, limited in time, retried as the URL's fragment says.

Follows Twilio's pages on webhook security and on connection overrides: ``rc`` retries (1), ``rp`` what to retry on
(ct: no connection), ``ct``, ``rt`` and ``tt`` for connect, read and total time in milliseconds.
"""

import asyncio
import uuid
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit

import aiohttp
from yarl import URL

from breeze_buddy.simulator.signatures import sign

TOTAL_S = 15.0
ALL_REASONS = frozenset({"4xx", "5xx", "ct", "rt"})


@dataclass(frozen=True)
class Overrides:
    """What a URL's fragment asks for."""

    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})
    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = TOTAL_S


@dataclass
class Answer:
    """How a webhook ended: the last attempt's status and body, or the error, and every attempt's result."""

    status: int | None = None
    body: bytes = b""
    error: str | None = None
    attempts: list[str] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        """Whether it was answered with 2xx."""
        return self.status is not None and 200 <= self.status < 300


def overrides_of(url: str) -> Overrides:
    """Read the fragment; what is missing or nonsense keeps its default."""
    given = dict(parse_qsl(urlsplit(url).fragment))

    def number(name: str, low: int, high: int, default: int) -> int:
        text = given.get(name, "")
        return min(max(int(text), low), high) if text.isdigit() else default

    reasons = {reason.strip().lower() for reason in given.get("rp", "ct").split(",")}
    return Overrides(
        retries=number("rc", 0, 5, 1),
        retry_on=ALL_REASONS if "all" in reasons else frozenset(reasons & ALL_REASONS),
        connect_s=number("ct", 100, 10_000, 5_000) / 1000,
        read_s=number("rt", 100, 15_000, 15_000) / 1000,
        total_s=number("tt", 100, 15_000, 15_000) / 1000,
    )


class Webhooks:
    """The one HTTP client of the simulator."""

    def __init__(self, auth_token: str) -> None:
        self._auth_token = auth_token
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client. Idle connections are dropped early, before the usual servers drop them."""
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2.0)
        self._session = aiohttp.ClientSession(connector=connector, headers={"User-Agent": "TwilioProxy/1.1"})

    async def stop(self) -> None:
        """Close the client."""
        if self._session is not None:
            await self._session.close()

    async def request(self, method: str, url: str, form: list[tuple[str, str]]) -> Answer:
        """Send a form (in the query for GET) and return how it ended; network errors are part of the answer."""
        overrides = overrides_of(url)
        target = urldefrag(url).url
        if method == "GET" and form:
            target += ("&" if urlsplit(target).query else "?") + urlencode(form)
        headers = {
            "X-Twilio-Signature": sign(self._auth_token, target, form if method == "POST" else ()),
            "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
            "Accept": "*/*",
        }
        body = urlencode(form) if method == "POST" else None
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        answer = Answer()
        deadline_s = asyncio.get_running_loop().time() + overrides.total_s
        for _ in range(overrides.retries + 1):
            remaining_s = deadline_s - asyncio.get_running_loop().time()
            if remaining_s <= 0:
                break
            reason = await self._attempt(method, target, headers, body, overrides, remaining_s, answer)
            if reason is None or reason not in overrides.retry_on:
                break
        return answer

    async def _attempt(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: str | None,
        overrides: Overrides,
        remaining_s: float,
        answer: Answer,
    ) -> str | None:
        """One try, written into ``answer``; the reason for which it might be tried again, if any."""
        if self._session is None:
            raise RuntimeError("Webhooks.start() was not called")
        timeout = aiohttp.ClientTimeout(total=remaining_s, sock_connect=overrides.connect_s, sock_read=overrides.read_s)
        answer.status, answer.body, answer.error = None, b"", None
        reason: str | None = None
        try:
            target = URL(url, encoded=True)
            async with self._session.request(method, target, data=body, headers=headers, timeout=timeout) as response:
                answer.body = await response.read()
                answer.status = response.status
                reason = "4xx" if 400 <= response.status < 500 else "5xx" if response.status >= 500 else None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            answer.error, reason = f"no connection: {error}", "ct"
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            answer.error, reason = f"no answer: {error or type(error).__name__}", "rt"
        answer.attempts.append(str(answer.status) if answer.status is not None else (answer.error or ""))
        return reason
