"""One attempt, step by step: each step twice, too late, or not at all."""

from datetime import timedelta
from typing import Any

import pytest

from breeze_buddy.domain.call import CallFacts, CallStatus, FailureClass
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import Grant
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import attempts
from breeze_buddy.store.acceptance import Accepted, AlreadyDialled, Unclear, Unusable
from breeze_buddy.store.errors import NotFound
from tests.store.stage import NOON, OUR_PHONE, Stage, a_template, person


async def granted(stage: Stage, **template: Any) -> Grant:
    await stage.number()
    await stage.lead(await stage.campaign(template=a_template(**template)))
    return await stage.grant_one()


async def test_an_accepted_grant_says_whom_to_call_and_commits_the_intent(stage: Stage) -> None:
    grant = await granted(stage)
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Accepted)
    order = answer.order
    assert (order.from_phone, order.to_phone, order.intended_at) == (OUR_PHONE, person(0), NOON)
    assert (await stage.row("calls", grant.call_id))["progress"] == "intended"
    await stage.check()


async def test_after_the_intent_a_second_run_never_sends_again(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.accept(grant.call_id)
    before = await stage.everything()
    stage.pass_time(minutes=1)
    for _ in range(3):
        answer = await stage.accept(grant.call_id)
        assert isinstance(answer, Unclear)
        assert answer.order.intended_at == NOON
    assert await stage.everything() == before


async def test_a_second_run_finds_the_call_that_the_first_one_made(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.dial(grant.call_id)
    before = await stage.everything()
    assert isinstance(await stage.accept(grant.call_id), AlreadyDialled)
    assert await stage.everything() == before


async def test_a_second_run_finds_the_call_that_only_a_callback_told_of(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.accept(grant.call_id)
    await stage.hear(grant.call_id, CallFacts(sid="CA1", status=CallStatus.RINGING))
    assert isinstance(await stage.accept(grant.call_id), AlreadyDialled)


async def test_a_grant_of_an_attempt_that_is_over_is_refused(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.dial(grant.call_id)
    await stage.end(grant.call_id, CallStatus.COMPLETED)
    await stage.finish(grant.call_id)
    before = await stage.everything()
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert answer.standing.status is LeadStatus.FINISHED
    assert await stage.everything() == before


async def test_an_old_grant_is_refused_while_the_lead_has_a_new_one(stage: Stage) -> None:
    grant = await granted(stage, retry={"cooldown": 0})
    await stage.dial(grant.call_id)
    await stage.end(grant.call_id, CallStatus.BUSY)
    await stage.finish(grant.call_id)
    await stage.rejoin(grant.lead_id)
    second = await stage.grant_one()
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert answer.standing.status is LeadStatus.PROCESSING
    assert isinstance(await stage.accept(second.call_id), Accepted)


async def test_a_grant_that_never_was_is_not_found(stage: Stage) -> None:
    with pytest.raises(NotFound, match="call"):
        await stage.accept("nobody")


async def test_a_pause_between_grant_and_dial_returns_line_and_lead(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.set_status(grant.campaign_id, CampaignStatus.PAUSED)
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert "PAUSED" in answer.reason
    assert await stage.leased() == 0
    lead = await stage.read_lead(grant.lead_id)
    assert (lead.status, lead.attempts, lead.due_at) == (LeadStatus.BACKLOG, 0, NOON)
    await stage.check()
    before = await stage.everything()
    assert isinstance(await stage.accept(grant.call_id), Unusable)
    assert await stage.everything() == before
    # After the pause it is the first attempt again.
    await stage.set_status(grant.campaign_id, CampaignStatus.RUNNING)
    assert (await stage.grant_one()).attempt == 1


async def test_a_window_that_closed_before_the_dial_moves_the_lead_to_its_next_opening(stage: Stage) -> None:
    # 08:00 where the lead's number is, in New York.
    grant = await granted(stage, calling_window={"start": "05:00", "end": "08:30", "time_zone": "UTC"})
    stage.pass_time(minutes=30)
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert answer.standing.due_at == NOON + timedelta(hours=21)
    assert (await stage.read_lead(grant.lead_id)).status is LeadStatus.BACKLOG
    assert await stage.leased() == 0


async def test_the_window_is_that_of_the_leads_own_clock(stage: Stage) -> None:
    await stage.number()
    template = a_template(calling_window={"start": "09:00", "end": "18:00", "time_zone": "UTC"})
    campaign = await stage.campaign(template=template)
    await stage.lead(campaign, time_zone="Asia/Kolkata")
    grant = await stage.grant_one()
    # 17:30 in Kolkata at noon: half an hour later it is over there.
    stage.pass_time(minutes=30)
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    # 09:00 in Kolkata, tomorrow.
    assert answer.standing.due_at == NOON + timedelta(hours=15, minutes=30)


async def test_a_lead_cancelled_before_the_dial_is_finished_and_gives_its_line_back(stage: Stage) -> None:
    grant = await granted(stage)
    assert await stage.cancel(grant.lead_id)
    answer = await stage.accept(grant.call_id)
    assert isinstance(answer, Unusable)
    assert (answer.standing.status, answer.standing.outcome) == (LeadStatus.FINISHED, Outcome.CANCELLED)
    assert await stage.leased() == 0
    assert await stage.statuses(grant.lead_id) == ["BACKLOG", "PROCESSING", "BACKLOG", "FINISHED"]
    await stage.check()


async def test_dialled_is_recorded_once(stage: Stage) -> None:
    grant = await granted(stage)
    sid = await stage.dial(grant.call_id)
    before = await stage.everything()
    stage.pass_time(minutes=1)
    await stage.record_dialled(grant.call_id, sid)
    assert await stage.everything() == before
    row = await stage.row("calls", grant.call_id)
    assert (row["progress"], row["sid"], row["dialled_at"]) == ("dialled", sid, NOON)


async def test_a_refusal_is_recorded_once(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.accept(grant.call_id)
    assert await stage.refuse(grant.call_id, FailureClass.RETRYABLE, message="too many")
    before = await stage.everything()
    assert await stage.refuse(grant.call_id, FailureClass.PERMANENT, message="something else")
    assert await stage.everything() == before


async def test_facts_win_over_a_refusal(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.accept(grant.call_id)
    await stage.hear(grant.call_id, CallFacts(sid="CA1", status=CallStatus.INITIATED, sequence=0))
    assert not await stage.refuse(grant.call_id, FailureClass.RETRYABLE)
    row = await stage.row("calls", grant.call_id)
    assert (row["progress"], row["refusal"]) == ("dialled", None)


@pytest.mark.parametrize("wait_for_conversation", [True, False])
async def test_finishing_twice_decides_once(stage: Stage, wait_for_conversation: bool) -> None:
    grant = await granted(stage)
    await stage.dial(grant.call_id)
    await stage.end(grant.call_id, CallStatus.BUSY)
    first = await stage.finish(grant.call_id)
    before = await stage.everything()
    stage.pass_time(hours=2)
    assert await stage.finish(grant.call_id, wait_for_conversation=wait_for_conversation) == first
    assert await stage.everything() == before


async def test_a_second_finish_does_not_free_the_line_of_the_next_call(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    await stage.leads(campaign, [person(0), person(1)])
    first = await stage.grant_one()
    await stage.dial(first.call_id)
    await stage.end(first.call_id, CallStatus.COMPLETED)
    await stage.finish(first.call_id)
    await stage.grant_one()
    await stage.finish(first.call_id)
    assert await stage.leased() == 1
    await stage.check()


async def test_the_end_of_a_call_whose_conversation_is_to_come_frees_the_line_and_waits(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.dial(grant.call_id)
    await stage.claim(grant.call_id)
    await stage.end(grant.call_id, CallStatus.COMPLETED, duration_s=20)
    waiting = await stage.finish(grant.call_id, wait_for_conversation=True)
    assert waiting.awaiting_conversation
    assert waiting.status is LeadStatus.PROCESSING
    assert await stage.leased() == 0
    assert (await stage.report(grant.call_id, result="confirmed", answers={"order": "yes"})).awaited
    end = await stage.finish(grant.call_id, wait_for_conversation=True)
    assert not end.awaiting_conversation
    assert (end.status, end.outcome, end.result) == (LeadStatus.FINISHED, Outcome.COMPLETED, "confirmed")
    assert end.call.duration_s == 20
    await stage.check()


async def test_a_conversation_that_never_comes_does_not_hold_the_lead(stage: Stage) -> None:
    grant = await granted(stage)
    await stage.dial(grant.call_id)
    await stage.claim(grant.call_id)
    await stage.end(grant.call_id, CallStatus.COMPLETED)
    assert (await stage.finish(grant.call_id, wait_for_conversation=True)).awaiting_conversation
    end = await stage.finish(grant.call_id)
    assert end.status is not LeadStatus.PROCESSING
    await stage.check()


@pytest.mark.parametrize("status", [CallStatus.BUSY, CallStatus.COMPLETED])
async def test_a_call_without_a_stream_has_no_conversation_to_wait_for(stage: Stage, status: CallStatus) -> None:
    grant = await granted(stage)
    await stage.dial(grant.call_id)
    await stage.end(grant.call_id, status)
    assert not (await stage.finish(grant.call_id, wait_for_conversation=True)).awaiting_conversation


async def test_known_call_sids_are_told(stage: Stage) -> None:
    grant = await granted(stage)
    async with stage.database.read() as tx:
        assert await attempts.known_sid(tx, grant.call_id) is None
    sid = await stage.dial(grant.call_id)
    async with stage.database.read() as tx:
        assert await attempts.known_sid(tx, grant.call_id) == sid
        assert await attempts.sids_in_use(tx, [sid, "CAother"]) == {sid}
