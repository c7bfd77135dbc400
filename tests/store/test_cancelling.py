"""Cancelling leads and campaigns: what ends at once, and what is asked for."""

from datetime import timedelta

import pytest

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.errors import IllegalTransition
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import campaigns, cancelling
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.standing import withdraw
from tests.store.stage import Stage, a_template, person


async def asked(stage: Stage, campaign_id: str | None = None) -> dict[str, bool]:
    async with stage.database.read() as tx:
        return dict(await cancelling.asked_to_cancel(tx, campaign_id=campaign_id))


async def test_a_lead_that_never_had_a_line_is_finished_at_once(stage: Stage) -> None:
    campaign = await stage.campaign()
    lead_id = await stage.lead(campaign)
    assert not await stage.cancel(lead_id)
    lead = await stage.read_lead(lead_id)
    assert (lead.status, lead.outcome) == (LeadStatus.FINISHED, Outcome.CANCELLED)
    assert (await stage.read_campaign(campaign)).open_leads == 0
    await stage.check()
    before = await stage.everything()
    assert not await stage.cancel(lead_id)
    assert await stage.everything() == before


async def test_a_lead_with_a_workflow_is_asked_for_and_found_until_it_has_finished(stage: Stage) -> None:
    await stage.number()
    lead_id = await stage.lead(await stage.campaign())
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    assert await stage.cancel(lead_id, hang_up=False)
    assert await asked(stage) == {lead_id: False}
    async with stage.database.read() as tx:
        assert await cancelling.asked_to_cancel(tx, older_than=stage.now) == []
        assert len(await cancelling.asked_to_cancel(tx, older_than=stage.now + timedelta(seconds=1))) == 1
    # Asked again, with another wish for its call.
    assert await stage.cancel(lead_id, hang_up=True)
    assert await asked(stage) == {lead_id: True}
    await stage.end(grant.call_id, CallStatus.COMPLETED)
    assert (await stage.finish(grant.call_id)).status is LeadStatus.FINISHED
    assert await asked(stage) == {}
    await stage.check()


async def test_nobody_is_cancelled_that_is_not_there(stage: Stage) -> None:
    with pytest.raises(NotFound, match="lead"):
        await stage.cancel("nobody")


async def test_a_lead_in_cooldown_is_withdrawn_by_its_workflow(stage: Stage) -> None:
    await stage.number()
    lead_id = await stage.lead(await stage.campaign(template=a_template(retry={"cooldown": 600})))
    await stage.attempt(CallStatus.BUSY)
    assert await stage.cancel(lead_id)
    async with stage.database.write() as tx:
        standing = await withdraw(tx, lead_id, now=stage.now, reason="cancelled")
    assert (standing.status, standing.outcome) == (LeadStatus.FINISHED, Outcome.CANCELLED)
    before = await stage.everything()
    async with stage.database.write() as tx:
        assert await withdraw(tx, lead_id, now=stage.now, reason="cancelled") == standing
    assert await stage.everything() == before
    await stage.check()


async def test_a_lead_on_the_phone_is_not_withdrawn_under_its_call(stage: Stage) -> None:
    await stage.number()
    lead_id = await stage.lead(await stage.campaign())
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    async with stage.database.write() as tx:
        standing = await withdraw(tx, lead_id, now=stage.now, reason="cancelled")
    assert standing.status is LeadStatus.PROCESSING
    assert await stage.leased() == 1
    await stage.end(grant.call_id, CallStatus.BUSY)
    end = await stage.finish(grant.call_id)
    assert (end.status, end.outcome) == (LeadStatus.FINISHED, Outcome.CANCELLED)


async def test_a_cancelled_campaign_finishes_untouched_leads_and_asks_for_the_others(stage: Stage) -> None:
    await stage.number(channels=2)
    campaign = await stage.campaign(template=a_template(retry={"cooldown": 600}))
    other = await stage.campaign("other")
    lead_ids = await stage.leads(campaign, [person(n) for n in range(5)])
    live, ended = await stage.grant()
    bystander = await stage.lead(other, person(50))
    await stage.dial(live.call_id)
    await stage.dial(ended.call_id)
    await stage.end(ended.call_id, CallStatus.BUSY)
    assert (await stage.finish(ended.call_id)).status is LeadStatus.RETRY
    assert await stage.cancel_campaign(campaign) == [3, 2]
    await stage.check()
    assert set(await asked(stage, campaign.id)) == {live.lead_id, ended.lead_id}
    assert (await stage.read_campaign(campaign)).open_leads == 2
    assert (await stage.read_lead(bystander)).status is LeadStatus.BACKLOG
    assert await asked(stage, other.id) == {}
    for lead_id in set(lead_ids) - {live.lead_id, ended.lead_id}:
        assert (await stage.read_lead(lead_id)).outcome is Outcome.CANCELLED
        assert await stage.statuses(lead_id) == ["BACKLOG", "FINISHED"]
    # A second run of the activity does nothing.
    before = await stage.everything()
    assert await stage.cancel_campaign(campaign) == []
    assert await stage.everything() == before


async def orphan(stage: Stage, lead_id: str) -> str | None:
    async with stage.database.write() as tx:
        return await cancelling.withdraw_orphan(tx, lead_id, now=stage.now, reason="cancelled")


async def test_a_cancelled_lead_without_a_workflow_is_finished(stage: Stage) -> None:
    await stage.number()
    lead_id = await stage.lead(await stage.campaign(template=a_template(retry={"cooldown": 600})))
    await stage.attempt(CallStatus.BUSY)
    await stage.cancel(lead_id)
    for _ in range(2):
        assert await orphan(stage, lead_id) is None
        assert (await stage.read_lead(lead_id)).outcome is Outcome.CANCELLED
        await stage.check()


async def test_a_call_that_may_be_live_is_not_forgotten_with_its_workflow(stage: Stage) -> None:
    await stage.number()
    lead_id = await stage.lead(await stage.campaign())
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    await stage.cancel(lead_id)
    before = await stage.everything()
    # The line stays with the call, and whoever asked is told which call has to be hung up first.
    assert await orphan(stage, lead_id) == grant.call_id
    assert await stage.everything() == before


async def test_progress_counts_what_is_there(stage: Stage) -> None:
    await stage.number(channels=2)
    campaign = await stage.campaign()
    lead_ids = await stage.leads(campaign, [person(n) for n in range(4)])
    await stage.cancel(lead_ids[-1])
    await stage.grant(limit=1)
    async with stage.database.read() as tx:
        progress = await campaigns.progress(tx, campaign.id, now=stage.now)
    assert progress.leads == {"BACKLOG": 2, "PROCESSING": 1, "RETRY": 0, "FINISHED": 1}
    assert (progress.outcomes, progress.live_calls) == ({"CANCELLED": 1}, 1)


async def test_a_campaign_that_ended_stays_ended(stage: Stage) -> None:
    campaign = await stage.campaign(status=CampaignStatus.CANCELLED)
    for wanted in (CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.COMPLETED):
        with pytest.raises(IllegalTransition, match=f"CANCELLED to {wanted}"):
            await stage.set_status(campaign.id, wanted)
    assert (await stage.set_status(campaign.id, CampaignStatus.CANCELLED)).status is CampaignStatus.CANCELLED
