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
        parameters = self._parameters(call_id, lead_id, now)
        go_on = self.url("continue", call_id=call_id, lead_id=lead_id)
        return twiml.stream(stream_url, parameters, go_on, pause_s=pause_s)

    def recorded_stream(self, stream_url: str, *, call_id: str, lead_id: str, now: datetime) -> str:
        """The same at once, with a recording that begins here: calls to us have none that we asked for before."""
        return twiml.stream(
            stream_url,
            self._parameters(call_id, lead_id, now),
            self.url("continue", call_id=call_id, lead_id=lead_id),
            recording_callback=self.url("details", call_id=call_id, lead_id=lead_id),
        )

    def _parameters(self, call_id: str, lead_id: str, now: datetime) -> dict[str, str]:
        """What the stream brings along; the caller of an inbound call may be no lead of ours."""
        token = StreamToken(token_id=uuid4().hex, call_id=call_id, lead_id=lead_id)
        signed = token.sign(secret=self.stream_secret, expires_at=now + self.token_ttl)
        return {**({"lead_id": lead_id} if lead_id else {}), "call_id": call_id, "token": signed}

    def url(self, callback: str, *, call_id: str, lead_id: str) -> str:
        """The public URL of one of Twilio's callbacks for one attempt."""
        return self.callback(callback, lead_id=lead_id, call_id=call_id)

    def callback(self, path: str, **query: str) -> str:
        """The public URL below `/twilio/callback/` with this query."""
        return f"{self.public_url.rstrip('/')}/twilio/callback/{path}?{urlencode(query)}"
