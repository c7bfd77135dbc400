"""Whether a request really comes from Twilio.

Twilio signs the address that *it* asked for. Behind a proxy the application sees another scheme, host and
port, so the address is put together from the public URL in the settings, never from the request. Twilio is
not consistent about default ports: both spellings are tried.
"""

import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


class SignatureCheck:
    """Checks `X-Twilio-Signature`. With an empty auth token nothing is valid.

    `public_url` is `https://host[:port][/prefix]`; a prefix is one that the proxy takes away before the
    application sees the path. For the upgrade of a WebSocket give `wss://…`.
    """

    def __init__(self, auth_token: str, public_url: str) -> None:
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._origins = tuple(_spellings(public_url))

    def is_valid(
        self, path_and_query: str, form: Mapping[str, str] | Iterable[tuple[str, str]], signature: str | None
    ) -> bool:
        """`path_and_query` exactly as it arrived, still percent-encoded; `form` as fields or as pairs (pairs
        where a name can come twice); `signature` is the header's value, None when there is none."""
        if self._validator is None or not signature:
            return False
        fields = _Fields(form)
        given = signature.encode()
        # Every spelling is compared, so that the time taken tells nothing.
        matches = [
            hmac.compare_digest(self._validator.compute_signature(origin + path_and_query, fields).encode(), given)
            for origin in self._origins
        ]
        return any(matches)


def signature_of(url: str, form: Mapping[str, str], auth_token: str) -> str:
    """What Twilio would put into `X-Twilio-Signature` for a request to `url`."""
    return str(RequestValidator(auth_token).compute_signature(url, dict(form)))


class _Fields(dict[str, list[str]]):
    """A form, with all values of a name, as the validator likes to ask for them."""

    def __init__(self, form: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in form.items() if isinstance(form, Mapping) else form:
            self.setdefault(name, []).append(value)

    def getall(self, name: str) -> list[str]:
        return self[name]


def _spellings(public_url: str) -> Iterable[str]:
    """The public URL as written, then with its default port added or taken away."""
    parts = urlsplit(public_url.rstrip("/"))
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{public_url!r} is not a public URL: write it like https://calls.example.com")
    if parts.query or parts.fragment:
        raise ValueError(f"{public_url!r} has a query or fragment: give scheme, host, port and prefix only")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = _DEFAULT_PORTS[parts.scheme]
    ports = [f":{parts.port}"] if parts.port not in (None, default) else ["", f":{default}"]
    for port in ports:
        yield f"{parts.scheme}://{host}{port}{parts.path}"
