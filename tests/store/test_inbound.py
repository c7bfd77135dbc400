"""Calls to us: who is taken and who is turned away, the lines they share with outbound, and the leads they spare."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from breeze_buddy.domain.call import CallFacts, CallStatus, Direction
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.inbound import BlockedCaller, InboundElse, InboundPolicy, TurnedAway
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.messages import InboundEnd, inbound_workflow_id
from breeze_buddy.domain.number import Number, NumberInput, NumberUpdate
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.retry import RetryPolicy
from breeze_buddy.domain.window import CallingWindow
from breeze_buddy.store import blocked_callers, callers, inbound, numbers, overview, templates
from breeze_buddy.store.database import Database
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.inbound import Declined, InboundAnswer, Ringing, Taken
from tests.store.stage import OUR_PHONE, Stage, a_template, person


class Line(Stage):
    """A stage whose number is called. A second passes with each call."""

    async def hotline(self, *, channels: int = 2, **policy: Any) -> Number:
        async with self.database.write() as tx:
            stored = await templates.register(tx, a_template("hotline", variables=("name",)), now=self.now)
            given = InboundPolicy.model_validate({"template_id": stored.id, **policy})
            return await numbers.create(
                tx, NumberInput(phone=OUR_PHONE, channels=channels, inbound=given), now=self.now
            )

    async def ring(self, sid: str = "CA1", *, caller: str = person(0), to: str = OUR_PHONE) -> InboundAnswer:
        now = self.pass_time(seconds=1)
        async with self.database.write() as tx:
            return await inbound.answer(tx, Ringing(sid, caller, to), now=now)

    async def taken(self, sid: str = "CA1", **ringing: str) -> str:
        """The id of a call that the agent takes."""
        answer = await self.ring(sid, **ringing)
        assert isinstance(answer, Taken), answer
        return answer.start.call_id

    async def end_inbound(self, call_id: str) -> InboundEnd:
        async with self.database.write() as tx:
            return await inbound.end(tx, call_id, now=self.now)

    async def settle(self, call_id: str) -> tuple[InboundEnd, str | None]:
        """What became of the call, and the lead that it spares."""
        async with self.database.write() as tx:
            end = await inbound.settle(tx, call_id, now=self.now)
            return end, await callers.spare_caller(tx, call_id, now=self.now)

    async def talk(self, call_id: str, ending: Ending = Ending.REACHED_END, **report: Any) -> str | None:
        """A whole conversation and its end; the lead that it spares."""
        await self.claim(call_id, token=f"token of {call_id}", sid=(await self.view(call_id)).sid)
        await self.report(call_id, ending, **report)
        await self.hear(call_id, CallFacts(status=CallStatus.COMPLETED, sequence=0, duration_s=30, ended_at=self.now))
        await self.end_inbound(call_id)
        return (await self.settle(call_id))[1]

    async def view(self, call_id: str) -> overview.CallView:
        async with self.database.read() as tx:
            return await overview.call(tx, call_id)

    async def history(self, **chosen: Any) -> list[overview.CallView]:
        async with self.database.read() as tx:
            return await overview.listed(tx, **chosen)


@pytest.fixture
def line(database: Database) -> Line:
    return Line(database)


async def test_a_caller_gets_a_line_and_the_template_of_the_number(line: Line) -> None:
    number = await line.hotline()
    call_id = await line.taken()
    claimed = await line.claim(call_id, sid="CA1")
    assert claimed.lead_id is None
    assert claimed.template.name == "hotline"
    assert claimed.variables == {}
    assert await line.leased() == 1
    view = await line.view(call_id)
    assert (view.direction, view.from_phone, view.to_phone) == (Direction.INBOUND, person(0), number.phone)
    assert (view.sid, view.attempt, view.counted, view.refusal) == ("CA1", 1, False, None)


async def test_asked_twice_twilio_gets_the_same_answer_and_one_line(line: Line) -> None:
    await line.hotline(channels=1)
    first = await line.ring("CA1")
    assert await line.ring("CA1") == first
    full = await line.ring("CA2", caller=person(1))
    assert isinstance(full, Declined)
    await line.end_inbound(await line.taken("CA1"))
    assert await line.ring("CA2", caller=person(1)) == full
    assert len(await line.history()) == 2


async def test_asked_twice_at_once_there_is_one_call(line: Line) -> None:
    await line.hotline(channels=5)
    answers = await asyncio.gather(*(line.ring("CA1") for _ in range(4)))
    assert len({answer.start.call_id for answer in answers if isinstance(answer, Taken)}) == 1
    assert await line.leased() == 1


async def test_a_rush_fills_the_channels_and_no_more(line: Line) -> None:
    await line.hotline(channels=3)
    answers = await asyncio.gather(*(line.ring(f"CA{place}", caller=person(place)) for place in range(12)))
    assert sum(isinstance(answer, Taken) for answer in answers) == 3
    assert {answer.why for answer in answers if isinstance(answer, Declined)} == {TurnedAway.FULL}
    assert await line.leased() == 3
    assert len(await line.history(direction=Direction.INBOUND)) == 12


MESSAGE = {"action": "message", "message": "Call on Monday."}
REDIRECT = {"action": "redirect", "redirect_to": person(9)}
NIGHT = CallingWindow.model_validate({"start": "22:00", "end": "06:00"}).model_dump(mode="json")


async def test_each_who_is_turned_away_gets_what_the_number_says_and_is_kept(line: Line) -> None:
    number = await line.hotline(channels=1, when_full=REDIRECT, when_closed=MESSAGE)
    await line.taken("CA0", caller=person(5))
    full = await line.ring("CA1")
    await _policy(line, number, when_closed=MESSAGE, business_hours=NIGHT)
    closed = await line.ring("CA2")
    async with line.database.write() as tx:
        await blocked_callers.block(tx, BlockedCaller(phone=person(0), reason="rude"), now=line.now)
    blocked = await line.ring("CA3")
    async with line.database.write() as tx:
        await blocked_callers.unblock(tx, person(0))
        await numbers.change(tx, number.id, NumberUpdate(enabled=False))
    off = await line.ring("CA4")
    async with line.database.write() as tx:
        await numbers.change(tx, number.id, NumberUpdate(enabled=True, inbound=None))
    without = await line.ring("CA5")

    assert full == Declined(TurnedAway.FULL, InboundElse.model_validate(REDIRECT))
    assert closed == Declined(TurnedAway.CLOSED, InboundElse.model_validate(MESSAGE))
    refused = InboundElse(action="refuse")
    assert blocked == Declined(TurnedAway.BLOCKED, refused)
    assert off == without == Declined(TurnedAway.NOT_ANSWERED, refused)
    kept = await line.history(phone=person(0))
    assert [call.refusal for call in kept] == ["full", "closed", "blocked", "not_answered", "not_answered"]
    assert all(call.progress == "ended" and call.error_message for call in kept)
    assert await line.leased() == 1


async def _policy(line: Line, number: Number, **policy: Any) -> None:
    assert number.inbound is not None
    given = InboundPolicy.model_validate({"template_id": number.inbound.template_id, **policy})
    async with line.database.write() as tx:
        await numbers.change(tx, number.id, NumberUpdate(inbound=given))


async def test_the_end_of_a_call_that_was_turned_away_wakes_nobody(line: Line) -> None:
    await line.hotline(channels=1)
    await line.taken("CA0", caller=person(5))
    await line.ring("CA1")
    (call,) = await line.history(phone=person(0))
    assert await line.end(call.id, CallStatus.BUSY) is None
    assert (await line.view(call.id)).status is CallStatus.BUSY


async def test_business_hours_are_those_of_their_zone(line: Line) -> None:
    # Noon in UTC is 17:30 in Kolkata.
    hours = {"start": "09:00", "end": "17:00", "time_zone": "Asia/Kolkata"}
    number = await line.hotline(business_hours=hours)
    assert isinstance(await line.ring("CA1"), Declined)
    await _policy(line, number, business_hours={**hours, "end": "18:00"})
    assert isinstance(await line.ring("CA2"), Taken)


async def test_a_number_that_is_not_registered_is_not_found(line: Line) -> None:
    with pytest.raises(NotFound, match="registered number"):
        await line.ring()


async def test_a_changed_number_keeps_its_policy(line: Line) -> None:
    number = await line.hotline(reserve=1)
    async with line.database.write() as tx:
        changed = await numbers.change(tx, number.id, NumberUpdate(channels=4))
    assert changed.inbound == number.inbound
    assert changed.channels == 4


# Shared lines


async def test_outbound_leaves_the_reserve_free_and_inbound_uses_it(line: Line) -> None:
    await line.hotline(channels=3, reserve=2)
    campaign = await line.campaign()
    await line.leads(campaign, [person(place) for place in range(1, 5)])
    assert len(await line.grant()) == 1
    assert await line.grant() == []
    await line.taken("CA1")
    await line.taken("CA2", caller=person(9))
    assert isinstance(await line.ring("CA3", caller=person(8)), Declined)


async def test_a_line_that_an_inbound_call_gives_back_is_for_the_next_lead(line: Line) -> None:
    await line.hotline(channels=1)
    await line.lead(await line.campaign(), person(1))
    call_id = await line.taken()
    assert await line.grant() == []
    await line.end_inbound(call_id)
    assert len(await line.grant()) == 1


async def test_nobody_is_called_while_they_call_us(line: Line) -> None:
    await line.hotline(channels=3)
    await line.lead(await line.campaign(), person(0))
    call_id = await line.taken()
    assert await line.grant() == []
    await line.end_inbound(call_id)
    assert len(await line.grant()) == 1


# The caller


async def test_a_known_caller_brings_the_variables_of_the_lead_and_the_last_result(line: Line) -> None:
    await line.hotline(channels=3)
    campaign = await line.campaign()
    lead_id = await line.lead(campaign, variables={"name": "Ada"})
    grant = await line.grant_one()
    await line.dial(grant.call_id)
    await line.report(grant.call_id, result="confirmed")
    await line.end(grant.call_id, CallStatus.COMPLETED)
    await line.finish(grant.call_id)
    called_at = line.now
    line.pass_time(hours=1)
    call_id = await line.taken()
    claimed = await line.claim(call_id, sid="CA1")
    assert claimed.lead_id == lead_id
    assert claimed.variables == {
        "name": "Ada",
        "last_result": "confirmed",
        "last_called_at": called_at.isoformat(timespec="seconds"),
    }
    view = await line.view(call_id)
    assert (view.lead_id, view.campaign_id) == (lead_id, campaign.id)


async def test_without_a_conversation_the_last_result_is_how_the_call_ended(line: Line) -> None:
    await line.hotline()
    await line.lead(await line.campaign())
    await line.attempt(CallStatus.NO_ANSWER)
    claimed = await line.claim(await line.taken(), sid="CA1")
    assert claimed.variables["last_result"] == "no-answer"


async def test_a_stranger_who_calls_again_has_a_last_call_too(line: Line) -> None:
    await line.hotline()
    await line.talk(await line.taken("CA1"), result="asked for prices")
    line.pass_time(minutes=5)
    claimed = await line.claim(await line.taken("CA2"), token="second", sid="CA2")
    assert claimed.variables["last_result"] == "asked for prices"


async def test_an_open_lead_comes_before_a_finished_one_that_is_newer(line: Line) -> None:
    await line.hotline()
    waiting = await line.lead(await line.campaign("a"), variables={"name": "open"})
    line.pass_time(minutes=1)
    newer = await line.lead(await line.campaign("b"), variables={"name": "cancelled"})
    await line.cancel(newer)
    assert (await line.view(await line.taken())).lead_id == waiting


async def test_a_hidden_number_is_nobody(line: Line) -> None:
    await line.hotline()
    view = await line.view(await line.taken(caller="anonymous"))
    assert view.lead_id is None


# The end


async def test_an_inbound_call_ends_with_its_line_free_and_its_facts_kept(line: Line) -> None:
    await line.hotline()
    call_id = await line.taken()
    await line.claim(call_id, sid="CA1")
    delivery = await line.end(call_id, CallStatus.COMPLETED, duration_s=42)
    assert delivery is not None
    assert (delivery.workflow_id, delivery.signal) == (inbound_workflow_id("CA1"), "call_ended")
    assert (await line.end_inbound(call_id)).awaiting_conversation
    assert await line.leased() == 0
    reported = await line.report(call_id, result="thanks")
    assert (reported.workflow_id, reported.awaited) == (inbound_workflow_id("CA1"), True)
    end, spared = await line.settle(call_id)
    assert (end.outcome, end.result, end.duration_s, end.awaiting_conversation) == (
        Outcome.COMPLETED,
        "thanks",
        42,
        False,
    )
    assert spared is None
    before = await line.everything()
    line.pass_time(minutes=1)
    assert (await line.settle(call_id))[0] == end
    assert await line.everything() == before
    await line.check()


async def test_an_inbound_call_is_no_attempt_at_its_lead(line: Line) -> None:
    await line.hotline()
    campaign = await line.campaign(template=a_template(retry=RetryPolicy(max_retries=1)))
    lead_id = await line.lead(campaign)
    await line.talk(await line.taken())
    assert (await line.read_lead(lead_id)).attempts == 0
    end = await line.attempt(CallStatus.BUSY)
    assert (end.status, end.attempts) == (LeadStatus.RETRY, 1)


RETRY = RetryPolicy(max_retries=3, cooldown=timedelta(hours=1))


async def _in_cooldown(line: Line, **policy: Any) -> str:
    await line.hotline(**policy)
    lead_id = await line.lead(await line.campaign(template=a_template(retry=RETRY)))
    await line.attempt(CallStatus.NO_ANSWER)
    line.pass_time(minutes=10)
    return lead_id


async def test_a_lead_in_cooldown_who_calls_is_finished(line: Line) -> None:
    lead_id = await _in_cooldown(line, ends_campaign=True)
    call_id = await line.taken()
    assert await line.talk(call_id) == lead_id
    lead = await line.read_lead(lead_id)
    assert (lead.status, lead.outcome) == (LeadStatus.FINISHED, Outcome.COMPLETED)
    assert await line.statuses(lead_id) == ["BACKLOG", "PROCESSING", "RETRY", "FINISHED"]
    # Run again, the lead is named again, so that its workflow is told although the first run was cut off.
    assert (await line.settle(call_id))[1] == lead_id
    await line.check()


async def test_so_is_one_whose_cooldown_is_over(line: Line) -> None:
    lead_id = await _in_cooldown(line, ends_campaign=True)
    line.pass_time(hours=2)
    assert await line.rejoin(lead_id) is LeadStatus.BACKLOG
    assert await line.talk(await line.taken()) == lead_id


@pytest.mark.parametrize(
    ("policy", "ending", "report"),
    [
        ({}, Ending.REACHED_END, {}),
        ({"ends_campaign": True}, Ending.CALLER_HUNG_UP, {}),
        ({"ends_campaign": True}, Ending.NO_INPUT, {}),
    ],
    ids=["the policy does not say so", "hung up", "said nothing"],
)
async def test_otherwise_the_lead_is_still_to_be_called(
    line: Line, policy: dict[str, Any], ending: Ending, report: dict[str, Any]
) -> None:
    lead_id = await _in_cooldown(line, **policy)
    assert await line.talk(await line.taken(), ending, **report) is None
    assert (await line.read_lead(lead_id)).status is LeadStatus.RETRY


async def test_a_caller_who_wants_another_call_is_still_to_be_called(line: Line) -> None:
    lead_id = await _in_cooldown(line, ends_campaign=True)
    assert await line.talk(await line.taken(), callback_at=line.now + timedelta(days=1)) is None
    assert (await line.read_lead(lead_id)).status is LeadStatus.RETRY


async def test_do_not_call_counts_whatever_the_policy(line: Line) -> None:
    lead_id = await _in_cooldown(line)
    assert await line.talk(await line.taken(), do_not_call=True) == lead_id
    assert (await line.read_lead(lead_id)).outcome is Outcome.DO_NOT_CALL


async def test_a_lead_that_is_being_called_is_left_to_its_own_call(line: Line) -> None:
    lead_id = await _in_cooldown(line, ends_campaign=True)
    line.pass_time(hours=2)
    call_id = await line.taken()
    await line.rejoin(lead_id)
    await line.end_inbound(call_id)
    assert len(await line.grant()) == 1
    await line.report(call_id)
    assert (await line.settle(call_id))[1] is None
    assert (await line.read_lead(lead_id)).status is LeadStatus.PROCESSING


# Following


async def test_a_call_is_unfollowed_until_its_workflow_takes_it_up(line: Line) -> None:
    await line.hotline(channels=1)
    answer = await line.ring("CA1")
    await line.ring("CA2", caller=person(1))
    assert isinstance(answer, Taken)

    async def unfollowed() -> list[Any]:
        async with line.database.read() as tx:
            return await inbound.unfollowed(tx, older_than=line.now + timedelta(seconds=1))

    assert await unfollowed() == [answer.start]
    await line.end(answer.start.call_id, CallStatus.COMPLETED)
    async with line.database.write() as tx:
        followed = await inbound.mark_followed(tx, answer.start.call_id, now=line.now)
    assert (followed.template.name, followed.status) == ("hotline", CallStatus.COMPLETED)
    assert await unfollowed() == []


# The history


async def test_the_history_is_read_by_direction_phone_and_page(line: Line) -> None:
    await line.hotline(channels=5)
    await line.lead(await line.campaign(), person(0))
    await line.attempt(CallStatus.BUSY)
    line.pass_time(minutes=1)
    for place, caller in enumerate((0, 1, 0)):
        await line.taken(f"CA{place}", caller=person(caller))
        line.pass_time(minutes=1)
    everything = await line.history()
    assert [call.direction for call in everything] == ["outbound", "inbound", "inbound", "inbound"]
    assert await line.history(direction=Direction.OUTBOUND) == everything[:1]
    assert await line.history(phone=person(0)) == [everything[0], everything[1], everything[3]]
    assert await line.history(limit=2) == everything[:2]
    assert await line.history(limit=2, after=everything[1].id) == everything[2:]


async def test_the_block_list_is_kept_by_phone(line: Line) -> None:
    async with line.database.write() as tx:
        await blocked_callers.block(tx, BlockedCaller(phone=person(1)), now=line.now)
        await blocked_callers.block(tx, BlockedCaller(phone=person(1), reason="again"), now=line.now)
        await blocked_callers.block(tx, BlockedCaller(phone=person(0)), now=line.now)
        listed = await blocked_callers.listed(tx)
        assert [(caller.phone, caller.reason) for caller in listed] == [(person(0), None), (person(1), "again")]
        await blocked_callers.unblock(tx, person(1))
        with pytest.raises(NotFound):
            await blocked_callers.unblock(tx, person(1))
