"""Reading many campaigns costs no more questions than reading one."""

from sqlalchemy import event

from breeze_buddy.store import campaigns
from breeze_buddy.store.database import Database

from .stage import Stage


async def questions_of_a_list(database: Database, expected: int) -> int:
    asked: list[str] = []

    def note(*given: object) -> None:
        asked.append(str(given[2]))

    async with database.read() as tx:
        event.listen(tx.sync_connection, "before_cursor_execute", note)
        found = await campaigns.listed(tx)
        event.remove(tx.sync_connection, "before_cursor_execute", note)
    assert len(found) == expected
    assert all(campaign.numbers == ("+14155550000", "+14155550001") for campaign in found)
    return len(asked)


async def test_a_list_of_campaigns_asks_as_often_as_one(database: Database) -> None:
    stage = Stage(database)
    for phone in ("+14155550000", "+14155550001"):
        await stage.number(phone)
    await stage.campaign("first")
    one = await questions_of_a_list(database, 1)
    for place in range(9):
        await stage.campaign(f"other {place}")
    assert await questions_of_a_list(database, 10) == one <= 2
