"""A campaign of leads that were pushed alone has a workflow only while it has to wait for a time."""

from breeze_buddy.activities.signals import Signals
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import LEADS_ADDED
from breeze_buddy.store import campaigns, leads
from breeze_buddy.store.database import Database
from breeze_buddy.store.line_pool import has_daily_cap


async def wait_for_next_day(database: Database, signals: Signals, lead_id: str) -> None:
    """Have a standing campaign's workflow wait, if a daily cap may keep this lead from a line until the day is over.
    Raises Unreachable."""
    async with database.read() as tx:
        lead = await leads.get(tx, lead_id)
        if lead.status is not LeadStatus.BACKLOG:
            return
        campaign = await campaigns.without_numbers(tx, lead.campaign_id)
        if not campaign.standing or not await has_daily_cap(tx, campaign.id):
            return
    await signals.wake_campaign(campaign, LEADS_ADDED)
