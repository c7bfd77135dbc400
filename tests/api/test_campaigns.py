"""Campaigns over REST: created with their leads, started, paused, resumed, cancelled, paced, counted."""

from typing import Any

import pytest

from breeze_buddy.domain.messages import campaign_workflow_id
from tests.api.house import FLOW, House, person


def ada(place: int, **more: Any) -> dict[str, Any]:
    return {"phone": person(place), "variables": {"name": "Ada"}, **more}


async def test_a_campaign_comes_with_its_template_numbers_and_leads(house: House) -> None:
    await house.number("+14155550001")
    made = await house.made(
        "/campaigns",
        {
            "name": "summer",
            "template": {"name": "order", "flow": FLOW},
            "numbers": ["+1 415 555 0001"],
            "leads": [ada(0), ada(1, request_id="a"), ada(2, request_id="a")],
            "calls_per_second": 2,
        },
    )
    assert (made["accepted"], made["duplicates"], made["refused"]) == (2, 1, [])
    campaign = made["campaign"]
    assert (campaign["status"], campaign["open_leads"], campaign["numbers"]) == ("CREATED", 2, ["+14155550001"])
    assert (campaign["template_name"], campaign["calls_per_second"]) == ("order", 2)
    assert (await house.get(f"/campaigns/{campaign['id']}")).json() == campaign
    assert (await house.get("/campaigns")).json() == [campaign]


async def test_leads_without_their_variables_are_refused_by_row(house: House) -> None:
    body = {"name": "summer", "template": {"name": "order", "flow": FLOW}, "leads": [ada(0), {"phone": person(1)}]}
    made = await house.made("/campaigns", body)
    assert made["accepted"] == 1
    (refused,) = made["refused"]
    assert (refused["row"], refused["field"]) == (1, "variables")
    assert "name" in refused["reason"]


@pytest.mark.parametrize(
    ("change", "where", "why"),
    [
        ({"name": ""}, ["name"], "at least 1 character"),
        ({"template": None}, [], "exactly one of template_id, template_name and template"),
        ({"template_name": "order"}, [], "exactly one of"),
        ({"leads": [{"phone": person(0)}, {"phone": "12"}]}, ["leads", 1, "phone"], "'12'"),
        ({"leads": [{"variables": {}}]}, ["leads", 0, "phone"], "required"),
        ({"leads": [ada(0, time_zone="Nowhere")]}, ["leads", 0, "time_zone"], "Nowhere"),
        ({"leads": [ada(0, priority=1000)]}, ["leads", 0, "priority"], "less than or equal to 100"),
        ({"max_concurrent_calls": 0}, ["max_concurrent_calls"], "greater than or equal to 1"),
        ({"calls_per_second": -1}, ["calls_per_second"], "greater than 0"),
        ({"weight": "heavy"}, ["weight"], "valid number"),
        ({"numbers": ["100"]}, ["numbers", 0], "'100'"),
        ({"colour": "red"}, ["colour"], "not permitted"),
    ],
)
async def test_a_bad_definition_says_which_field_and_why_and_writes_nothing(
    house: House, change: dict[str, Any], where: list[Any], why: str
) -> None:
    body = {"name": "summer", "template": {"name": "order", "flow": FLOW}, **change}
    answer = await house.post("/campaigns", body)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["body", *where]
    assert why in problem["msg"]
    assert (await house.get("/campaigns")).json() == (await house.get("/templates")).json() == []


@pytest.mark.parametrize(
    "change",
    [{"numbers": ["+14155559999"]}, {"template": None, "template_name": "x"}, {"template": None, "template_id": "x"}],
)
async def test_what_a_definition_names_must_be_there(house: House, change: dict[str, Any]) -> None:
    answer = await house.post("/campaigns", {"name": "s", "template": {"name": "order", "flow": FLOW}, **change})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await house.get("/campaigns")).json() == (await house.get("/templates")).json() == []


async def test_the_same_request_id_gives_the_same_campaign(house: House) -> None:
    body = {"name": "s", "template": {"name": "order", "flow": FLOW}, "leads": [ada(0)], "request_id": "r1"}
    first = await house.made("/campaigns", body)
    again = await house.made("/campaigns", body)
    assert again["campaign"] == first["campaign"]
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert len((await house.get("/campaigns")).json()) == 1


async def change(house: House, campaign_id: str, verb: str, body: Any = None) -> Any:
    answer = await house.post(f"/campaigns/{campaign_id}/{verb}", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_start_pause_resume_and_cancel_reach_the_workflow(house: House) -> None:
    campaign_id = await house.campaign(leads=[ada(0)])
    assert (await change(house, campaign_id, "start"))["status"] == "RUNNING"
    assert (await change(house, campaign_id, "start"))["status"] == "RUNNING"
    paused = await change(house, campaign_id, "pause")
    assert (paused["status"], paused["status_reason"]) == ("PAUSED", "paused by request")
    resumed = await change(house, campaign_id, "resume")
    assert (resumed["status"], resumed["status_reason"]) == ("RUNNING", None)
    cancelled = await change(house, campaign_id, "cancel", {"hang_up": False})
    assert cancelled["status"] == "CANCELLED"
    handle = house.temporal.get_workflow_handle(campaign_workflow_id(campaign_id))
    signals = await house.signals_of_workflow(handle.id)
    assert signals[-3:] == ["pause", "resume", "cancel"]
    described = await handle.describe()
    assert await described.static_summary() == "summer"
    assert described.search_attributes["CampaignId"] == [campaign_id]


@pytest.mark.parametrize(
    ("before", "verb", "states"),
    [
        ((), "pause", "CREATED to PAUSED"),
        (("cancel",), "start", "CANCELLED to RUNNING"),
        (("cancel",), "pause", "CANCELLED to PAUSED"),
        (("cancel",), "resume", "CANCELLED to RUNNING"),
    ],
)
async def test_what_a_campaign_cannot_do_is_409_and_names_both_states(
    house: House, before: tuple[str, ...], verb: str, states: str
) -> None:
    campaign_id = await house.campaign()
    for step in before:
        await change(house, campaign_id, step)
    answer = await house.post(f"/campaigns/{campaign_id}/{verb}")
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    assert states in answer.json()["message"]


async def test_cancelling_twice_is_no_error(house: House) -> None:
    campaign_id = await house.campaign()
    assert (await change(house, campaign_id, "cancel"))["status"] == "CANCELLED"
    assert (await change(house, campaign_id, "cancel"))["status"] == "CANCELLED"


async def test_pacing_changes_only_what_is_named(house: House) -> None:
    campaign_id = await house.campaign(max_concurrent_calls=3, weight=2)
    answer = await house.ask("PATCH", f"/campaigns/{campaign_id}", json={"calls_per_second": 0.5})
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["max_concurrent_calls"], changed["calls_per_second"], changed["weight"]) == (3, 0.5, 2)
    cleared = await house.ask("PATCH", f"/campaigns/{campaign_id}", json={"max_concurrent_calls": None})
    assert cleared.json()["max_concurrent_calls"] is None
    bad = await house.ask("PATCH", f"/campaigns/{campaign_id}", json={"weight": 0})
    assert bad.json()["detail"][0]["loc"] == ["body", "weight"]


async def test_a_higher_limit_is_used_at_once(house: House) -> None:
    await house.number(channels=5)
    campaign_id = await house.campaign(
        numbers=["+14155550001"], max_concurrent_calls=1, leads=[ada(n) for n in range(4)]
    )
    await change(house, campaign_id, "start")
    # Priming is the workflow's work; here it is the change that dispatches.
    for limit, live in ((1, 1), (3, 3)):
        await house.ask("PATCH", f"/campaigns/{campaign_id}", json={"max_concurrent_calls": limit})
        progress = (await house.get(f"/campaigns/{campaign_id}/progress")).json()
        assert (progress["live_calls"], progress["leads"]["PROCESSING"]) == (live, live)
    assert progress["leads"] == {"BACKLOG": 1, "PROCESSING": 3, "RETRY": 0, "FINISHED": 0}
    assert (progress["status"], progress["campaign_id"]) == ("RUNNING", campaign_id)


async def test_campaigns_are_listed_by_status_the_newest_first(house: House) -> None:
    ids = [await house.campaign(name=f"c{n}") for n in range(3)]
    await change(house, ids[1], "start")

    async def listed(**query: Any) -> list[str]:
        return [campaign["id"] for campaign in (await house.get("/campaigns", params=query)).json()]

    assert await listed() == ids[::-1]
    assert await listed(limit=2) == ids[:0:-1]
    assert await listed(status="RUNNING") == [ids[1]]
    assert await listed(status="COMPLETED") == []
    for bad in ({"status": "SLEEPING"}, {"limit": 0}, {"limit": 100_000}):
        assert (await house.get("/campaigns", params=bad)).status_code == 422


async def test_leads_of_a_campaign_are_read_page_by_page(house: House) -> None:
    campaign_id = await house.campaign(leads=[ada(n) for n in range(5)])
    found: list[str] = []
    pages, after = 0, None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({"after": after} if after else {})
        page = (await house.get(f"/campaigns/{campaign_id}/leads", params=query)).json()
        found += [lead["phone"] for lead in page["items"]]
        pages, after = pages + 1, page["next"]
        if after is None:
            break
    assert (sorted(found), pages) == ([person(n) for n in range(5)], 3)
    by_status = (await house.get(f"/campaigns/{campaign_id}/leads", params={"status": "FINISHED"})).json()
    assert by_status == {"items": [], "next": None}
    assert (await house.get(f"/campaigns/{campaign_id}/leads", params={"after": "x"})).status_code == 404
    assert (await house.get(f"/campaigns/{campaign_id}/leads", params={"status": "x"})).status_code == 422


async def test_a_campaign_without_any_number_is_refused_with_the_field(house: House) -> None:
    without = House(house.settings.model_copy(update={"twilio_phone_number": None}), house.database, house.temporal)
    answer = await without.post("/campaigns", {"name": "s", "template": {"name": "order", "flow": FLOW}})
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert (problem["loc"], problem["type"]) == (["body", "numbers"], "no_numbers")
    assert "TWILIO_PHONE_NUMBER" in problem["msg"]
    await without.close()
