"""How the world reaches us: the API and its signature check at PUBLIC_URL, the media server at STREAM_URL."""

import base64
import hashlib
import ipaddress
import secrets
from urllib.parse import urlsplit

import httpx

from breeze_buddy.api.echo_callback import PATH as ECHO
from breeze_buddy.cli.doctor.finding import Area, Finding
from breeze_buddy.settings import PREFIX, Settings
from breeze_buddy.telephony.signatures import SignatureCheck, signature_of

PUBLIC = Area("public URL")
STREAM = Area("stream URL")
_TIMEOUT_S = 10.0
_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_GOODBYE = b"\x88\x82" + bytes(4) + (1000).to_bytes(2, "big")  # a close frame with an empty mask
_POLITE = ("draining", "full")


async def look(settings: Settings) -> list[Finding]:
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
        return [*await _public(settings, http), *await _stream(settings, http)]


async def _public(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    url = settings.public_url.rstrip("/")
    token = settings.twilio_auth_token.get_secret_value()
    try:
        SignatureCheck(token, url)
    except ValueError as error:
        return [PUBLIC.failed("address", str(error), "set PUBLIC_URL to how Twilio reaches the API")]
    findings = [_seen_from_outside(settings, PUBLIC, "PUBLIC_URL", url)]
    health = await _health(http, url)
    findings.append(health)
    if health.state == "failed":
        return [*findings, PUBLIC.skipped("signatures", "the API was not reached")]
    # The query holds what a proxy may be tempted to write in another way.
    target = f"{url}{ECHO}?call_id=doctor%2F{secrets.token_hex(8)}&lead_id=a%20b"
    form = {"CallStatus": "nothing", "To": "+00 doctor"}
    if not token:
        findings.append(PUBLIC.skipped("signed request", "TWILIO_AUTH_TOKEN is not set"))
    else:
        findings.append(await _signed(http, target, form, signature_of(target, form, token)))
    findings.append(await _unsigned(http, target, form))
    return findings


def _seen_from_outside(settings: Settings, area: Area, variable: str, url: str) -> Finding:
    parts = urlsplit(url)
    if settings.twilio_api_base_url is not None:
        return area.ok("address", f"{url}, for TWILIO_API_BASE_URL {settings.twilio_api_base_url}")
    if _private(parts.hostname or ""):
        return area.failed(
            "address",
            f"{url} is an address of this machine or network",
            f"set {variable} to an address that Twilio reaches",
        )
    if parts.scheme not in ("https", "wss"):
        return area.failed(
            "address", f"{url} is not encrypted", f"put TLS before it and set {variable} to https:// or wss://"
        )
    return area.ok("address", url)


def _private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host


async def _health(http: httpx.AsyncClient, url: str) -> Finding:
    advice = "start `breeze api`, and have PUBLIC_URL (and its proxy) lead to it with every path below it"
    try:
        answer = await http.get(f"{url}{PREFIX}/health")
        body = answer.json()
    except httpx.HTTPError as error:
        return PUBLIC.failed("API", f"does not answer: {str(error) or type(error).__name__}", advice)
    except ValueError:
        body = None
    if not isinstance(body, dict) or "temporal" not in body:
        return PUBLIC.failed("API", f"something else than our API answers ({answer.status_code})", advice)
    if answer.status_code != httpx.codes.OK:
        ill = ", ".join(name for name in ("database", "temporal") if body.get(name) != "ok")
        return PUBLIC.failed("API", f"reached, but it cannot reach: {ill}", "check the settings of the API's process")
    return PUBLIC.ok("API", "reached, and well")


async def _signed(http: httpx.AsyncClient, url: str, form: dict[str, str], signature: str) -> Finding:
    check = "signed request"
    try:
        answer = await http.post(url, data=form, headers={"X-Twilio-Signature": signature})
    except httpx.HTTPError as error:
        return PUBLIC.failed(check, f"no answer: {str(error) or type(error).__name__}", "look at the proxy's log")
    if answer.status_code == httpx.codes.NO_CONTENT:
        return PUBLIC.ok(check, "accepted")
    if answer.status_code == httpx.codes.FORBIDDEN:
        return PUBLIC.failed(
            check,
            "refused: every callback of Twilio would be",
            "give the API the PUBLIC_URL and TWILIO_AUTH_TOKEN that are set here, and let the proxy leave path and "
            "query as they are",
        )
    return PUBLIC.failed(
        check, f"answered with {answer.status_code}", f"let PUBLIC_URL lead to the API of this version, also {ECHO}"
    )


async def _unsigned(http: httpx.AsyncClient, url: str, form: dict[str, str]) -> Finding:
    check = "unsigned request"
    try:
        answer = await http.post(url, data=form)
    except httpx.HTTPError as error:
        return PUBLIC.failed(check, f"no answer: {str(error) or type(error).__name__}", "look at the proxy's log")
    if answer.status_code == httpx.codes.FORBIDDEN:
        return PUBLIC.ok(check, "refused")
    return PUBLIC.failed(
        check,
        f"answered with {answer.status_code} instead of being refused",
        "PUBLIC_URL leads to something that does not check signatures: let it lead to `breeze api`",
    )


async def _stream(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    url = settings.stream_url
    if urlsplit(url).scheme not in ("ws", "wss"):
        return [
            STREAM.failed("address", f"{url} is not ws:// or wss://", "set STREAM_URL to the media server's address")
        ]
    findings = [_seen_from_outside(settings, STREAM, "STREAM_URL", url)]
    advice = "start `breeze media`, and have STREAM_URL (and its proxy, with WebSockets) lead to it"
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    try:
        async with http.stream("GET", "http" + url.removeprefix("ws"), headers=headers) as answer:
            if answer.status_code == httpx.codes.SWITCHING_PROTOCOLS:
                await answer.extensions["network_stream"].write(_GOODBYE)
                return [*findings, _accepted(answer.headers.get("Sec-WebSocket-Accept", ""), key, advice)]
            text = (await answer.aread()).decode(errors="replace").strip()
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        return [*findings, STREAM.failed("media server", f"does not answer: {why}", advice)]
    if text in _POLITE:
        return [*findings, STREAM.ok("media server", f"reached; it takes no stream now, it is {text}")]
    return [*findings, STREAM.failed("media server", f"no WebSocket there: it answered {answer.status_code}", advice)]


def _accepted(said: str, key: str, advice: str) -> Finding:
    wanted = base64.b64encode(hashlib.sha1((key + _WEBSOCKET_GUID).encode()).digest()).decode()  # noqa: S324
    if said != wanted:
        return STREAM.failed("media server", "what answers does not speak WebSocket", advice)
    return STREAM.ok("media server", "reached; it accepts streams")
