"""Requests that no person means: refused with a sentence, on both databases, and never an error of ours."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from breeze_buddy.store.database import Database
from tests.api.house import House, person, settings_for

HALF = "\ud800"
JSON = {"content-type": "application/json"}


@pytest.fixture
async def house(database: Database, temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """On SQLite and on PostgreSQL, which take different text."""
    made = House(settings_for(recordings_url=f"file://{tmp_path / 'recordings'}"), database, temporal)
    yield made
    await made.close()


async def test_a_zero_byte_in_a_path_or_a_query_is_no_error_of_ours(house: House) -> None:
    for path in ("/campaigns/%00", "/leads/%00", "/uploads/%00/refusals", "/leads?after=%00", "/calls?after=%00"):
        assert (await house.get(path)).status_code in (404, 422), path
    assert (await house.get("/do-not-call?after=%00")).status_code in (200, 422)
    assert (await house.post("/campaigns/%00/start")).status_code in (404, 422)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/campaigns", {"name": "summer", "template_name": HALF}),
        ("/leads", {"template_name": HALF, "phone": person(0)}),
        ("/campaigns", {"name": "summer", "template_id": HALF}),
    ],
)
async def test_half_a_character_is_refused(house: House, path: str, body: dict[str, Any]) -> None:
    await house.number("+14155550000")
    answer = await house.post(path, content=json.dumps(body).encode(), headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "unusable_text"


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2300-01-01T00:00:00Z"])
async def test_a_time_that_no_timer_reaches_is_refused(house: House, when: str) -> None:
    await house.number("+14155550000")
    campaign = await house.campaign()
    lead = {"phone": person(0), "variables": {"name": "Ada"}}
    for field in ("not_before", "expires_at"):
        answer = await house.post(f"/campaigns/{campaign}/leads", {"leads": [{**lead, field: when}]})
        assert answer.status_code == 422
        assert "2000 to 2199" in answer.json()["detail"][0]["msg"]
        assert (await house.post("/leads", {"template_name": "order", **lead, field: when})).status_code == 422
    for method, path in (("PATCH", f"/campaigns/{campaign}"), ("POST", f"/campaigns/{campaign}/clone")):
        assert (await house.ask(method, path, json={"start_at": when})).status_code == 422


async def test_such_a_time_in_a_file_is_a_refused_row_and_the_others_are_taken(house: House) -> None:
    await house.number("+14155550000")
    campaign = await house.campaign()
    data = f"phone,name,not_before\n{person(0)},Ada,0001-01-01T00:00:00+14:00\n{person(1)},Bob,\n"
    answer = await house.post(
        f"/campaigns/{campaign}/leads", content=data.encode(), headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    assert [(row["line"], row["field"]) for row in answer.json()["refused"]] == [(2, "not_before")]


async def test_a_form_whose_boundary_is_too_long_is_refused(house: House) -> None:
    await house.number("+14155550000")
    campaign = await house.campaign()
    kind = f"multipart/form-data; boundary={'x' * 5000}"
    answer = await house.post(f"/campaigns/{campaign}/leads", content=b"--x", headers={"content-type": kind})
    assert answer.status_code == 422
    assert "cannot be read" in answer.json()["detail"][0]["msg"]
