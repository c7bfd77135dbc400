"""Results of a campaign, page by page, on both databases."""

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.store import results
from breeze_buddy.store.results import LeadResult
from tests.store.stage import Stage, person


async def all_pages(stage: Stage, campaign_id: str, *, limit: int) -> list[LeadResult]:
    found: list[LeadResult] = []
    async with stage.database.read() as tx:
        while page := await results.page(tx, campaign_id, after=found[-1].row if found else None, limit=limit):
            found += page
    return found


async def test_pages_hold_each_lead_once_also_those_with_the_same_phone(stage: Stage) -> None:
    campaign, other = await stage.campaign(), await stage.campaign()
    for n in (3, 1, 2, 1, 1, 0):
        await stage.lead(campaign, phone=person(n))
    await stage.lead(other, phone=person(1))
    found = await all_pages(stage, campaign.id, limit=2)
    assert [lead.row.phone for lead in found] == [person(n) for n in (0, 1, 1, 1, 2, 3)]
    assert len({lead.row.id for lead in found}) == 6


async def test_a_lead_comes_with_its_calls_and_what_was_said(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    await stage.lead(campaign, variables={"name": "Ada", "City": "Pune"})
    call_id = (await stage.grant_one()).call_id
    await stage.dial(call_id)
    await stage.end(call_id, CallStatus.COMPLETED, duration_s=12)
    await stage.report(call_id, result="confirmed", answers={"order": "yes"})
    (lead,) = await all_pages(stage, campaign.id, limit=10)
    (call,) = lead.calls
    assert (call.row.id, call.row.duration_s) == (call_id, 12)
    assert (call.ending, call.result, call.answers) == ("reached_end", "confirmed", {"order": "yes"})
    async with stage.database.read() as tx:
        names = await results.names(tx, campaign.id)
    assert (names.variables, names.answers) == (("City", "name"), ("order",))


async def test_a_call_without_a_conversation_brings_no_answers(stage: Stage) -> None:
    await stage.number()
    campaign = await stage.campaign()
    await stage.lead(campaign)
    await stage.dial((await stage.grant_one()).call_id)
    (lead,) = await all_pages(stage, campaign.id, limit=10)
    assert [(call.ending, call.result, call.answers) for call in lead.calls] == [(None, None, {})]
