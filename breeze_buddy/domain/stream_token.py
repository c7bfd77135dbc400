"""The token that a stream carries: signed, short-lived, for one call, taken once.

It travels as a `<Parameter>` of the TwiML, so that nobody can open a stream for a call that is not theirs.
"""

from dataclasses import dataclass
from datetime import datetime

import jwt

from breeze_buddy.domain.errors import DomainError

_ALGORITHM = "HS256"
_AUDIENCE = "stream"


class InvalidStreamToken(DomainError):
    """A token that is malformed, was signed with another secret, or has expired."""

    code = "invalid_stream_token"


@dataclass(frozen=True, slots=True)
class StreamToken:
    """`token_id` is what makes it single-use: the store remembers which were taken. `lead_id` is empty for a
    caller who is no lead of ours."""

    token_id: str
    call_id: str
    lead_id: str

    def sign(self, *, secret: str, expires_at: datetime) -> str:
        claims = {
            "jti": self.token_id,
            "sub": self.call_id,
            "lead": self.lead_id,
            "aud": _AUDIENCE,
            "exp": int(expires_at.timestamp()),
        }
        return jwt.encode(claims, secret, algorithm=_ALGORITHM)

    @classmethod
    def read(cls, text: str, *, secret: str, now: datetime) -> "StreamToken":
        """The token in `text`. Raises InvalidStreamToken with the reason."""
        try:
            claims = jwt.decode(
                text,
                secret,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": ["jti", "sub", "exp", "lead"], "verify_exp": False},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidStreamToken(f"the stream's token is not valid: {error}") from error
        if datetime.fromtimestamp(claims["exp"], now.tzinfo) <= now:
            raise InvalidStreamToken("the stream's token has expired")
        return cls(token_id=claims["jti"], call_id=claims["sub"], lead_id=claims["lead"])
