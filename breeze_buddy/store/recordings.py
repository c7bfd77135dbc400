"""Recordings: what Twilio says of them, and where our copy is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from breeze_buddy.domain.recording import RecordingFacts, RecordingStatus
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import calls, campaigns, recordings, templates


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording. `stored_as` is its path under RECORDINGS_URL once our copy is complete; `deleted_at` is when that
    copy was deleted."""

    sid: str
    call_id: str
    status: RecordingStatus | None
    duration_s: int | None
    channels: int | None
    stored_as: str | None
    size_bytes: int | None
    stored_at: datetime | None
    deleted_at: datetime | None


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
        stored_at=row.stored_at,
        deleted_at=row.deleted_at,
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


_OF_CALL = (
    select(recordings)
    .where(recordings.c.call_id == bindparam("of_call"))
    .order_by(recordings.c.started_at, recordings.c.sid)
)
_CHANGED = update(recordings).where(recordings.c.sid == bindparam("of_recording"))


async def of_call(tx: Transaction, call_id: str) -> list[Recording]:
    """The recordings of a call, in the order they began."""
    return [_recording(row) for row in await tx.execute(_OF_CALL, {"of_call": call_id})]


async def mark_stored(tx: Transaction, sid: str, *, stored_as: str, size_bytes: int, now: datetime) -> None:
    """Our copy is complete."""
    await tx.execute(
        _CHANGED, {"of_recording": sid, "stored_as": stored_as, "size_bytes": size_bytes, "stored_at": now}
    )


async def mark_deleted(tx: Transaction, sid: str, *, now: datetime) -> None:
    """Our copy is gone; where it was and how long it was stays known."""
    await tx.execute(update(recordings).where(recordings.c.sid == sid).values(deleted_at=now))


async def mark_deleted_at_provider(tx: Transaction, sid: str, *, now: datetime) -> None:
    """Twilio's recording is gone."""
    await tx.execute(update(recordings).where(recordings.c.sid == sid).values(provider_deleted_at=now))


async def expired(
    tx: Transaction, *, now: datetime, after: Recording | None = None, limit: int = 100
) -> list[Recording]:
    """Copies of ours that are older than their template keeps them, the oldest first; a page, from `after` on."""
    found: list[Row[Any]] = []
    for template_id, definition in await _policies(tx):
        days = definition.get("recording_days")
        if days is None:
            continue
        over = recordings.c.deleted_at.is_(None) & (recordings.c.stored_at <= now - timedelta(days=days))
        found += await tx.execute(_stored_by(template_id, after).where(over).limit(limit))
    return _page(found, limit)


async def to_delete_at_provider(
    tx: Transaction, *, sid: str | None = None, after: Recording | None = None, limit: int = 100
) -> list[Recording]:
    """Recordings that are still at Twilio, though we have a copy and their template wants them deleted there; the
    oldest first. `sid`: only this one. A page, from `after` on."""
    if sid is not None and not await tx.scalar(_TO_BE_DELETED, {"of_recording": sid}):
        return []
    found: list[Row[Any]] = []
    for template_id, definition in await _policies(tx, sid=sid):
        if not definition.get("delete_recording_at_provider"):
            continue
        wanted = _stored_by(template_id, after).where(recordings.c.provider_deleted_at.is_(None)).limit(limit)
        found += await tx.execute(wanted if sid is None else wanted.where(recordings.c.sid == sid))
    return _page(found, limit)


def _page(found: list[Row[Any]], limit: int) -> list[Recording]:
    return [_recording(row) for row in sorted(found, key=lambda row: (row.stored_at, row.sid))[:limit]]


# The template of a call: its own, when it came to us; its campaign's, when we made it.
_template_id = func.coalesce(calls.c.template_id, campaigns.c.template_id)
_WITH_CALL = recordings.join(calls, calls.c.id == recordings.c.call_id).outerjoin(
    campaigns, campaigns.c.id == calls.c.campaign_id
)
# Made once: it is asked for every recording.
_TO_BE_DELETED = (
    select(templates.c.definition["delete_recording_at_provider"])
    .select_from(_WITH_CALL.join(templates, templates.c.id == _template_id))
    .where(recordings.c.sid == bindparam("of_recording"))
)


def _stored_by(template_id: str, after: Recording | None) -> Select[Any]:
    """The recordings of a template that we have, or had, a copy of; the oldest first."""
    there = (
        select(recordings)
        .select_from(_WITH_CALL)
        .where(_template_id == template_id, recordings.c.stored_at.is_not(None))
        .order_by(recordings.c.stored_at, recordings.c.sid)
    )
    if after is None:
        return there
    at, sid = recordings.c.stored_at, recordings.c.sid
    return there.where((at > after.stored_at) | ((at == after.stored_at) & (sid > after.sid)))


async def _policies(tx: Transaction, *, sid: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """(id, definition) of all templates, or of the one that the recording `sid` was made by."""
    wanted = select(templates.c.id, templates.c.definition)
    if sid is not None:
        own = select(_template_id).select_from(_WITH_CALL).where(recordings.c.sid == sid)
        wanted = wanted.where(templates.c.id == own.scalar_subquery())
    return [(row.id, row.definition) for row in await tx.execute(wanted)]
