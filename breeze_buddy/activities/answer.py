"""What Twilio is told to do with an answered call: open the stream to a media server."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import uuid4

from breeze_buddy.domain.stream_token import StreamToken
from breeze_buddy.telephony import twiml


@dataclass(frozen=True, slots=True)
class Answers:
    """Writes TwiML and callback URLs. `public_url` is without a slash at its end."""

    public_url: str
    stream_secret: str
    token_ttl: timedelta

    def stream(self, stream_url: str, *, call_id: str, lead_id: str, now: datetime, pause_s: int = 0) -> str:
        """Connect the call to the media server at `stream_url`, after `pause_s`, with a token made now."""
        token = StreamToken(token_id=uuid4().hex, call_id=call_id, lead_id=lead_id)
        return twiml.stream(
            stream_url,
            {
                "lead_id": lead_id,
                "call_id": call_id,
                "token": token.sign(secret=self.stream_secret, expires_at=now + self.token_ttl),
            },
            self.url("continue", call_id=call_id, lead_id=lead_id),
            pause_s=pause_s,
        )

    def url(self, callback: str, *, call_id: str, lead_id: str) -> str:
        """The public URL of one of Twilio's callbacks for one attempt."""
        query = urlencode({"lead_id": lead_id, "call_id": call_id})
        return f"{self.public_url.rstrip('/')}/twilio/callback/{callback}?{query}"
