"""Cancelling leads: at once where nothing is on, otherwise asked for, so that the lead's workflow does it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, literal, select, update

from breeze_buddy.domain.call import Progress
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.attempts import withdraw
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.numbers import free_line
from breeze_buddy.store.schema import calls, lead_history, leads


async def cancel_lead(tx: Transaction, lead_id: str, *, hang_up: bool, now: datetime) -> bool:
    """Cancel one lead. True when its workflow has to be told. Raises NotFound."""
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    if lead.status == LeadStatus.FINISHED:
        return False
    if lead.grants == 0:
        await withdraw(tx, lead_id, now=now, reason="cancelled by request")
        return False
    await tx.execute(
        update(leads)
        .where(leads.c.id == lead_id)
        .values(cancel_requested_at=lead.cancel_requested_at or now, cancel_hang_up=hang_up)
    )
    return True


async def cancel_campaign_leads(tx: Transaction, campaign_id: str, *, hang_up: bool, now: datetime) -> int:
    """Finish all leads of a campaign that never had a line, and ask for the others. Returns how many were finished."""
    untouched = (leads.c.campaign_id == campaign_id, leads.c.status == LeadStatus.BACKLOG, leads.c.grants == 0)
    await tx.execute(
        insert(lead_history).from_select(
            ["lead_id", "status", "reason", "at"],
            select(
                leads.c.id,
                *_literals(LeadStatus.FINISHED, "the campaign was cancelled", now),
            ).where(*untouched),
        )
    )
    done = await tx.execute(
        update(leads).where(*untouched).values(status=LeadStatus.FINISHED, outcome=Outcome.CANCELLED, finished_at=now)
    )
    await tx.execute(
        update(leads)
        .where(
            leads.c.campaign_id == campaign_id,
            leads.c.status != LeadStatus.FINISHED,
            leads.c.cancel_requested_at.is_(None),
        )
        .values(cancel_requested_at=now, cancel_hang_up=hang_up)
    )
    if done.rowcount:
        await lead_rows.close(tx, campaign_id, done.rowcount)
    return done.rowcount


def _literals(status: LeadStatus, reason: str, now: datetime) -> list[ColumnElement[Any]]:
    return [
        literal(str(status), lead_history.c.status.type),
        literal(reason, lead_history.c.reason.type),
        literal(now, lead_history.c.at.type),
    ]


async def asked_to_cancel(
    tx: Transaction, *, campaign_id: str | None = None, older_than: datetime | None = None, limit: int = 200
) -> list[tuple[str, bool]]:
    """Leads that wait to be cancelled, and whether their live call is to be hung up."""
    query = (
        select(leads.c.id, leads.c.cancel_hang_up)
        .where(leads.c.cancel_requested_at.is_not(None), leads.c.status != "FINISHED")
        .order_by(leads.c.cancel_requested_at)
        .limit(limit)
    )
    if campaign_id is not None:
        query = query.where(leads.c.campaign_id == campaign_id)
    if older_than is not None:
        query = query.where(leads.c.cancel_requested_at < older_than)
    return [(row.id, row.cancel_hang_up) for row in await tx.execute(query)]


async def withdraw_orphan(tx: Transaction, lead_id: str, *, now: datetime, reason: str) -> None:
    """Finish a cancelled lead that has no workflow (any more), and free the line it may still hold."""
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    if lead.status == LeadStatus.PROCESSING:
        await free_line(tx, lead.call_id)
        await tx.execute(
            update(calls).where(calls.c.id == lead.call_id).values(progress=Progress.ENDED, settled_at=now)
        )
        await lead_rows.move(tx, lead, LeadStatus.FINISHED, now=now, reason=reason, outcome=Outcome.CANCELLED)
        return
    await withdraw(tx, lead_id, now=now, reason=reason)
