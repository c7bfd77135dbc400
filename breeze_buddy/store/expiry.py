"""Leads whose `expires_at` has passed while they waited: finished as EXPIRED, in bulk where no workflow knows them."""

from datetime import datetime

from sqlalchemy import insert, select, update

from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.backlog_indexes import EXPIRING
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import lead_history, leads

OVER = "its time was over before it was called"


async def campaigns_with_expired(tx: Transaction, *, now: datetime) -> list[str]:
    """Campaigns that have waiting leads whose time is over."""
    found = await tx.scalars(
        select(leads.c.campaign_id).where(EXPIRING, leads.c.expires_at <= now).distinct().order_by(leads.c.campaign_id)
    )
    return [str(campaign_id) for campaign_id in found]


async def finish_expired(tx: Transaction, campaign_id: str, *, now: datetime, limit: int = 500) -> int:
    """Finish leads of a campaign that never had a line and whose time is over; how many, at most `limit`."""
    untouched = (leads.c.status == LeadStatus.BACKLOG) & (leads.c.grants == 0) & (leads.c.campaign_id == campaign_id)
    # Asked for first: PostgreSQL may look for a page within an UPDATE once for each row of the table. What somebody
    # else has in hand is left to them.
    page = select(leads.c.id).where(EXPIRING, leads.c.expires_at <= now, untouched).limit(limit)
    done = (await tx.scalars(page.with_for_update(skip_locked=True))).all()
    if done:
        values = {"status": LeadStatus.FINISHED, "outcome": Outcome.EXPIRED, "finished_at": now}
        await tx.execute(update(leads).where(leads.c.id.in_(done)).values(**values))
        change = {"status": LeadStatus.FINISHED, "reason": OVER, "at": now}
        await tx.execute(insert(lead_history), [{"lead_id": lead_id, **change} for lead_id in done])
        await lead_rows.close(tx, campaign_id, len(done))
    return len(done)


async def expired_with_workflow(
    tx: Transaction, campaign_id: str, *, now: datetime, after: str = "", limit: int = 500
) -> list[str]:
    """Waiting leads whose time is over and whose workflow has to be told, in the order of their ids."""
    found = await tx.scalars(
        select(leads.c.id)
        .where(EXPIRING, leads.c.expires_at <= now, leads.c.campaign_id == campaign_id)
        .where(leads.c.grants > 0, leads.c.id > after)
        .order_by(leads.c.id)
        .limit(limit)
    )
    return [str(lead_id) for lead_id in found]
