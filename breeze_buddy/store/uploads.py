"""Uploads of leads: how far each is, and the rows that were not taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, insert, select, update

from breeze_buddy.domain.upload import Upload, UploadStatus
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.lookup import present, unforeseen
from breeze_buddy.store.schema import campaigns, leads, upload_refusals, uploads

# Whoever reads a file writes something down long before that.
STALLED = timedelta(minutes=5)
_FIELD_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line of the file that is no lead (the first line is 1), the field and the reason."""

    line: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """What of some phones and request ids a campaign has already."""

    phones: set[str]
    request_ids: set[str]


async def begin(tx: Transaction, campaign_id: str, *, file_name: str | None, now: datetime) -> str:
    """Write down that a file is being read; returns the upload's id. Raises NotFound for the campaign."""
    if await tx.scalar(select(campaigns.c.id).where(campaigns.c.id == campaign_id)) is None:
        raise NotFound("campaign", campaign_id)
    upload_id = str(uuid4())
    counts = dict.fromkeys(("rows", "accepted", "duplicates", "refused"), 0)
    await tx.execute(
        insert(uploads).values(
            id=upload_id,
            campaign_id=campaign_id,
            status=UploadStatus.RUNNING,
            file_name=file_name,
            created_at=now,
            updated_at=now,
            **counts,
        )
    )
    return upload_id


async def count(
    tx: Transaction,
    upload_id: str,
    *,
    accepted: int,
    duplicates: int,
    refused: int,
    kept: Sequence[Refusal],
    file_name: str | None,
    now: datetime,
) -> None:
    """Add a page to the counts, and keep these lines for whoever asks what was not taken."""
    if kept:
        await tx.execute(
            insert(upload_refusals),
            [
                {"upload_id": upload_id, "line": r.line, "field": r.field[:_FIELD_CHARACTERS], "reason": r.reason}
                for r in kept
            ],
        )
    values: dict[str, Any] = {
        "rows": uploads.c.rows + accepted + duplicates + refused,
        "accepted": uploads.c.accepted + accepted,
        "duplicates": uploads.c.duplicates + duplicates,
        "refused": uploads.c.refused + refused,
        "updated_at": now,
    }
    if file_name is not None:
        values["file_name"] = file_name
    await tx.execute(update(uploads).where(uploads.c.id == upload_id).values(**values))


async def end(tx: Transaction, upload_id: str, *, error: str | None, now: datetime) -> None:
    """The file was read to its end, or, with an `error`, was not."""
    status = UploadStatus.DONE if error is None else UploadStatus.FAILED
    values = {"status": status, "error": error, "updated_at": now, "ended_at": now}
    await tx.execute(update(uploads).where(uploads.c.id == upload_id).values(**values))


async def known_among(tx: Transaction, campaign_id: str, *, phones: Sequence[str], request_ids: Sequence[str]) -> Known:
    """Which of these the campaign has leads with."""
    theirs = leads.c.campaign_id == unforeseen(campaign_id)
    return Known(
        phones=await present(tx, leads.c.phone, phones, theirs),
        request_ids=await present(tx, leads.c.request_id, request_ids, theirs),
    )


async def get(tx: Transaction, upload_id: str, *, now: datetime) -> Upload:
    """Raises NotFound."""
    row = (await tx.execute(select(uploads).where(uploads.c.id == upload_id))).first()
    if row is None:
        raise NotFound("upload", upload_id)
    return _upload(row, now)


async def listed(tx: Transaction, campaign_id: str, *, limit: int, now: datetime) -> list[Upload]:
    """The uploads of a campaign, the newest first."""
    query = (
        select(uploads)
        .where(uploads.c.campaign_id == campaign_id)
        .order_by(uploads.c.created_at.desc(), uploads.c.id)
        .limit(limit)
    )
    return [_upload(row, now) for row in await tx.execute(query)]


def _upload(row: Row[Any], now: datetime) -> Upload:
    fields = row._asdict()
    if row.status == UploadStatus.RUNNING and row.updated_at < now - STALLED:
        # The process that read it has died; nobody else could write that down.
        fields |= {
            "status": UploadStatus.FAILED,
            "error": "the server that read the file stopped: send the file again, it brings the rest",
            "ended_at": row.updated_at,
        }
    return Upload.model_validate(fields)


async def refusals(tx: Transaction, upload_id: str, *, after: int, limit: int) -> list[Refusal]:
    """Lines that were not taken, in their order, those after the line `after`."""
    query = (
        select(upload_refusals)
        .where(upload_refusals.c.upload_id == upload_id, upload_refusals.c.line > after)
        .order_by(upload_refusals.c.line)
        .limit(limit)
    )
    return [Refusal(row.line, row.field, row.reason) for row in await tx.execute(query)]
