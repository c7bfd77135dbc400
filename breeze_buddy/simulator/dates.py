"""Dates as Twilio writes them (RFC 2822, whole seconds, UTC) and as its filters read them (ISO 8601)."""

import time
from datetime import UTC, datetime
from email.utils import format_datetime


def now_s() -> float:
    """Seconds since the epoch."""
    return time.time()


def rfc2822(moment_s: float | None) -> str | None:
    """``Fri, 18 Oct 2019 17:00:00 +0000``; nothing for nothing."""
    return None if moment_s is None else format_datetime(datetime.fromtimestamp(int(moment_s), UTC))


def iso(moment_s: float | None) -> str | None:
    """ISO 8601 with milliseconds, for the witness record."""
    if moment_s is None:
        return None
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_filter(text: str) -> float:
    """Seconds since the epoch of ``YYYY-MM-DD`` or an ISO 8601 date and time (UTC unless it says otherwise).

    Raises ValueError when it is neither.
    """
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
