"""Single leads over REST: pushed, read with their calls, listed, cancelled."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breeze_buddy.domain.messages import lead_workflow_id
from breeze_buddy.store.database import Database
from tests.api.house import FLOW, House, person


async def test_a_pushed_lead_is_dialled_at_once_on_a_free_line(house: House) -> None:
    await house.template()
    await house.number()
    pushed = await house.push(time_zone="Asia/Kolkata", priority=3)
    assert (pushed["phone"], pushed["variables"], pushed["priority"]) == (person(0), {"name": "Ada"}, 3)
    lead = await house.lead(pushed["id"])
    assert [change["status"] for change in lead["history"]] == ["BACKLOG", "PROCESSING"]
    (call,) = lead["calls"]
    assert (call["attempt"], call["progress"], call["to_phone"], call["counted"]) == (1, "granted", person(0), False)
    assert (call["recording"], call["conversation"], call["status"]) == (None, None, None)
    assert (await house.get(f"/calls/{call['id']}")).json() == call
    # Its workflow has started, with the grant.
    handle = house.temporal.get_workflow_handle(lead_workflow_id(pushed["id"]))
    described = await handle.describe()
    assert described.search_attributes["LeadStatus"] == ["PROCESSING"]
    assert described.search_attributes["TemplateName"] == ["order"]
    assert person(0) not in str(await described.static_summary())
    assert await house.signals_of(pushed["id"]) == ["grant"]


async def test_a_lead_waits_while_all_lines_are_busy(house: House) -> None:
    await house.template()
    await house.number(channels=1)
    await house.push(person(0))
    second = await house.push(person(1))
    assert (await house.lead(second["id"]))["status"] == "BACKLOG"
    assert (await house.lead(second["id"]))["calls"] == []


async def test_a_lead_that_waits_for_a_line_ends_when_its_time_is_over(house: House) -> None:
    await house.template()
    await house.push()
    until = (house.database.now() + timedelta(minutes=10)).isoformat()
    lead = await house.push(person(1), expires_at=until)
    assert lead["status"] == "BACKLOG"
    # Nobody comes free at that moment: the campaign's workflow waits for it.
    assert await house.signals_of_workflow(f"campaign-{lead['campaign_id']}") == ["leads_added"]


async def test_the_same_request_id_gives_the_first_lead(house: House) -> None:
    await house.template()
    first = await house.push(request_id="r1")
    body = {"template_name": "order", "phone": person(5), "variables": {"name": "Bob"}, "request_id": "r1"}
    again = await house.post("/leads", body)
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["phone"]) == (first["id"], person(0))
    assert len((await house.get("/leads")).json()["items"]) == 1
    assert await house.signals_of(first["id"]) == ["grant"]


async def test_a_lead_can_name_its_template_by_id(house: House) -> None:
    template_id = await house.template()
    body = {"template_id": template_id, "phone": person(0), "variables": {"name": "Ada"}}
    assert (await house.post("/leads", body)).status_code == 201


@pytest.mark.parametrize(
    ("change", "where", "why"),
    [
        ({"phone": "12"}, ["phone"], "'12'"),
        ({"phone": None}, ["phone"], "string"),
        ({"variables": {}}, ["variables"], "the template needs name"),
        ({"variables": {"name": "   "}}, ["variables"], "the template needs name"),
        ({"variables": {"name": "x" * 1001}}, ["variables", "name"], "at most 1000"),
        ({"time_zone": "Here"}, ["time_zone"], "Here"),
        ({"priority": 101}, ["priority"], "less than or equal to 100"),
        ({"request_id": ""}, ["request_id"], "at least 1"),
        ({"template_id": "x"}, [], "exactly one of template_id and template_name"),
        ({"template_name": None}, [], "exactly one of template_id and template_name"),
        ({"colour": "red"}, ["colour"], "not permitted"),
    ],
)
async def test_a_bad_lead_says_which_field_and_why(
    house: House, change: dict[str, Any], where: list[str], why: str
) -> None:
    await house.template()
    body = {"template_name": "order", "phone": person(0), "variables": {"name": "Ada"}, **change}
    answer = await house.post("/leads", body)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["body", *where]
    assert why in problem["msg"]
    assert (await house.get("/leads")).json() == {"items": [], "next": None}


async def test_a_lead_of_an_unknown_template_is_404(house: House) -> None:
    answer = await house.post("/leads", {"template_name": "nothing", "phone": person(0)})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "'nothing'" in answer.json()["message"]


async def test_leads_are_listed_by_status_campaign_and_phone(house: House) -> None:
    await house.template()
    await house.number(channels=1)
    live = await house.push(person(0))
    waiting = [await house.push(person(n)) for n in (1, 2, 3)]

    async def found(**query: Any) -> list[str]:
        answer = await house.get("/leads", params=query)
        assert answer.status_code == 200, answer.text
        return [lead["id"] for lead in answer.json()["items"]]

    assert await found(status="PROCESSING") == [live["id"]]
    assert await found(status="BACKLOG") == [lead["id"] for lead in waiting]
    assert await found(campaign_id=live["campaign_id"], limit=2) == [live["id"], waiting[0]["id"]]
    assert await found(campaign_id="nothing") == []
    assert await found(phone="+1 (212) 555-1002") == [waiting[1]["id"]]
    assert await found(after=waiting[1]["id"]) == [waiting[2]["id"]]
    for bad in ({"status": "GONE"}, {"limit": 0}, {"limit": 1001}, {"phone": "x"}):
        assert (await house.get("/leads", params=bad)).status_code == 422
    assert (await house.get("/leads", params={"after": "nobody"})).status_code == 404


async def test_a_waiting_lead_is_cancelled_at_once(house: House) -> None:
    await house.template()
    await house.number(channels=1)
    await house.push(person(0))
    waiting = await house.push(person(1))
    for _ in range(2):
        answer = await house.post(f"/leads/{waiting['id']}/cancel")
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["outcome"]) == ("FINISHED", "CANCELLED")


async def test_the_campaign_hears_that_its_last_lead_was_cancelled(house: House) -> None:
    campaign_id = await house.campaign(leads=[{"phone": person(0), "variables": {"name": "Ada"}}])
    await house.post(f"/campaigns/{campaign_id}/start")
    ((lead,),) = ((await house.get(f"/campaigns/{campaign_id}/leads")).json()["items"],)
    await house.post(f"/leads/{lead['id']}/cancel")
    assert (await house.signals_of_workflow(f"campaign-{campaign_id}"))[-1] == "leads_finished"


async def test_a_lead_on_its_line_is_cancelled_by_its_workflow(house: House) -> None:
    await house.template()
    lead = await house.push()
    answer = await house.post(f"/leads/{lead['id']}/cancel", {"hang_up": False})
    assert (answer.status_code, answer.json()["status"]) == (200, "PROCESSING")
    assert await house.signals_of(lead["id"]) == ["grant", "cancel"]


async def test_a_lead_whose_workflow_is_gone_is_cancelled_all_the_same(house: House) -> None:
    await house.template()
    lead = await house.push()
    handle = house.temporal.get_workflow_handle(lead_workflow_id(lead["id"]))
    first = (await handle.describe()).run_id
    await handle.terminate()
    assert (await house.post(f"/leads/{lead['id']}/cancel")).status_code == 200
    # Its call may be live: another run of its workflow has the grant, and hangs up.
    assert (await handle.describe()).run_id != first
    assert await house.signals_of(lead["id"]) == ["grant", "cancel"]


def at_night() -> datetime:
    return datetime(2026, 7, 21, 3, tzinfo=UTC)


@pytest.mark.parametrize("clock", [at_night])
async def test_a_lead_pushed_at_night_waits_for_its_window(
    settings: Any, sqlite_url: str, temporal: Any, clock: Callable[[], datetime]
) -> None:
    database = Database(sqlite_url, clock=clock)
    house = House(settings, database, temporal)
    await house.made(
        "/templates", {"name": "order", "flow": FLOW, "calling_window": {"start": "09:00", "end": "17:00"}}
    )
    lead = await house.push(request_id="r1")
    assert lead["due_at"] == "2026-07-21T03:00:00Z"  # eleven at night where the number is, in New York
    assert (await house.lead(lead["id"]))["calls"] == []

    async def woken() -> list[str]:
        return await house.signals_of_workflow(f"campaign-{lead['campaign_id']}")

    # The workflow of its campaign keeps the time; the same push again wakes it again.
    assert await woken() == ["leads_added"]
    body = {"template_name": "order", "phone": person(0), "variables": {"name": "Ada"}, "request_id": "r1"}
    assert (await house.post("/leads", body)).status_code == 200
    assert await woken() == ["leads_added", "leads_added"]
    # So it does for one that is to be called now, whose own time is further off than the window.
    later = await house.push(person(1), not_before="2026-07-22T20:00:00Z")
    answer = await house.post(f"/leads/{later['id']}/dispatch-now")
    assert (answer.status_code, answer.json()["status"], answer.json()["priority"]) == (200, "BACKLOG", 0)
    assert await woken() == ["leads_added"] * 4
    results = (await house.get(f"/campaigns/{lead['campaign_id']}/results")).text
    assert {row["priority"] for row in csv.DictReader(io.StringIO(results))} == {"0"}
    await house.close()
    await database.close()
