"""X-Twilio-Signature, as Twilio's security page describes it.

Base64 of HMAC-SHA1, keyed with the account's auth token, over the full URL (without its fragment) followed by every
form name and value, sorted by name; a value repeated under one name counts once.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def sign(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """The signature of a request to ``url`` that carries ``form``; a fragment in the URL is left out."""
    text = url.partition("#")[0] + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
