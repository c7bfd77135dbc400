"""Which of our numbers a call goes out from."""

from datetime import timedelta

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.number import NumberInput, NumberUpdate
from breeze_buddy.domain.presence import nearness
from breeze_buddy.store import backlog, numbers
from tests.store.stage import NOON, Stage

LONDON, NEW_YORK, BOSTON, MUMBAI = "+442071838750", "+12125550001", "+16175550001", "+912226543210"


async def calls_from(stage: Stage, call_id: str) -> str:
    return str((await stage.row("calls", call_id))["from_phone"])


async def test_the_same_area_comes_first_then_the_same_country(stage: Stage) -> None:
    for phone in (LONDON, NEW_YORK, BOSTON):
        await stage.number(phone, channels=5)
    campaign = await stage.campaign()
    for phone, expected in (("+12125559999", NEW_YORK), ("+16175559999", BOSTON), ("+442079460000", LONDON)):
        await stage.lead(campaign, phone)
        assert await calls_from(stage, (await stage.grant_one()).call_id) == expected
    await stage.lead(campaign, "+13055559999")
    assert await calls_from(stage, (await stage.grant_one()).call_id) in (NEW_YORK, BOSTON)


async def test_among_equals_the_one_that_called_least_today(stage: Stage) -> None:
    for phone in (NEW_YORK, BOSTON):
        await stage.number(phone, channels=1)
    campaign = await stage.campaign()
    used = []
    for place in range(6):
        await stage.lead(campaign, f"+1305555{1000 + place}")
        grant = await stage.grant_one()
        used.append(await calls_from(stage, grant.call_id))
        await stage.dial(grant.call_id)
        await stage.end(grant.call_id, CallStatus.COMPLETED)
        await stage.finish(grant.call_id)
    assert used.count(NEW_YORK) == used.count(BOSTON) == 3


async def test_a_number_makes_no_more_calls_a_day_than_its_cap(stage: Stage) -> None:
    async with stage.database.write() as tx:
        await numbers.create(tx, NumberInput(phone=NEW_YORK, channels=5, daily_cap=2), now=stage.now)
    campaign = await stage.campaign()
    await stage.leads(campaign, [f"+1305555{1000 + n}" for n in range(4)])
    midnight = (NOON + timedelta(days=1)).replace(hour=0)
    for granted in (2, 0):
        # The campaign waits for the end of the day before its calls are used up: nobody will tell it when they are.
        async with stage.database.read() as tx:
            assert await backlog.next_wake(tx, campaign.id, now=stage.now) == midnight
        assert len(await stage.grant()) == granted
    stage.now = midnight
    assert len(await stage.grant()) == 2


async def test_a_campaign_without_a_daily_cap_does_not_wake_for_the_end_of_the_day(stage: Stage) -> None:
    async with stage.database.write() as tx:
        off = NumberInput(phone=BOSTON, daily_cap=1, enabled=False)
        await numbers.create(tx, off, now=stage.now)
    await stage.number(NEW_YORK)
    campaign = await stage.campaign()
    await stage.lead(campaign)
    async with stage.database.read() as tx:
        assert await backlog.next_wake(tx, campaign.id, now=stage.now) is None


async def test_a_call_that_was_never_made_does_not_count_for_the_day(stage: Stage) -> None:
    async with stage.database.write() as tx:
        await numbers.create(tx, NumberInput(phone=NEW_YORK, channels=5, daily_cap=1), now=stage.now)
    campaign = await stage.campaign()
    lead_id = await stage.lead(campaign, "+13055551000", expires_at=NOON + timedelta(minutes=1))
    grant = await stage.grant_one()
    stage.pass_time(minutes=2)
    await stage.accept(grant.call_id)
    assert (await stage.read_lead(lead_id)).status == "FINISHED"
    await stage.lead(campaign, "+13055551001")
    assert len(await stage.grant()) == 1


async def test_a_number_switched_off_while_calls_run_gets_no_new_ones(stage: Stage) -> None:
    number = await stage.number(NEW_YORK, channels=3)
    campaign = await stage.campaign()
    await stage.leads(campaign, [f"+1305555{1000 + n}" for n in range(2)])
    (running, _) = await stage.grant()
    await stage.lead(campaign, "+13055551005")
    async with stage.database.write() as tx:
        await numbers.change(tx, number.id, NumberUpdate(enabled=False))
    assert await stage.grant() == []
    await stage.dial(running.call_id)
    await stage.end(running.call_id, CallStatus.COMPLETED)
    await stage.finish(running.call_id)
    assert await stage.grant() == []
    await stage.check()


def test_nearness() -> None:
    assert nearness(NEW_YORK, "+12125550000") == 2
    assert nearness(NEW_YORK, BOSTON) == 1
    assert nearness(LONDON, NEW_YORK) == 0
    assert nearness(MUMBAI, "+919876543210") == 1
