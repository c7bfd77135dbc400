"""The do-not-call list over REST, and what it refuses."""

import httpx
import pytest

from tests.api.house import FLOW, House, person


async def imported(house: House, text: str, kind: str = "text/csv", **query: str) -> httpx.Response:
    headers = {"Content-Type": kind}
    return await house.ask("POST", "/do-not-call/import", content=text.encode(), headers=headers, params=query)


async def phones(house: House) -> list[str]:
    return [entry["phone"] for entry in (await house.get("/do-not-call")).json()["items"]]


async def test_a_phone_is_listed_read_and_taken_off(house: House) -> None:
    entry = await house.made("/do-not-call", {"phone": "+1 (212) 555-1000", "reason": "asked by mail"})
    assert (entry["phone"], entry["source"], entry["reason"]) == (person(0), "api", "asked by mail")
    again = await house.post("/do-not-call", {"phone": person(0), "reason": "another"})
    assert (again.status_code, again.json()) == (200, entry)
    assert (await house.get(f"/do-not-call/{person(0)}")).json() == entry
    assert (await house.ask("DELETE", f"/do-not-call/{person(0)}")).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await house.ask(method, f"/do-not-call/{person(0)}")).status_code == 404


async def test_the_list_comes_in_pages_also_when_the_last_phone_was_taken_off(house: House) -> None:
    await imported(house, "\n".join(person(n) for n in range(5)))
    first = (await house.get("/do-not-call", params={"limit": 2})).json()
    assert [entry["phone"] for entry in first["items"]] == [person(0), person(1)]
    await house.ask("DELETE", f"/do-not-call/{first['next']}")
    rest = (await house.get("/do-not-call", params={"after": first["next"]})).json()
    assert ([entry["phone"] for entry in rest["items"]], rest["next"]) == ([person(2), person(3), person(4)], None)


async def test_a_file_with_a_header_is_imported(house: House) -> None:
    text = f"name,phone,reason\nAda,{person(0)},asked\nBob,12,\nCy,{person(1)},\nDi,{person(0)},again\nEd,,x\nFlo\n"
    said = (await imported(house, text)).json()
    assert (said["accepted"], said["duplicates"], said["refused_count"]) == (2, 1, 3)
    assert [(item["line"], item["field"]) for item in said["refused"]] == [(3, "phone"), (6, "phone"), (7, "")]
    entry = (await house.get(f"/do-not-call/{person(0)}")).json()
    assert (entry["source"], entry["reason"]) == ("import", "asked")
    assert (await imported(house, text)).json()["duplicates"] == 3


async def test_one_phone_a_line_is_imported_as_it_is_written_in_its_country(house: House) -> None:
    said = (await imported(house, "098765 43210\n+12125551000\n", default_country="in")).json()
    assert (said["accepted"], said["refused"]) == (2, [])
    assert await phones(house) == [person(0), "+919876543210"]


async def test_a_file_of_a_form_is_imported(house: House) -> None:
    file = {"file": ("list.csv", f"phone\n{person(0)}\n", "text/csv")}
    assert (await house.ask("POST", "/do-not-call/import", files=file)).json()["accepted"] == 1


@pytest.mark.parametrize(("text", "why"), [("", "empty"), ("a,b\n1,2\n", "line 1"), ('phone\n"1', "line 2")])
async def test_a_file_that_is_no_list_is_refused(house: House, text: str, why: str) -> None:
    answer = await imported(house, text)
    assert answer.status_code == 422
    assert why in answer.json()["detail"][0]["msg"]


async def test_a_country_that_there_is_not_is_refused(house: House) -> None:
    assert (await imported(house, "1\n", default_country="XX")).status_code == 422


async def test_a_listed_phone_is_refused_however_it_is_pushed(house: House) -> None:
    await house.made("/do-not-call", {"phone": person(0)})
    listed, other = ({"phone": person(n), "variables": {"name": "Ada"}} for n in (0, 1))
    made = await house.made("/campaigns", {"name": "s", "template": {"name": "order", "flow": FLOW}, "leads": [listed]})
    assert (made["accepted"], made["refused"][0]["row"], made["refused"][0]["field"]) == (0, 0, "phone")
    path = f"/campaigns/{made['campaign']['id']}/leads"
    by_json = (await house.post(path, {"leads": [other, listed]})).json()
    assert (by_json["accepted"], [(item["row"], item["field"]) for item in by_json["refused"]]) == (1, [(1, "phone")])
    text = f"phone,name\n{person(2)},Cy\n{person(0)},Ada\n"
    by_csv = (await house.ask("POST", path, content=text, headers={"Content-Type": "text/csv"})).json()
    assert (by_csv["accepted"], [(item["line"], item["field"]) for item in by_csv["refused"]]) == (1, [(3, "phone")])
    assert "do-not-call" in by_csv["refused"][0]["reason"]
    alone = await house.post("/leads", {"template_name": "order", **listed})
    assert (alone.status_code, alone.json()["code"]) == (409, "do_not_call")


async def test_a_push_sent_again_is_answered_with_its_lead_although_the_phone_was_listed_since(house: House) -> None:
    await house.template()
    first = await house.push(request_id="r1")
    await house.made("/do-not-call", {"phone": person(0)})
    body = {"template_name": "order", "phone": person(0), "variables": {"name": "Ada"}, "request_id": "r1"}
    again = await house.post("/leads", body)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
