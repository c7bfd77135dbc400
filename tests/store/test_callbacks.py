"""Twilio's callbacks: in any order, more than once, before and after the decision."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from breeze_buddy.domain.call import AnsweredBy, CallFacts, CallStatus
from breeze_buddy.domain.messages import CALL_ENDED, MACHINE_ANSWERED, RECORDING_READY, CallEvent
from breeze_buddy.domain.recording import RecordingFacts, RecordingStatus
from breeze_buddy.store import attempts, callbacks, schema
from breeze_buddy.store.callbacks import Delivery, Received
from breeze_buddy.store.errors import NotFound
from tests.store.stage import NOON, Stage, a_template

SID = "CA0"


def after(seconds: int) -> Any:
    return NOON + timedelta(seconds=seconds)


NEWS: dict[str, CallFacts | RecordingFacts] = {
    "initiated": CallFacts(status=CallStatus.INITIATED, sequence=0, sid=SID, initiated_at=after(0)),
    "ringing": CallFacts(status=CallStatus.RINGING, sequence=1, sid=SID, ringing_at=after(1)),
    "answered": CallFacts(status=CallStatus.IN_PROGRESS, sequence=2, sid=SID, answered_at=after(5)),
    "amd": CallFacts(sid=SID, answered_by=AnsweredBy.HUMAN),
    "completed": CallFacts(
        status=CallStatus.COMPLETED, sequence=3, sid=SID, ended_at=after(25), duration_s=20, sip_code=200
    ),
    "recording": RecordingFacts(
        sid="RE0", call_sid=SID, status=RecordingStatus.COMPLETED, duration_s=19, channels=2, started_at=after(5)
    ),
}


async def dialled(stage: Stage, **template: Any) -> str:
    await stage.number()
    await stage.lead(await stage.campaign(template=a_template(**template)))
    grant = await stage.grant_one()
    await stage.accept(grant.call_id)
    return grant.call_id


async def hear(stage: Stage, call_id: str, name: str) -> Delivery | None:
    facts = NEWS[name]
    received = Received("x", name, call_id, {"name": name}, stage.now)
    async with stage.database.write() as tx:
        if isinstance(facts, RecordingFacts):
            return await callbacks.take_recording_facts(tx, received, facts)
        return await callbacks.take_call_facts(tx, received, facts)


async def test_every_order_of_the_same_callbacks_gives_the_same_facts(stage: Stage) -> None:
    call_id = await dialled(stage)
    fresh = await stage.row("calls", call_id)
    call_table, callback_table, recording_table = (
        schema.metadata.tables[name] for name in ("calls", "callbacks", "recordings")
    )
    found = set()
    for order in permutations(name for name in NEWS if name != "initiated"):
        async with stage.database.write() as tx:
            # Each order meets the attempt as it was.
            await tx.execute(callback_table.delete())
            await tx.execute(recording_table.delete())
            await tx.execute(call_table.update().values(**fresh))
            signals = []
            for name in order:
                facts = NEWS[name]
                received = Received("x", name, call_id, {}, stage.now)
                if isinstance(facts, RecordingFacts):
                    delivery = await callbacks.take_recording_facts(tx, received, facts)
                else:
                    delivery = await callbacks.take_call_facts(tx, received, facts)
                signals += [delivery.signal] if delivery else []
            row = (await tx.execute(call_table.select())).one()
            recording = (await tx.execute(recording_table.select())).one()
        found.add((row, recording))
        assert signals == [CALL_ENDED]
    ((call, recording),) = found
    assert (call.status, call.sequence, call.sid, call.progress) == ("completed", 3, SID, "dialled")
    assert (call.ringing_at, call.answered_at, call.ended_at) == tuple(map(after, (1, 5, 25)))
    assert (call.duration_s, call.sip_code, call.answered_by) == (20, 200, "human")
    assert (recording.status, recording.duration_s, recording.channels) == ("completed", 19, 2)


@pytest.mark.parametrize("name", NEWS)
async def test_a_callback_that_comes_again_does_nothing(stage: Stage, name: str) -> None:
    call_id = await dialled(stage)
    await hear(stage, call_id, name)
    before = await stage.everything()
    stage.pass_time(minutes=1)
    assert await hear(stage, call_id, name) is None
    assert await stage.everything() == before


async def test_a_callback_for_no_attempt_of_ours_is_refused_and_not_kept(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await hear(stage, "nobody", "completed")
    assert not (await stage.everything())["callbacks"]


@pytest.mark.parametrize("status", CallStatus)
async def test_only_the_end_of_a_call_wakes_its_lead(stage: Stage, status: CallStatus) -> None:
    call_id = await dialled(stage)
    delivery = await stage.hear(call_id, CallFacts(status=status, sid=SID, sequence=1))
    assert (delivery is not None) == status.is_terminal
    if delivery is not None:
        assert (delivery.signal, delivery.event) == (CALL_ENDED, CallEvent(call_id=call_id, status=status))


@pytest.mark.parametrize("who", AnsweredBy)
async def test_a_machine_that_answers_wakes_the_lead(stage: Stage, who: AnsweredBy) -> None:
    call_id = await dialled(stage)
    delivery = await stage.hear(call_id, CallFacts(sid=SID, answered_by=who))
    machine = who in (AnsweredBy.MACHINE, AnsweredBy.FAX)
    assert (delivery.signal if delivery else None) == (MACHINE_ANSWERED if machine else None)


@pytest.mark.parametrize("policy", ["go_on", {"leave_message": "Hello."}])
async def test_a_machine_is_not_hung_up_on_when_the_template_has_other_plans(stage: Stage, policy: Any) -> None:
    call_id = await dialled(stage, voicemail=policy)
    async with stage.database.read() as tx:
        assert not await attempts.is_machine(tx, call_id)
    assert await stage.hear(call_id, CallFacts(sid=SID, answered_by=AnsweredBy.MACHINE)) is None
    async with stage.database.read() as tx:
        assert await attempts.is_machine(tx, call_id)


async def test_a_machine_found_after_the_decision_wakes_nobody(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.end(call_id, CallStatus.COMPLETED, sid=SID)
    await stage.finish(call_id)
    assert await stage.hear(call_id, CallFacts(sid=SID, answered_by=AnsweredBy.MACHINE)) is None
    assert (await stage.row("calls", call_id))["answered_by"] == "machine"


async def test_late_facts_are_kept_and_change_no_decision(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.end(call_id, CallStatus.BUSY, sid=SID)
    end = await stage.finish(call_id)
    await stage.hear(call_id, CallFacts(status=CallStatus.RINGING, sequence=1, sid=SID, ringing_at=after(1)))
    row = await stage.row("calls", call_id)
    assert (row["status"], row["ringing_at"], row["progress"]) == ("busy", after(1), "ended")
    assert await stage.finish(call_id) == end
    await stage.check()


async def test_a_recording_before_the_end_is_told_with_the_decision(stage: Stage) -> None:
    call_id = await dialled(stage)
    assert await hear(stage, call_id, "recording") is None
    await hear(stage, call_id, "completed")
    end = await stage.finish(call_id)
    assert (end.recording_expected, end.recording_ready) == (True, True)


async def test_a_recording_after_the_end_wakes_the_lead(stage: Stage) -> None:
    call_id = await dialled(stage)
    await hear(stage, call_id, "completed")
    end = await stage.finish(call_id)
    assert (end.recording_expected, end.recording_ready) == (True, False)
    delivery = await hear(stage, call_id, "recording")
    assert delivery is not None
    assert (delivery.signal, delivery.event) == (
        RECORDING_READY,
        CallEvent(call_id=call_id, status=CallStatus.COMPLETED),
    )


@pytest.mark.parametrize("early", [True, False])
async def test_news_that_there_is_no_recording_ends_the_wait_for_it(stage: Stage, early: bool) -> None:
    call_id = await dialled(stage)
    absent = RecordingFacts(sid="RE0", call_sid=SID, status=RecordingStatus.ABSENT)

    async def no_recording() -> Delivery | None:
        async with stage.database.write() as tx:
            return await callbacks.take_recording_facts(tx, Received("x", "absent", call_id, {}, stage.now), absent)

    if early:
        assert await no_recording() is None
    await hear(stage, call_id, "completed")
    end = await stage.finish(call_id)
    if early:
        assert end.recording_ready
        assert not end.call.recording
    else:
        delivery = await no_recording()
        assert delivery is not None
        assert delivery.signal == RECORDING_READY


@pytest.mark.parametrize("late", [RecordingStatus.IN_PROGRESS, RecordingStatus.PROCESSING, None])
async def test_a_recording_that_is_complete_stays_so(stage: Stage, late: RecordingStatus | None) -> None:
    call_id = await dialled(stage)
    await hear(stage, call_id, "recording")
    facts = RecordingFacts(sid="RE0", call_sid=SID, status=late, url="https://example.com/RE0")
    async with stage.database.write() as tx:
        await callbacks.take_recording_facts(tx, Received("x", "late", call_id, {}, stage.now), facts)
    row = await stage.row("recordings", "RE0")
    assert (row["status"], row["duration_s"], row["url"]) == ("completed", 19, "https://example.com/RE0")


async def test_a_signal_that_did_not_get_through_is_found_until_it_has(stage: Stage) -> None:
    call_id = await dialled(stage)
    await hear(stage, call_id, "ringing")
    delivery = await hear(stage, call_id, "completed")
    assert delivery is not None

    async def found() -> list[Delivery]:
        async with stage.database.read() as tx:
            return await callbacks.undelivered(tx, older_than=stage.now)

    assert await found() == []
    stage.pass_time(seconds=1)
    assert await found() == [delivery]
    # Twilio's own repetition does not make it two.
    await hear(stage, call_id, "completed")
    assert await found() == [delivery]
    async with stage.database.write() as tx:
        await callbacks.mark_delivered(tx, delivery.callback_id, now=stage.now)
    assert await found() == []


async def test_the_fields_are_kept_as_they_came(stage: Stage) -> None:
    call_id = await dialled(stage)
    await hear(stage, call_id, "ringing")
    ((*_, fields, _, signal, _, delivered),) = (await stage.everything())["callbacks"]
    assert (fields, signal) == ({"name": "ringing"}, None)
    assert delivered is not None


async def test_two_words_for_the_end_are_settled_by_their_sequence(stage: Stage) -> None:
    call_id = await dialled(stage)
    await stage.hear(call_id, CallFacts(status=CallStatus.COMPLETED, sequence=4, sid=SID))
    await stage.hear(call_id, CallFacts(status=CallStatus.NO_ANSWER, sequence=3, sid=SID))
    assert (await stage.row("calls", call_id))["status"] == "completed"
