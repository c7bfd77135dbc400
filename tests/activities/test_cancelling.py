"""A campaign that was completed in the moment in which somebody cancelled it."""

from unittest.mock import Mock

from temporalio.testing import ActivityEnvironment

from breeze_buddy.activities.campaigns import CampaignActivities, Cancelling
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import CancelRequest
from breeze_buddy.store import leads
from breeze_buddy.store.database import Database
from tests.store.stage import Stage


async def test_who_is_there_when_it_was_completed_is_not_cancelled(database: Database) -> None:
    stage = Stage(database)
    await stage.number()
    campaign = await stage.campaign()
    lead_id = await stage.lead(campaign)
    await stage.set_status(campaign.id, CampaignStatus.COMPLETED)
    nobody_is_told = Mock(spec=[])
    activities = CampaignActivities(database, nobody_is_told, nobody_is_told, default_number=None)
    wanted = Cancelling(campaign.id, CancelRequest(reason="enough", hang_up=True))
    progress = await ActivityEnvironment().run(activities.cancel_campaign, wanted)
    assert progress.status is CampaignStatus.COMPLETED
    async with database.read() as tx:
        assert (await leads.get(tx, lead_id)).status is LeadStatus.BACKLOG
