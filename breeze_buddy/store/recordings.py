"""Recordings: what Twilio says of them, and where our copy is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update

from breeze_buddy.domain.recording import RecordingFacts, RecordingStatus
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import recordings


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording. `stored_as` is its path under RECORDINGS_URL once our copy is complete."""

    sid: str
    call_id: str
    status: RecordingStatus | None
    duration_s: int | None
    channels: int | None
    stored_as: str | None
    size_bytes: int | None


_KNOWN = {str(status): status for status in RecordingStatus}


def _recording(row: Row[Any]) -> Recording:
    return Recording(
        sid=row.sid,
        call_id=row.call_id,
        status=_KNOWN.get(row.status),
        duration_s=row.duration_s,
        channels=row.channels,
        stored_as=row.stored_as,
        size_bytes=row.size_bytes,
    )


async def note(tx: Transaction, call_id: str, facts: RecordingFacts) -> None:
    """Add facts of a recording; what is final stays final whatever comes later."""
    there = (await tx.execute(select(recordings).where(recordings.c.sid == facts.sid))).first()
    values = {
        name: value
        for name, value in (
            ("status", str(facts.status) if facts.status else None),
            ("url", facts.url),
            ("duration_s", facts.duration_s),
            ("channels", facts.channels),
            ("started_at", facts.started_at),
            ("error_code", facts.error_code),
        )
        if value is not None
    }
    if there is None:
        await tx.execute(insert(recordings).values(sid=facts.sid, call_id=call_id, **{"status": "unknown", **values}))
        return
    known = _KNOWN.get(there.status)
    if known is not None and known.is_final:
        values.pop("status", None)
    if values:
        await tx.execute(update(recordings).where(recordings.c.sid == facts.sid).values(**values))


async def of_call(tx: Transaction, call_id: str) -> list[Recording]:
    """The recordings of a call, in the order they began."""
    rows = await tx.execute(
        select(recordings).where(recordings.c.call_id == call_id).order_by(recordings.c.started_at, recordings.c.sid)
    )
    return [_recording(row) for row in rows]


async def mark_stored(tx: Transaction, sid: str, *, stored_as: str, size_bytes: int, now: datetime) -> None:
    """Our copy is complete."""
    await tx.execute(
        update(recordings)
        .where(recordings.c.sid == sid)
        .values(stored_as=stored_as, size_bytes=size_bytes, stored_at=now)
    )
