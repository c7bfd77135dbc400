"""Twilio's words in ours: the fields of its REST answers and callbacks, read without ever failing on a new word."""

import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus
from breeze_buddy.domain.recording import RecordingFacts, RecordingStatus

log = logging.getLogger(__name__)


def call_status(word: str) -> CallStatus | None:
    """None for a word that we do not know."""
    try:
        return CallStatus(word)
    except ValueError:
        return None


def recording_status(word: str) -> RecordingStatus | None:
    try:
        return RecordingStatus(word)
    except ValueError:
        return None


def answered_by(word: str) -> AnsweredBy | None:
    """Twilio's finer words (`machine_start`, `machine_end_beep` …) folded into ours; None for an unknown one."""
    if word == "machine" or word.startswith("machine_"):
        return AnsweredBy.MACHINE
    try:
        return AnsweredBy(word)
    except ValueError:
        return None


def whole_number(text: str) -> int | None:
    """A count or a code; None unless it is plain digits. Twilio's -1 for 'not known yet' is None too."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def moment(text: str) -> datetime | None:
    """An RFC 2822 date (`Tue, 21 Jul 2026 10:00:00 +0000`) as an aware time in UTC."""
    try:
        parsed = parsedate_to_datetime(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def call_facts(call: Any) -> CallFacts:
    """The facts in a Call of the REST API, a `CallInstance`."""
    status = call_status(call.status or "")
    if status is None:
        log.warning("Twilio says that call %s is %r, which is not a status we know", call.sid, call.status)
    ended = status is not None and status.is_terminal
    return CallFacts(
        status=status,
        sid=call.sid,
        initiated_at=call.start_time,
        ended_at=call.end_time,
        duration_s=whole_number(call.duration or "") if ended else None,
        answered_by=answered_by(call.answered_by or ""),
    )


def recording_facts(recording: Any, url: str) -> RecordingFacts:
    """The facts in a Recording of the REST API, a `RecordingInstance`."""
    return RecordingFacts(
        sid=recording.sid,
        call_sid=recording.call_sid,
        status=recording_status(recording.status or ""),
        url=url,
        duration_s=whole_number(recording.duration or ""),
        channels=recording.channels,
        started_at=recording.start_time,
        error_code=recording.error_code,
    )
