"""The do-not-call list: how phones come to it, from the API, from files and from conversations."""

import pytest

from breeze_buddy.domain.do_not_call import DoNotCallEntry, DoNotCallInput, ListingSource
from breeze_buddy.store import do_not_call
from breeze_buddy.store.errors import NotFound
from tests.store.stage import Stage, person
from tests.store.test_inbound import Line


async def entry(stage: Stage, phone: str) -> DoNotCallEntry:
    async with stage.database.read() as tx:
        return await do_not_call.get(tx, phone)


async def add(stage: Stage, phone: str, reason: str | None = None) -> bool:
    async with stage.database.write() as tx:
        return await do_not_call.add(tx, phone, source=ListingSource.API, reason=reason, call_id=None, now=stage.now)


async def test_the_first_entry_of_a_phone_stays(stage: Stage) -> None:
    assert await add(stage, person(0), "first")
    assert not await add(stage, person(0), "second")
    assert (await entry(stage, person(0))).reason == "first"


async def test_a_file_adds_what_is_new_in_it_once(stage: Stage) -> None:
    await add(stage, person(0), "first")
    given = [DoNotCallInput(phone=person(n % 700), reason=str(n)) for n in range(1400)]
    async with stage.database.write() as tx:
        assert await do_not_call.add_all(tx, given, source=ListingSource.IMPORT, now=stage.now) == 699
    assert [(await entry(stage, person(n))).reason for n in (0, 1)] == ["first", "1"]
    async with stage.database.read() as tx:
        asked = [person(n) for n in range(690, 1400)]
        assert await do_not_call.listed_among(tx, asked) == {person(n) for n in range(690, 700)}


async def test_a_phone_that_is_not_listed_cannot_be_taken_off(stage: Stage) -> None:
    async with stage.database.write() as tx:
        with pytest.raises(NotFound, match="do-not-call"):
            await do_not_call.remove(tx, person(0))


async def test_whoever_we_called_and_who_asks_so_is_listed_with_the_call(stage: Stage) -> None:
    await stage.number()
    await stage.lead(await stage.campaign())
    call_id = (await stage.grant_one()).call_id
    await stage.dial(call_id)
    for _ in range(2):
        await stage.report(call_id, do_not_call=True)
    listed = await entry(stage, person(0))
    assert (listed.source, listed.call_id) == (ListingSource.CONVERSATION, call_id)


@pytest.mark.parametrize("caller", [person(0), "anonymous"])
async def test_a_caller_who_asks_so_is_listed_unless_the_number_is_hidden(stage: Stage, caller: str) -> None:
    line = Line(stage.database)
    await line.hotline()
    call_id = await line.taken(caller=caller)
    await line.report(call_id, do_not_call=True)
    async with stage.database.read() as tx:
        found = [(each.phone, each.call_id) for each in await do_not_call.listed(tx)]
    assert found == ([(caller, call_id)] if caller != "anonymous" else [])
