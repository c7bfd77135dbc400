"""Streams and conversations: who may take a call, where a talk stands, what came of it."""

from datetime import timedelta

import pytest

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.conversation import ConversationState, Ending, HalfFilled, Utterance
from breeze_buddy.store import conversations, do_not_call, facts, overview
from breeze_buddy.store.errors import Conflict, NotFound
from tests.store.stage import NOON, Stage, a_template, person

SAID = (Utterance(speaker="agent", text="Hello.", at_s=0), Utterance(speaker="caller", text="yes", at_s=2.5))


async def dialled(stage: Stage) -> str:
    await stage.number()
    template = a_template(flow={"nodes": {"start": {"say": "Hello {name}.", "then": {"action": "end_conversation"}}}})
    await stage.lead(await stage.campaign(template=template), variables={"name": "Ada"})
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    return grant.call_id


async def test_a_media_server_gets_what_it_has_to_say(stage: Stage) -> None:
    call_id = await dialled(stage)
    claimed = await stage.claim(call_id)
    assert (claimed.call_id, claimed.variables, claimed.state) == (call_id, {"name": "Ada"}, None)
    assert claimed.template.flow.nodes["start"].say == "Hello {name}."


@pytest.mark.parametrize(
    ("phone", "given", "window", "zone"),
    [
        ("+919812345678", None, None, "Asia/Calcutta"),
        ("+919812345678", "Europe/London", None, "Europe/London"),
        ("+79161234567", None, {"time_zone": "Europe/Moscow"}, "Europe/Moscow"),
        ("+79161234567", None, None, "UTC"),
    ],
)
async def test_times_are_promised_on_the_leads_own_clock(
    stage: Stage, phone: str, given: str | None, window: dict[str, str] | None, zone: str
) -> None:
    await stage.number()
    whole_day = {"start": "00:00", "end": "00:00", **window} if window else None
    await stage.lead(await stage.campaign(template=a_template(calling_window=whole_day)), phone, time_zone=given)
    grant = await stage.grant_one()
    await stage.dial(grant.call_id)
    assert str((await stage.claim(grant.call_id)).zone) == zone


async def test_a_token_is_taken_once(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.claim(call_id)
    before = await stage.everything()
    with pytest.raises(Conflict, match="used"):
        await stage.claim(call_id)
    assert await stage.everything() == before
    # The way back after a media server died is a new token for the same call.
    assert (await stage.claim(call_id, token="second")).call_id == call_id


async def test_a_token_of_another_call_is_refused(stage: Stage) -> None:
    call_id = await dialled(stage)
    before = await stage.everything()
    with pytest.raises(Conflict, match="another call"):
        await stage.claim(call_id, sid="CAanother")
    with pytest.raises(NotFound):
        await stage.claim("nobody")
    assert await stage.everything() == before


async def test_a_call_that_has_ended_takes_no_stream(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.end(call_id, CallStatus.COMPLETED)
    await stage.finish(call_id)
    with pytest.raises(Conflict, match="ended"):
        await stage.claim(call_id)


async def test_a_conversation_that_was_reported_is_not_begun_again(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.claim(call_id)
    await stage.report(call_id)
    with pytest.raises(Conflict, match="conversation has ended"):
        await stage.claim(call_id, token="second")


async def test_the_stream_tells_the_call_sid_when_twilios_answer_was_lost(stage: Stage) -> None:
    await stage.number()
    await stage.lead(await stage.campaign())
    grant = await stage.grant_one()
    await stage.accept(grant.call_id)
    await stage.claim(grant.call_id, sid="CA7")
    row = await stage.row("calls", grant.call_id)
    assert (row["sid"], row["progress"]) == ("CA7", "dialled")


async def test_the_next_media_server_goes_on_where_the_last_one_stood(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.claim(call_id)
    for node, transcript in (("ask", SAID[:1]), ("thanks", SAID)):
        state = ConversationState(node=node, answers={"a": "b"}, transcript=transcript, reprompts=1, began_at=NOON)
        async with stage.database.write() as tx:
            await conversations.save_state(tx, call_id, state, now=stage.now)
    assert (await stage.claim(call_id, token="second")).state == state


async def test_of_a_call_only_the_latest_stream_says_how_it_stands(stage: Stage) -> None:
    """The stream of a media server that is slow to learn that it was replaced changes nothing any more."""
    call_id = await dialled(stage)
    await stage.claim(call_id, stream_sid="MZold")
    state = ConversationState(node="ask", transcript=SAID[:1], began_at=NOON)

    async def save(stream_sid: str, node: str) -> bool:
        async with stage.database.write() as tx:
            told = state.model_copy(update={"node": node})
            return await conversations.save_state(tx, call_id, told, now=stage.now, stream_sid=stream_sid)

    assert await save("MZold", "ask")
    stage.pass_time(seconds=-30)  # the clock of the other pod is behind
    claimed = await stage.claim(call_id, token="second", stream_sid="MZnew")
    assert claimed.state == state
    before = await stage.everything()
    assert not await save("MZold", "thanks")
    late = await stage.report(call_id, Ending.CALLER_HUNG_UP, transcript=SAID, stream_sid="MZold")
    assert (late.taken, late.awaited) == (False, False)
    assert await stage.everything() == before
    assert await save("MZnew", "thanks")
    assert (await stage.report(call_id, result="right", stream_sid="MZnew")).taken
    async with stage.database.read() as tx:
        report = await facts.report_of(tx, call_id)
    assert report is not None
    assert report.result == "right"


async def test_only_a_conversation_that_moves_starts_the_count_of_broken_streams_anew(stage: Stage) -> None:
    call_id = await dialled(stage)
    state = ConversationState(node="ask", transcript=SAID[:1], began_at=NOON)

    async def broke_and_saved(stream_sid: str, **changed: object) -> int:
        async with stage.database.write() as tx:
            await conversations.count_stream(tx, call_id)
        await stage.claim(call_id, token=stream_sid, stream_sid=stream_sid)
        async with stage.database.write() as tx:
            told = state.model_copy(update=changed)
            await conversations.save_state(tx, call_id, told, now=stage.now, stream_sid=stream_sid)
            return (await conversations.standing(tx, call_id)).streams

    assert await broke_and_saved("MZ1") == 1
    assert await broke_and_saved("MZ2") == 2, "the apology and the same question"
    assert await broke_and_saved("MZ3", reprompts=1, transcript=SAID) == 3
    filling = HalfFilled(function="order")
    assert await broke_and_saved("MZ4", filling=filling) == 1
    assert await broke_and_saved("MZ5", filling=filling) == 2
    assert await broke_and_saved("MZ6", node="thanks") == 1


async def test_who_asked_a_replaced_stream_not_to_be_called_is_not_called(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.claim(call_id, stream_sid="MZold")
    await stage.claim(call_id, token="second", stream_sid="MZnew")
    assert not (await stage.report(call_id, do_not_call=True, stream_sid="MZold")).taken
    async with stage.database.read() as tx:
        assert await do_not_call.listed_among(tx, [person(0)]) == {person(0)}


async def test_who_asked_not_to_be_called_is_listed_though_the_stream_breaks_in_the_goodbye(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.claim(call_id)
    state = ConversationState(node="never", began_at=NOON, do_not_call=True)
    for _ in range(2):
        async with stage.database.write() as tx:
            await conversations.save_state(tx, call_id, state, now=stage.now, stream_sid="MZ1")
            assert await do_not_call.listed_among(tx, [person(0)]) == {person(0)}


async def test_a_conversation_is_reported_once(stage: Stage) -> None:
    call_id = await dialled(stage)
    assert not (await stage.report(call_id, Ending.REACHED_END, result="first", transcript=SAID)).awaited
    before = await stage.everything()
    stage.pass_time(minutes=1)
    await stage.report(call_id, Ending.LOST, result="second")
    assert await stage.everything() == before
    async with stage.database.read() as tx:
        report = await facts.report_of(tx, call_id)
        view = await overview.call(tx, call_id)
    assert report is not None
    assert (report.result, report.transcript) == ("first", SAID)
    assert view.conversation is not None
    assert (view.conversation.ending, view.conversation.result) == (Ending.REACHED_END, "first")
    with pytest.raises(NotFound):
        await stage.report("nobody")


async def test_a_report_after_the_end_of_the_call_is_awaited(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.end(call_id, CallStatus.COMPLETED)
    reported = await stage.report(call_id)
    assert reported.awaited


async def test_what_the_verb_after_the_stream_has_to_know(stage: Stage) -> None:
    call_id = await dialled(stage)

    async def standing() -> tuple[int, bool, bool]:
        async with stage.database.read() as tx:
            found = await conversations.standing(tx, call_id)
        return found.streams, found.reported, found.ended

    assert await standing() == (0, False, False)
    async with stage.database.write() as tx:
        await conversations.count_stream(tx, call_id)
    assert await standing() == (1, False, False)
    await stage.report(call_id)
    assert await standing() == (1, True, False)
    await stage.end(call_id, CallStatus.COMPLETED)
    await stage.finish(call_id)
    assert await standing() == (1, True, True)
    stage.pass_time(seconds=1)
    assert stage.now == NOON + timedelta(seconds=1)
