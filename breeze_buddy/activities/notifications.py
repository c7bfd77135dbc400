"""The activity that tells a template's webhook how a lead has ended.

The body is JSON, signed as `X-Breeze-Signature: t=<unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256 of
`<t>.<body>`. Private addresses are refused, whatever a name resolves to, unless the settings allow them.
"""

import hashlib
import hmac
import ipaddress
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from temporalio import activity
from temporalio.exceptions import ApplicationError

from breeze_buddy.store import campaigns, leads, overview, templates
from breeze_buddy.store.database import Database

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
SIGNATURE_HEADER = "X-Breeze-Signature"
_TIMEOUT = aiohttp.ClientTimeout(total=15)
# An idle connection is closed before the usual servers close it.
_KEPT_S = 2.0


class PrivateAddress(OSError):
    """A webhook that points into a private network."""


def sign(body: bytes, *, secret: str, unix_s: int) -> str:
    """The value of the signature header for a body sent at `unix_s`."""
    digest = hmac.new(secret.encode(), f"{unix_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix_s},v1={digest}"


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only: the check and the connection see the same address."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for address in found:
            check_public(address["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def check_public(host: str) -> None:
    """Raise PrivateAddress when `host` is written as an address that is not public."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return
    inside = _carried(address)
    if not address.is_global or address.is_multicast or (inside is not None and not inside.is_global):
        raise PrivateAddress(f"{host} is not a public address; set WEBHOOK_ALLOW_PRIVATE=true to allow it")


def _carried(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """The secret that signs, and whether private addresses may be called."""

    secret: str
    allow_private: bool


class NotificationActivities:
    """Bound to the clients of one worker process."""

    def __init__(self, database: Database, policy: WebhookPolicy) -> None:
        self._database = database
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connections to webhooks."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        """The one session, which needs a running loop to be made."""
        if self._session is None:
            resolver = None if self._policy.allow_private else PublicResolver()
            connector = aiohttp.TCPConnector(resolver=resolver, keepalive_timeout=_KEPT_S)
            # Nobody's cookies for somebody else.
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, cookie_jar=jar)
        return self._session

    @activity.defn
    async def notify(self, lead_id: str) -> int:
        """Post the report of a finished lead to its template's webhook; returns the HTTP status.

        Fails, to be tried again, on anything but 2xx. 4xx other than 408 and 429 is not tried again.
        """
        url, report = await self._report(lead_id)
        if url is None:
            return 0
        body = json.dumps(report, default=str, separators=(",", ":")).encode()
        signature = sign(body, secret=self._policy.secret, unix_s=int(self._database.now().timestamp()))
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
        try:
            if not self._policy.allow_private:
                check_public(urlsplit(url).hostname or "")
            async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        except (PrivateAddress, aiohttp.ClientConnectorDNSError) as error:
            if not isinstance(error, PrivateAddress) and not isinstance(error.os_error, PrivateAddress):
                raise
            raise ApplicationError(str(error), type="WebhookRefused", non_retryable=True) from error
        if 200 <= status < 300:
            return status
        final = 400 <= status < 500 and status not in (408, 429)
        raise ApplicationError(f"the webhook answered {status}", type="WebhookRefused", non_retryable=final)

    async def _report(self, lead_id: str) -> tuple[str | None, dict[str, Any]]:
        async with self._database.read() as tx:
            lead = await leads.get(tx, lead_id)
            calls = await overview.calls_of(tx, lead_id)
            campaign = await campaigns.get(tx, lead.campaign_id)
            template = (await templates.get(tx, campaign.template_id)).template
        url = str(template.webhook_url) if template.webhook_url else None
        return url, {
            "event": "lead.finished",
            "lead": lead.model_dump(mode="json"),
            "campaign": {"id": campaign.id, "name": campaign.name},
            "calls": [call.model_dump(mode="json") for call in calls],
        }
