"""Cancelling leads: at once where nothing is on, otherwise asked for, so that the lead's workflow does it."""

from datetime import datetime

from sqlalchemy import ColumnElement, Integer, Select, bindparam, insert, select, update

from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.database import Transaction, serialise_adding
from breeze_buddy.store.schema import lead_history, leads
from breeze_buddy.store.standing import withdraw

PAGE = 1000
"""How many leads of a campaign are cancelled in one transaction."""


def _page(*conditions: ColumnElement[bool]) -> Select[str]:
    """Leads of a campaign, locked. Those that somebody else has in hand are waited for and looked at once more: a
    lead that is granted a line in this moment is not forgotten."""
    return (
        select(leads.c.id)
        .where(leads.c.campaign_id == bindparam("of_campaign"), *conditions)
        .limit(bindparam("count", type_=Integer))
        .with_for_update(key_share=True)
    )


# Without `<> FINISHED`, which no index is read by: most leads of a campaign that is cancelled are.
_OPEN = leads.c.status.in_([status for status in LeadStatus if status is not LeadStatus.FINISHED])
_UNTOUCHED = _page(leads.c.status == LeadStatus.BACKLOG, leads.c.grants == 0)
_NOT_ASKED = _page(_OPEN, leads.c.cancel_requested_at.is_(None))
_LET_FINISH = _page(_OPEN, leads.c.cancel_hang_up.is_(False))
_CHANGED = update(leads).where(leads.c.id.in_(bindparam("of_leads", expanding=True)))


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


async def cancel_page(tx: Transaction, campaign_id: str, *, hang_up: bool, now: datetime, limit: int = PAGE) -> int:
    """Cancel up to `limit` leads of a campaign that is CANCELLED; how many there were, 0 when there is none left.

    Those that never had a line are finished. After them the others are asked for: each has a workflow to be told.
    What is done is not looked for again, so pages can be repeated, broken off and gone on with.
    """
    # Nobody adds leads in the same moment, nor cancels others of them in another order.
    await serialise_adding(tx, campaign_id)
    found = (await tx.scalars(_UNTOUCHED, {"of_campaign": campaign_id, "count": limit})).all()
    if found:
        done = {"status": LeadStatus.FINISHED, "outcome": Outcome.CANCELLED, "finished_at": now}
        await tx.execute(_CHANGED, {"of_leads": found, **done})
        change = {"status": LeadStatus.FINISHED, "reason": "the campaign was cancelled", "at": now}
        await tx.execute(insert(lead_history), [{"lead_id": lead_id, **change} for lead_id in found])
        await lead_rows.close(tx, campaign_id, len(found))
        return len(found)
    found = (await tx.scalars(_NOT_ASKED, {"of_campaign": campaign_id, "count": limit})).all()
    if found:
        await tx.execute(_CHANGED, {"of_leads": found, "cancel_requested_at": now, "cancel_hang_up": hang_up})
    elif hang_up:  # who let calls end first may think better of it
        found = (await tx.scalars(_LET_FINISH, {"of_campaign": campaign_id, "count": limit})).all()
        if found:
            await tx.execute(_CHANGED, {"of_leads": found, "cancel_hang_up": True})
    return len(found)


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
