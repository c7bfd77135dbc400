"""What an attempt's facts do to its lead: each row of the status table, and what stands around it."""

from datetime import timedelta
from typing import Any

import pytest

from breeze_buddy.domain.call import AnsweredBy, CallStatus, FailureClass
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.conversation import ConversationState, Ending
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import AttemptEnd, Grant
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import attempts, conversations, overview
from tests.store.stage import NOON, Stage, a_template, person

ONE_RETRY: dict[str, Any] = {"max_retries": 1, "cooldown": 600, "jitter": 0}


async def set_up(stage: Stage, **template: Any) -> str:
    await stage.number()
    return await stage.lead(await stage.campaign(template=a_template(**{"retry": ONE_RETRY, **template})))


async def answered(stage: Stage, **facts: Any) -> Grant:
    """A call that a media server took and that has ended."""
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    await stage.claim(grant.call_id, token=grant.call_id)
    await stage.end(grant.call_id, CallStatus.COMPLETED, **facts)
    return grant


async def refused(stage: Stage, failure: FailureClass, message: str = "refused") -> AttemptEnd:
    grant = await stage.grant_one()
    await stage.accept(grant.call_id)
    assert await stage.refuse(grant.call_id, failure, message=message)
    return await stage.finish(grant.call_id)


async def test_completed_finishes_the_lead(stage: Stage) -> None:
    lead_id = await set_up(stage)
    grant = await answered(stage, duration_s=31)
    await stage.report(grant.call_id)
    end = await stage.finish(grant.call_id)
    assert (end.status, end.outcome, end.attempts) == (LeadStatus.FINISHED, Outcome.COMPLETED, 1)
    assert end.recording_expected
    assert not end.recording_ready
    assert await stage.statuses(lead_id) == ["BACKLOG", "PROCESSING", "FINISHED"]
    lead = await stage.read_lead(lead_id)
    assert (lead.outcome, lead.finished_at) == (Outcome.COMPLETED, NOON)


RETRIED = {
    CallStatus.NO_ANSWER: Outcome.NO_ANSWER,
    CallStatus.BUSY: Outcome.BUSY,
    CallStatus.FAILED: Outcome.FAILED,
    CallStatus.CANCELED: Outcome.CALL_CANCELED,
}


@pytest.mark.parametrize("status", RETRIED)
async def test_a_failure_is_retried_after_the_cooldown_until_no_retry_is_left(stage: Stage, status: CallStatus) -> None:
    lead_id = await set_up(stage)
    first = await stage.attempt(status, sip_code=404)
    assert (first.status, first.outcome, first.attempts) == (LeadStatus.RETRY, None, 1)
    assert first.due_at == NOON + timedelta(minutes=10)
    assert not first.recording_expected
    assert "SIP 404" in first.reason
    assert await stage.grant() == []
    stage.pass_time(minutes=10)
    await stage.rejoin(lead_id)
    second = await stage.attempt(status)
    assert (second.status, second.outcome, second.attempts) == (LeadStatus.FINISHED, RETRIED[status], 2)
    assert await stage.statuses(lead_id) == ["BACKLOG", "PROCESSING", "RETRY", "BACKLOG", "PROCESSING", "FINISHED"]
    async with stage.database.read() as tx:
        calls = await overview.calls_of(tx, lead_id)
    assert [(call.attempt, call.status, call.counted) for call in calls] == [(1, status, True), (2, status, True)]
    await stage.check()


async def test_a_status_can_have_a_cooldown_of_its_own(stage: Stage) -> None:
    await set_up(stage, retry=ONE_RETRY | {"cooldown_by_outcome": {"BUSY": 5}})
    assert (await stage.attempt(CallStatus.BUSY)).due_at == NOON + timedelta(seconds=5)


async def test_a_cooldown_that_ends_at_night_lasts_until_the_window_opens(stage: Stage) -> None:
    # It is 08:00 where the lead's number is, in New York.
    await set_up(stage, calling_window={"start": "05:00", "end": "08:05", "time_zone": "UTC"})
    assert (await stage.attempt(CallStatus.BUSY)).due_at == NOON + timedelta(hours=21)


async def test_a_promised_callback_is_kept_at_its_time(stage: Stage) -> None:
    lead_id = await set_up(stage)
    grant = await answered(stage)
    later = NOON + timedelta(hours=3)
    await stage.report(grant.call_id, callback_at=later, result="callback")
    end = await stage.finish(grant.call_id)
    assert (end.status, end.due_at) == (LeadStatus.RETRY, later)
    stage.pass_time(hours=3)
    await stage.rejoin(lead_id)
    assert (await stage.attempt(CallStatus.NO_ANSWER)).outcome is Outcome.NO_ANSWER


async def test_a_promised_callback_without_a_retry_left_is_said_in_the_outcome(stage: Stage) -> None:
    await set_up(stage, retry={"max_retries": 0})
    grant = await answered(stage)
    await stage.report(grant.call_id, callback_at=NOON + timedelta(hours=3))
    assert (await stage.finish(grant.call_id)).outcome is Outcome.CALLBACK_REQUESTED


async def test_do_not_call_finishes_the_lead(stage: Stage) -> None:
    await set_up(stage)
    grant = await answered(stage)
    await stage.report(grant.call_id, do_not_call=True)
    end = await stage.finish(grant.call_id)
    assert (end.status, end.outcome) == (LeadStatus.FINISHED, Outcome.DO_NOT_CALL)


@pytest.mark.parametrize("who", [AnsweredBy.MACHINE, AnsweredBy.FAX])
async def test_voicemail_is_retried_where_the_template_says_so(stage: Stage, who: AnsweredBy) -> None:
    lead_id = await set_up(stage)
    first = await stage.attempt(CallStatus.COMPLETED, answered_by=who)
    assert first.status is LeadStatus.RETRY
    stage.pass_time(minutes=10)
    await stage.rejoin(lead_id)
    assert (await stage.attempt(CallStatus.COMPLETED, answered_by=who)).outcome is Outcome.VOICEMAIL


async def test_voicemail_finishes_the_lead_where_the_template_says_so(stage: Stage) -> None:
    await set_up(stage, retry=ONE_RETRY | {"permanent_outcomes": ["VOICEMAIL"]})
    end = await stage.attempt(CallStatus.COMPLETED, answered_by=AnsweredBy.MACHINE)
    assert (end.status, end.outcome) == (LeadStatus.FINISHED, Outcome.VOICEMAIL)


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (Ending.CALLER_HUNG_UP, Outcome.HUNG_UP),
        (Ending.NO_INPUT, Outcome.NO_INPUT),
        (Ending.TOO_LONG, Outcome.COMPLETED),
    ],
)
async def test_the_end_of_the_conversation_is_the_outcome(stage: Stage, ending: Ending, outcome: Outcome) -> None:
    await set_up(stage)
    grant = await answered(stage)
    await stage.report(grant.call_id, ending)
    assert (await stage.finish(grant.call_id)).outcome is outcome


async def test_a_conversation_that_our_side_lost_is_tried_again(stage: Stage) -> None:
    await set_up(stage)
    grant = await answered(stage)
    await stage.report(grant.call_id, Ending.LOST)
    assert (await stage.finish(grant.call_id)).status is LeadStatus.RETRY


async def test_a_call_that_found_no_media_server_is_not_an_attempt(stage: Stage) -> None:
    lead_id = await set_up(stage)
    for round_ in range(3):
        grant = await stage.grant_one()
        assert grant.attempt == 1
        await stage.dial(grant.call_id)
        async with stage.database.write() as tx:
            await conversations.mark_no_media(tx, grant.call_id)
        await stage.end(grant.call_id, CallStatus.COMPLETED)
        end = await stage.finish(grant.call_id)
        assert (end.status, end.attempts) == (LeadStatus.BACKLOG, 0)
        assert end.due_at == stage.now + timedelta(seconds=5 * 2**round_)
        stage.pass_time(minutes=1)
    assert await stage.statuses(lead_id) == ["BACKLOG", *["PROCESSING", "BACKLOG"] * 3]
    await stage.check()


async def test_a_call_that_had_its_stream_counts_whatever_came_later(stage: Stage) -> None:
    await set_up(stage)
    grant = await answered(stage)
    async with stage.database.write() as tx:
        await conversations.mark_no_media(tx, grant.call_id)
    assert (await stage.finish(grant.call_id)).attempts == 1


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (FailureClass.PERMANENT, Outcome.INVALID_NUMBER),
        (FailureClass.NOT_PERMITTED, Outcome.NOT_PERMITTED),
    ],
)
async def test_a_number_that_cannot_be_called_finishes_its_lead_alone(
    stage: Stage, failure: FailureClass, outcome: Outcome
) -> None:
    lead_id = await set_up(stage)
    end = await refused(stage, failure)
    assert (end.status, end.outcome, end.attempts) == (LeadStatus.FINISHED, outcome, 1)
    campaign_id = (await stage.read_lead(lead_id)).campaign_id
    assert (await stage.row("campaigns", campaign_id))["status"] == CampaignStatus.RUNNING
    await stage.check()


async def test_a_refusal_for_now_is_not_an_attempt_and_backs_off(stage: Stage) -> None:
    await set_up(stage, retry={"max_retries": 0})
    waits = []
    for _ in range(4):
        end = await refused(stage, FailureClass.RETRYABLE)
        assert (end.status, end.attempts) == (LeadStatus.BACKLOG, 0)
        assert end.due_at is not None
        waits.append((end.due_at - stage.now).total_seconds())
        stage.now = end.due_at
    assert waits == [5, 10, 20, 40]
    assert (await stage.attempt(CallStatus.BUSY)).outcome is Outcome.BUSY
    await stage.check()


async def test_an_account_that_cannot_call_pauses_the_campaign_and_keeps_the_leads(stage: Stage) -> None:
    await stage.number(channels=3)
    campaign = await stage.campaign()
    lead_ids = await stage.leads(campaign, [person(n) for n in range(5)])
    granted = await stage.grant()
    for grant in granted:
        await stage.accept(grant.call_id)
        await stage.refuse(grant.call_id, FailureClass.CONFIGURATION, message="check TWILIO_AUTH_TOKEN")
        end = await stage.finish(grant.call_id)
        assert (end.status, end.attempts) == (LeadStatus.BACKLOG, 0)
    paused = await stage.read_campaign(campaign)
    assert (paused.status, paused.status_reason) == (CampaignStatus.PAUSED, "check TWILIO_AUTH_TOKEN")
    assert [(await stage.read_lead(lead_id)).status for lead_id in lead_ids] == [LeadStatus.BACKLOG] * 5
    assert await stage.grant() == []
    await stage.check()
    resumed = await stage.set_status(campaign.id, CampaignStatus.RUNNING)
    assert resumed.status_reason is None
    stage.pass_time(minutes=1)
    assert len(await stage.grant()) == 3


async def test_a_cancel_that_we_asked_for_finishes(stage: Stage) -> None:
    lead_id = await set_up(stage)
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    assert await stage.cancel(lead_id)
    async with stage.database.write() as tx:
        await attempts.mark_cancelled_by_us(tx, grant.call_id)
    await stage.end(grant.call_id, CallStatus.CANCELED)
    end = await stage.finish(grant.call_id)
    assert (end.status, end.outcome) == (LeadStatus.FINISHED, Outcome.CANCELLED)
    await stage.check()


async def test_a_cancelled_lead_whose_call_is_let_finish_keeps_what_it_said(stage: Stage) -> None:
    lead_id = await set_up(stage)
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    await stage.claim(grant.call_id)
    await stage.cancel(lead_id, hang_up=False)
    await stage.end(grant.call_id, CallStatus.COMPLETED)
    await stage.report(grant.call_id)
    assert (await stage.finish(grant.call_id)).outcome is Outcome.COMPLETED


async def test_a_template_that_does_not_record_expects_no_recording(stage: Stage) -> None:
    await set_up(stage, record=False)
    assert not (await stage.attempt(CallStatus.COMPLETED)).recording_expected


async def test_the_webhook_is_wanted_where_the_template_has_one(stage: Stage) -> None:
    await set_up(stage, webhook_url="https://example.com/hook")
    assert (await stage.attempt(CallStatus.COMPLETED)).notify


async def test_a_conversation_that_our_side_lost_is_called_again(stage: Stage) -> None:
    await set_up(stage)
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    await stage.claim(grant.call_id)
    state = ConversationState(node="start", began_at=stage.now)
    async with stage.database.write() as tx:
        await conversations.save_state(tx, grant.call_id, state, now=stage.now)
    await stage.end(grant.call_id, CallStatus.COMPLETED)
    end = await stage.finish(grant.call_id)  # its media server was killed, and nobody reports any more
    assert (end.status, end.attempts) == (LeadStatus.RETRY, 1)
    await stage.check()
