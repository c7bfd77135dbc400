"""Grants of lines to leads, as they are sent: made by dispatch, found again by the relay."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, exists, select

from breeze_buddy.domain.call import Progress
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import Grant, LeadStart
from breeze_buddy.domain.phone import mask
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import calls, campaigns, leads, templates


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant, and what its lead's workflow starts with."""

    grant: Grant
    start: LeadStart


def granted(
    call_id: str, dial_at: datetime, attempt: int, lead: Row[Any], *, campaign_id: str, name: str, template: str
) -> Granted:
    """A grant with its lead's start, from the rows of both."""
    return Granted(
        Grant(lead_id=lead.id, call_id=call_id, campaign_id=campaign_id, attempt=attempt, dial_at=dial_at),
        LeadStart(
            lead_id=lead.id,
            campaign_id=campaign_id,
            campaign_name=name,
            template_name=template,
            masked_phone=mask(lead.phone),
            dials_at_once=True,
            ends_at_once=True,
        ),
    )


async def unaccepted_grants(tx: Transaction, *, older_than: datetime, limit: int = 200) -> list[Granted]:
    """Grants that no workflow has accepted although their time has come: to be sent again."""
    late = (calls.c.progress == Progress.GRANTED, calls.c.granted_at < older_than, calls.c.dial_at < older_than)
    return await _grants(tx, *late, limit=limit)


async def grants_of_stuck_leads(
    tx: Transaction, *, overdue_since: datetime, on_since: datetime, limit: int = 200
) -> list[Granted]:
    """The last grants of leads that should have moved by now, and may have lost their workflow: in RETRY with a
    cooldown that was over at `overdue_since`, or with an attempt that was granted before `on_since` and is still on.

    A workflow that lives knows its grants and lets them pass; a new one goes on from where the lead stands.
    """
    later = calls.alias()
    newer = exists().where(later.c.lead_id == calls.c.lead_id, later.c.granted_at > calls.c.granted_at)
    overdue = (leads.c.status == LeadStatus.RETRY) & (leads.c.due_at < overdue_since) & ~newer
    still_on = (leads.c.status == LeadStatus.PROCESSING) & (leads.c.call_id == calls.c.id)
    found = await _grants(tx, overdue, limit=limit)
    return found + await _grants(tx, still_on, calls.c.granted_at < on_since, limit=limit)


async def grant_of(tx: Transaction, call_id: str) -> list[Granted]:
    """The grant of one attempt, to be sent again."""
    return await _grants(tx, calls.c.id == call_id, limit=1)


async def _grants(tx: Transaction, *conditions: ColumnElement[bool], limit: int) -> list[Granted]:
    rows = await tx.execute(
        select(calls.c.id.label("call_id"), calls.c.dial_at, calls.c.attempt, leads.c.id, leads.c.phone)
        .add_columns(campaigns.c.id.label("campaign_id"), campaigns.c.name, templates.c.name.label("template_name"))
        .select_from(calls.join(leads, calls.c.lead_id == leads.c.id))
        .join(campaigns, calls.c.campaign_id == campaigns.c.id)
        .join(templates, campaigns.c.template_id == templates.c.id)
        .where(*conditions)
        .order_by(calls.c.granted_at)
        .limit(limit)
    )
    return [
        granted(
            row.call_id,
            row.dial_at,
            row.attempt,
            row,
            campaign_id=row.campaign_id,
            name=row.name,
            template=row.template_name,
        )
        for row in rows
    ]
