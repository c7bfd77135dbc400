"""The activity that tells a template's webhook how a lead has ended, and of an analysis that came after that.

The body is JSON, signed as `X-Breeze-Signature: t=<unix seconds>,v1=<hex>`, where v1 is the HMAC-SHA256 of
`<t>.<body>`. Private addresses are refused, whatever a name resolves to, unless the settings allow them.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from temporalio import activity
from temporalio.exceptions import ApplicationError

from breeze_buddy.activities.public_addresses import PrivateAddress, PublicResolver, check_public
from breeze_buddy.domain.messages import EVENT_LEAD_FINISHED
from breeze_buddy.store import campaigns, leads, overview
from breeze_buddy.store.database import Database

_ALLOWED_BY = "WEBHOOK_ALLOW_PRIVATE"
SIGNATURE_HEADER = "X-Breeze-Signature"
_TIMEOUT = aiohttp.ClientTimeout(total=15)
# An idle connection is closed before the usual servers close it.
_KEPT_S = 2.0


def sign(body: bytes, *, secret: str, unix_s: int) -> str:
    """The value of the signature header for a body sent at `unix_s`."""
    digest = hmac.new(secret.encode(), f"{unix_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix_s},v1={digest}"


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
            resolver = None if self._policy.allow_private else PublicResolver(_ALLOWED_BY)
            connector = aiohttp.TCPConnector(resolver=resolver, keepalive_timeout=_KEPT_S)
            # Nobody's cookies for somebody else.
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, cookie_jar=jar)
        return self._session

    @activity.defn
    async def notify(self, lead_id: str, event: str = EVENT_LEAD_FINISHED) -> int:
        """Post the report of a finished lead to its template's webhook; returns the HTTP status.

        The analysis of a call is in it as far as there is one by now. `event` tells why it is sent.

        Fails, to be tried again, on anything but 2xx. 4xx other than 408 and 429 is not tried again.
        """
        url, report = await self._report(lead_id, event)
        if url is None:
            return 0
        body = json.dumps(report, default=str, separators=(",", ":")).encode()
        signature = sign(body, secret=self._policy.secret, unix_s=int(self._database.now().timestamp()))
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
        try:
            if not self._policy.allow_private:
                check_public(urlsplit(url).hostname or "", _ALLOWED_BY)
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

    async def _report(self, lead_id: str, event: str) -> tuple[str | None, dict[str, Any]]:
        async with self._database.read() as tx:
            lead = await leads.get(tx, lead_id)
            calls = await overview.calls_of(tx, lead_id)
            campaign, template = await campaigns.with_template(tx, lead.campaign_id)
        url = str(template.webhook_url) if template.webhook_url else None
        return url, {
            "event": event,
            "lead": lead.model_dump(mode="json"),
            "campaign": {"id": campaign.id, "name": campaign.name},
            "calls": [call.model_dump(mode="json") for call in calls],
        }
