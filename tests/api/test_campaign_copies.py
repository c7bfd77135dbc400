"""Clones and redials over REST, before anything is dialled."""

from typing import Any

import pytest
from sqlalchemy import update

from breeze_buddy.store.schema import campaigns, leads
from tests.api.house import House, person


def people(*places: int) -> list[dict[str, Any]]:
    return [{"phone": person(place), "variables": {"name": "Ada"}, "request_id": f"r{place}"} for place in places]


async def finished(house: House, campaign_id: str, phone: str, outcome: str) -> None:
    """What calls would have come to."""
    now = house.database.now()
    async with house.database.write() as tx:
        await tx.execute(
            update(leads)
            .where(leads.c.campaign_id == campaign_id, leads.c.phone == phone)
            .values(status="FINISHED", outcome=outcome, finished_at=now)
        )
        await tx.execute(
            update(campaigns).where(campaigns.c.id == campaign_id).values(open_leads=campaigns.c.open_leads - 1)
        )


async def leads_of(house: House, campaign_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await house.get(f"/campaigns/{campaign_id}/leads")).json()["items"]
    return items


async def test_a_clone_has_the_definition_and_the_leads_that_were_chosen(house: House) -> None:
    await house.number("+14155550001")
    campaign_id = await house.campaign(
        numbers=["+14155550001"],
        weight=3,
        calls_per_second=2,
        pool="big",
        circuit_breaker={"window_calls": 7},
        leads=people(0, 1, 2, 3),
    )
    await finished(house, campaign_id, person(0), "BUSY")
    await finished(house, campaign_id, person(1), "COMPLETED")
    await finished(house, campaign_id, person(2), "DO_NOT_CALL")
    source = (await house.get(f"/campaigns/{campaign_id}")).json()
    for chosen, phones in (
        (None, []),
        ("none", []),
        ("all", [person(0), person(1), person(3)]),
        (["BUSY", "NO_ANSWER"], [person(0)]),
    ):
        clone = await house.made(f"/campaigns/{campaign_id}/clone", None if chosen is None else {"leads": chosen})
        for field in ("template_id", "numbers", "weight", "calls_per_second", "pool", "circuit_breaker"):
            assert clone[field] == source[field], field
        assert (clone["name"], clone["status"], clone["cloned_from"]) == ("summer (copy)", "CREATED", campaign_id)
        copies = await leads_of(house, clone["id"])
        assert sorted(lead["phone"] for lead in copies) == phones
        assert all((lead["status"], lead["attempts"], lead["outcome"]) == ("BACKLOG", 0, None) for lead in copies)
        assert all(lead["variables"] == {"name": "Ada"} for lead in copies)


async def test_a_clone_that_is_asked_for_twice_is_one_and_whole(house: House) -> None:
    campaign_id = await house.campaign(leads=people(0, 1, 2))
    asked = {"leads": "all", "request_id": "once", "start_at": "2099-01-01T09:00:00+01:00"}
    first = await house.made(f"/campaigns/{campaign_id}/clone", asked)
    assert first["status_reason"] == "starts at 2099-01-01 08:00:00 UTC"
    again = await house.made(f"/campaigns/{campaign_id}/clone", asked)
    assert again == first
    assert len(await leads_of(house, first["id"])) == 3
    other = await house.post(f"/campaigns/{first['id']}/clone", asked)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


async def test_a_redial_by_two_clicks_is_one(house: House) -> None:
    campaign_id = await house.campaign(leads=people(0, 1))
    await finished(house, campaign_id, person(0), "NO_ANSWER")
    answers = [await house.post(f"/campaigns/{campaign_id}/redial", {"outcomes": ["NO_ANSWER"]}) for _ in range(2)]
    assert [answer.json()["redialled"] for answer in answers] == [1, 0]
    assert answers[1].json()["campaign"]["open_leads"] == 2
    phones = [lead["phone"] for lead in await leads_of(house, campaign_id)]
    assert sorted(phones) == [person(0), person(0), person(1)]


@pytest.mark.parametrize("outcomes", [["DO_NOT_CALL"], ["BUSY", "DO_NOT_CALL"], [], ["LATER"]])
async def test_who_must_not_be_called_is_not_called_again(house: House, outcomes: list[str]) -> None:
    campaign_id = await house.campaign(leads=people(0))
    for path, body in (("redial", {"outcomes": outcomes}), ("clone", {"leads": outcomes})):
        answer = await house.post(f"/campaigns/{campaign_id}/{path}", body)
        assert answer.status_code == 422, answer.text


async def test_a_cancelled_campaign_is_not_redialled(house: House) -> None:
    campaign_id = await house.campaign(leads=people(0))
    await house.post(f"/campaigns/{campaign_id}/cancel")
    answer = await house.post(f"/campaigns/{campaign_id}/redial", {"outcomes": ["CANCELLED"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "clone" in answer.json()["message"]
    clone = await house.made(f"/campaigns/{campaign_id}/clone", {"leads": ["CANCELLED"]})
    assert clone["open_leads"] == 1


async def test_the_circuit_breaker_is_on_unless_it_is_switched_off(house: House) -> None:
    campaign_id = await house.campaign()
    default = {"failure_share": 0.5, "window_calls": 20, "window_minutes": 60}
    assert (await house.get(f"/campaigns/{campaign_id}")).json()["circuit_breaker"] == default
    answer = await house.ask("PATCH", f"/campaigns/{campaign_id}", json={"circuit_breaker": None, "weight": 2})
    assert (answer.json()["circuit_breaker"], answer.json()["weight"]) == (None, 2)
    without = await house.campaign(name="without", circuit_breaker=None)
    assert (await house.get(f"/campaigns/{without}")).json()["circuit_breaker"] is None
    wrong = await house.ask("PATCH", f"/campaigns/{campaign_id}", json={"circuit_breaker": {"failure_share": 2}})
    assert wrong.json()["detail"][0]["loc"] == ["body", "circuit_breaker", "failure_share"]
