"""Where a lead stands, as its workflow is told, and how a lead is taken out that no call is on for."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, update

from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import Standing
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import campaigns as campaign_rows
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import leads


async def withdraw(tx: Transaction, lead_id: str, *, now: datetime, reason: str) -> Standing:
    """Finish a lead that no call is on for; one that has its line is finished when that ends. Raises NotFound."""
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    if lead.cancel_requested_at is None and lead.status != LeadStatus.FINISHED:
        await tx.execute(update(leads).where(leads.c.id == lead_id).values(cancel_requested_at=now))
    if lead.status in (LeadStatus.BACKLOG, LeadStatus.RETRY):
        expired = lead.cancel_requested_at is None and lead.expires_at is not None and lead.expires_at <= now
        outcome = Outcome.EXPIRED if expired else Outcome.CANCELLED
        await lead_rows.move(tx, lead, LeadStatus.FINISHED, now=now, reason=reason, outcome=outcome)
    return await standing_of(tx, lead_id)


async def standing_of(tx: Transaction, lead_id: str) -> Standing:
    """Where a lead stands. Raises NotFound."""
    lead = await lead_rows.row_of(tx, lead_id)
    return standing_by(lead, notify=await _has_webhook(tx, lead))


def standing_by(lead: Row[Any], *, notify: bool = False) -> Standing:
    return Standing(
        status=LeadStatus(lead.status),
        outcome=Outcome(lead.outcome) if lead.outcome else None,
        attempts=lead.attempts,
        due_at=lead.due_at,
        notify=notify,
    )


async def _has_webhook(tx: Transaction, lead: Row[Any]) -> bool:
    _, template = await campaign_rows.with_template(tx, lead.campaign_id)
    return template.webhook_url is not None
