"""The activity that ends an attempt: facts to a decision, the line to the next lead."""

from temporalio import activity

from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.signals import Signals
from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import AttemptEnd, CallEvent
from breeze_buddy.store import attempts, campaigns
from breeze_buddy.store.campaigns import Tally
from breeze_buddy.store.database import Database

# A campaign's workflow hears of its progress at each twentieth of its leads, not at each lead.
_PROGRESS_STEPS = 20


class CallActivities:
    """Bound to the clients of one worker process."""

    def __init__(self, database: Database, dispatcher: Dispatcher, signals: Signals) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._signals = signals

    @activity.defn
    async def finish_attempt(self, event: CallEvent, wait_for_conversation: bool) -> AttemptEnd:
        """Free the line, decide about the lead, and give the line to the next one.

        Run twice it decides once and sends its signals again.
        """
        async with self._database.write() as tx:
            end, campaign_id = await attempts.finish_attempt(
                tx, event.call_id, now=self._database.now(), wait_for_conversation=wait_for_conversation
            )
            tally = await campaigns.tally(tx, campaign_id)
        await self._dispatcher.dispatch()
        if end.status is LeadStatus.FINISHED:
            await _tell(self._signals, tally)
        if end.suspect and tally.status is CampaignStatus.PAUSED and tally.workflow_id is not None:
            # A campaign that was paused by itself says so where people look at it in Temporal.
            await self._signals.to_workflow(tally.workflow_id, messages.PROGRESSED)
        return end


async def tell_campaign(database: Database, signals: Signals, campaign_id: str) -> None:
    """After a lead has finished: signal its campaign when that was the last one, or a step of its progress."""
    async with database.read() as tx:
        tally = await campaigns.tally(tx, campaign_id)
    await _tell(signals, tally)


async def _tell(signals: Signals, campaign: Tally) -> None:
    if campaign.workflow_id is None:
        return
    total = campaign.total_leads
    done = total - campaign.open_leads
    if campaign.open_leads == 0:
        await signals.to_workflow(campaign.workflow_id, messages.LEADS_FINISHED)
    elif done * _PROGRESS_STEPS // total != (done - 1) * _PROGRESS_STEPS // total:
        await signals.to_workflow(campaign.workflow_id, messages.PROGRESSED)
