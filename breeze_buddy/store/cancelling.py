"""Cancelling leads: at once where nothing is on, otherwise asked for, so that the lead's workflow does it."""

from datetime import datetime

from sqlalchemy import insert, select, update

from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.attempts import withdraw
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import lead_history, leads


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
        .values(cancel_requested_at=lead.cancel_requested_at or now, cancel_hang_up=hang_up or lead.cancel_hang_up)
    )
    return True


async def cancel_campaign_leads(tx: Transaction, campaign_id: str, *, hang_up: bool, now: datetime) -> int:
    """Finish all leads of a campaign that never had a line, and ask for the others. Returns how many were finished."""
    untouched = (leads.c.campaign_id == campaign_id, leads.c.status == LeadStatus.BACKLOG, leads.c.grants == 0)
    done = (
        await tx.scalars(
            update(leads)
            .where(*untouched)
            .values(status=LeadStatus.FINISHED, outcome=Outcome.CANCELLED, finished_at=now)
            .returning(leads.c.id)
        )
    ).all()
    if done:
        # The history is of exactly the rows that were changed: a line may be granted to others meanwhile.
        change = {"status": LeadStatus.FINISHED, "reason": "the campaign was cancelled", "at": now}
        await tx.execute(insert(lead_history), [{"lead_id": lead_id, **change} for lead_id in done])
    open_leads = (leads.c.campaign_id == campaign_id, leads.c.status != LeadStatus.FINISHED)
    await tx.execute(
        update(leads)
        .where(*open_leads, leads.c.cancel_requested_at.is_(None))
        .values(cancel_requested_at=now, cancel_hang_up=hang_up)
    )
    if hang_up:  # who let calls end first may think better of it
        await tx.execute(update(leads).where(*open_leads).values(cancel_hang_up=True))
    if done:
        await lead_rows.close(tx, campaign_id, len(done))
    return len(done)


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


async def withdraw_orphan(tx: Transaction, lead_id: str, *, now: datetime, reason: str) -> str | None:
    """Finish a cancelled lead that has no workflow (any more).

    One that holds a line may have a live call: then nothing is changed, and the id of its call is returned, so
    that a workflow is started for it, which hangs up.
    """
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    if lead.status == LeadStatus.PROCESSING:
        return str(lead.call_id)
    await withdraw(tx, lead_id, now=now, reason=reason)
    return None
