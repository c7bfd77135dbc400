"""Templates, numbers, campaigns and leads as they are written: once each, whole or not at all."""

import asyncio
from datetime import timedelta

import pytest

from breeze_buddy.activities.enrolment import NewCampaign, NoNumbers, enrol, new_lead, standing_campaign
from breeze_buddy.domain.campaign import Campaign, CampaignDefinition, CampaignStatus
from breeze_buddy.domain.errors import MissingVariables
from breeze_buddy.domain.lead import LeadInput
from breeze_buddy.domain.number import NumberInput, NumberUpdate
from breeze_buddy.store import campaigns, leads, numbers, templates
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.leads import Added, NewLead
from tests.store.stage import NOON, OUR_PHONE, Stage, a_template, person

NEEDS_NAME = {"nodes": {"start": {"say": "Hello {name}.", "then": {"action": "end_conversation"}}}}


def definition(**changes: object) -> CampaignDefinition:
    given = [{"phone": person(n)} for n in range(3)]
    return CampaignDefinition.model_validate({"name": "autumn", "template": a_template(), "leads": given, **changes})


async def enrolled(stage: Stage, wanted: CampaignDefinition, default: str | None = OUR_PHONE) -> NewCampaign:
    async with stage.database.write() as tx:
        return await enrol(tx, wanted, default_number=default, now=stage.now)


async def add(stage: Stage, campaign_id: str, *requests: str | None) -> Added:
    new = [NewLead(LeadInput(phone=person(n), request_id=request), NOON) for n, request in enumerate(requests)]
    async with stage.database.write() as tx:
        return await leads.add(tx, campaign_id, new, now=stage.now)


async def test_a_definition_becomes_a_campaign_with_its_leads(stage: Stage) -> None:
    made = await enrolled(stage, definition(max_concurrent_calls=3, calls_per_second=0.5, weight=2, priority=-1))
    campaign = made.campaign
    assert (made.accepted, made.duplicates, made.refused) == (3, 0, [])
    assert (campaign.status, campaign.numbers, campaign.open_leads) == (CampaignStatus.CREATED, (OUR_PHONE,), 3)
    assert (campaign.max_concurrent_calls, campaign.calls_per_second) == (3, 0.5)
    assert (campaign.weight, campaign.priority) == (2, -1)
    await stage.check()


async def test_the_same_request_gives_the_same_campaign(stage: Stage) -> None:
    wanted = definition(request_id="r1")
    first = await enrolled(stage, wanted)
    before = await stage.everything()
    again = await enrolled(stage, wanted)
    assert again.campaign == first.campaign
    assert (again.accepted, again.duplicates) == (0, 3)
    assert await stage.everything() == before


async def test_leads_that_lack_variables_are_named_and_the_others_written(stage: Stage) -> None:
    given = [{"phone": person(0)}, {"phone": person(1), "variables": {"name": "Ada"}}, {"phone": person(2)}]
    made = await enrolled(stage, definition(template=a_template(flow=NEEDS_NAME), leads=given))
    assert made.accepted == 1
    assert [(lead.row, lead.field) for lead in made.refused] == [(0, "variables"), (2, "variables")]
    assert all("name" in lead.reason for lead in made.refused)


async def test_a_lead_is_due_when_it_wants_to_be_and_brings_what_its_template_says(stage: Stage) -> None:
    later = NOON + timedelta(hours=2)
    dues = [
        new_lead(a_template(), LeadInput(phone=person(0), not_before=when), now=NOON).due_at
        for when in (None, NOON - timedelta(hours=2), later)
    ]
    assert dues == [NOON, NOON, later]
    with pytest.raises(MissingVariables):
        new_lead(a_template(variables=["name"]), LeadInput(phone=person(0)), now=NOON)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"numbers": ["+14155559999"]}, NotFound),
        ({"template": None, "template_name": "nothing"}, NotFound),
        ({"template": None, "template_id": "nothing"}, NotFound),
        ({}, NoNumbers),
    ],
)
async def test_a_definition_that_cannot_be_met_writes_nothing(
    stage: Stage, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await enrolled(stage, definition(**changes), default=None)
    assert not any((await stage.everything()).values())


async def test_a_whole_template_is_registered_by_its_name(stage: Stage) -> None:
    first = await enrolled(stage, definition())
    same = await enrolled(stage, definition())
    changed = await enrolled(stage, definition(template=a_template(ring_timeout_s=15)))
    assert first.campaign.template_id == same.campaign.template_id == changed.campaign.template_id
    async with stage.database.read() as tx:
        (stored,) = await templates.listed(tx)
    assert (stored.version, stored.template.ring_timeout_s) == (2, 15)


async def test_a_lead_is_added_once_for_each_request_id(stage: Stage) -> None:
    campaign = await stage.campaign()
    first = await add(stage, campaign.id, "a", "b", "a", None, None)
    assert (len(first.ids), first.duplicates) == (4, 1)
    second = await add(stage, campaign.id, "b", "c", "c")
    assert (len(second.ids), second.duplicates) == (1, 2)
    assert (await stage.read_campaign(campaign)).open_leads == 5
    async with stage.database.read() as tx:
        found = await leads.by_request(tx, campaign.id, "b")
        assert found is not None
        assert found.id == first.ids[1]
        assert await leads.by_request(tx, campaign.id, "z") is None
    # Request ids are those of one campaign.
    assert len((await add(stage, (await stage.campaign("other")).id, "a")).ids) == 1
    await stage.check()


async def test_many_request_ids_are_known_again(stage: Stage) -> None:
    campaign = await stage.campaign()
    many = [f"r{n}" for n in range(1200)]
    assert len((await add(stage, campaign.id, *many)).ids) == 1200
    assert (await add(stage, campaign.id, *many)).duplicates == 1200


async def test_leads_for_a_completed_campaign_set_it_going_again(stage: Stage) -> None:
    campaign = await stage.campaign(status=CampaignStatus.COMPLETED)
    await add(stage, campaign.id, "a")
    now = await stage.read_campaign(campaign)
    assert (now.status, now.ended_at, now.open_leads) == (CampaignStatus.RUNNING, None, 1)


async def test_leads_for_a_cancelled_or_unknown_campaign_are_refused(stage: Stage) -> None:
    campaign = await stage.campaign(status=CampaignStatus.CANCELLED)
    with pytest.raises(Conflict, match="cancelled"):
        await add(stage, campaign.id, "a")
    with pytest.raises(NotFound):
        await add(stage, "nothing", "a")


async def test_leads_are_listed_page_by_page(stage: Stage) -> None:
    campaign = await stage.campaign()
    wanted = []
    for place in range(3):
        # Leads of one upload have one time of creation.
        wanted += sorted(await stage.leads(campaign, [person(2 * place), person(2 * place + 1)]))
        stage.pass_time(seconds=1)
    found: list[str] = []
    async with stage.database.read() as tx:
        while page := await leads.listed(tx, campaign_id=campaign.id, after=found[-1] if found else None, limit=4):
            found += [lead.id for lead in page]
        assert found == wanted
        assert [lead.phone for lead in await leads.listed(tx, phone=person(3))] == [person(3)]
        assert await leads.listed(tx, campaign_id="nothing") == []
        with pytest.raises(NotFound):
            await leads.listed(tx, after="nothing")


async def test_a_number_is_registered_once(stage: Stage) -> None:
    number = await stage.number(channels=2)
    with pytest.raises(Conflict, match="registered already"):
        await stage.number()
    async with stage.database.write() as tx:
        assert await numbers.ensure(tx, OUR_PHONE, now=NOON) == number.id
        with pytest.raises(NotFound):
            await numbers.change(tx, "nothing", NumberUpdate(channels=3))
        with pytest.raises(NotFound):
            await numbers.change(tx, "nothing", NumberUpdate())


async def test_a_template_is_named_once_and_counts_its_versions(stage: Stage) -> None:
    async with stage.database.write() as tx:
        first = await templates.create(tx, a_template("one"), now=NOON)
        other = await templates.create(tx, a_template("two"), now=NOON)
        with pytest.raises(Conflict, match="'one'"):
            await templates.create(tx, a_template("one"), now=NOON)
        with pytest.raises(Conflict, match="'one'"):
            await templates.replace(tx, other.id, a_template("one"), now=NOON)
        with pytest.raises(NotFound):
            await templates.replace(tx, "nothing", a_template("three"), now=NOON)
        changed = await templates.replace(tx, first.id, a_template("uno"), now=NOON)
        assert (changed.id, changed.version, changed.template.name) == (first.id, 2, "uno")


async def standing(stage: Stage) -> Campaign:
    async with stage.database.write() as tx:
        stored = await templates.register(tx, a_template(), now=NOON)
        return await standing_campaign(tx, stored, default_number=OUR_PHONE, now=NOON)


async def test_leads_pushed_alone_share_their_templates_standing_campaign(stage: Stage) -> None:
    first = await standing(stage)
    assert (first.standing, first.status, first.numbers) == (True, CampaignStatus.RUNNING, (OUR_PHONE,))
    assert (await standing(stage)).id == first.id


async def test_a_standing_campaign_uses_numbers_that_were_registered_later(stage: Stage) -> None:
    await standing(stage)
    async with stage.database.write() as tx:
        await numbers.create(tx, NumberInput(phone="+14155550009", channels=2), now=NOON)
        await numbers.create(tx, NumberInput(phone="+14155550008", enabled=False), now=NOON)
    assert (await standing(stage)).numbers == (OUR_PHONE, "+14155550009")


async def test_the_same_things_asked_for_at_once_are_made_once(stage: Stage) -> None:
    """Whoever comes second finds what the first one made, on both databases."""
    await asyncio.gather(*(enrolled(stage, definition(request_id="r1")) for _ in range(6)))
    made = await asyncio.gather(*(standing(stage) for _ in range(6)))
    assert len({campaign.id for campaign in made}) == 1
    await asyncio.gather(*(add(stage, made[0].id, "a", "b") for _ in range(6)))
    async with stage.database.read() as tx:
        assert len(await campaigns.listed(tx)) == 2
        assert len(await leads.listed(tx, campaign_id=made[0].id)) == 2
        assert len(await templates.listed(tx)) == len(await numbers.listed(tx)) == 1
    await stage.check()
