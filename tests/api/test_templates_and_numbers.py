"""Templates and numbers over REST."""

from typing import Any

import pytest

from tests.api.house import FLOW, House


def only_problem(answer: Any) -> tuple[list[Any], str]:
    """Where the one wrong field is, and why."""
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["detail"]
    assert set(problem) == {"loc", "msg", "type"}
    return problem["loc"], problem["msg"]


async def test_a_template_is_created_read_listed_and_replaced(house: House) -> None:
    made = await house.made("/templates", {"name": "order", "flow": FLOW, "retry": {"cooldown": "PT5M"}})
    assert made.pop("warnings") == []
    assert (made["version"], made["template"]["retry"]["cooldown"]) == (1, 300)
    assert (await house.get(f"/templates/{made['id']}")).json() == made
    assert (await house.get("/templates")).json() == [made]
    assert (await house.get("/templates", params={"name": "order"})).json() == [made]
    assert (await house.get("/templates", params={"name": "other"})).json() == []
    # What was read can be written back.
    answer = await house.ask("PUT", f"/templates/{made['id']}", json={**made["template"], "ring_timeout_s": 20})
    assert answer.status_code == 200
    assert (answer.json()["version"], answer.json()["template"]["ring_timeout_s"]) == (2, 20)


@pytest.mark.parametrize(
    ("change", "where", "why"),
    [
        ({"name": ""}, ["body", "name"], "at least 1 character"),
        ({"flow": None}, ["body", "flow"], "valid dictionary"),
        ({"ring_timeout_s": 3}, ["body", "ring_timeout_s"], "greater than or equal to 5"),
        ({"retry": {"max_retries": -1}}, ["body", "retry", "max_retries"], "greater than or equal to 0"),
        ({"webhook_url": "nowhere"}, ["body", "webhook_url"], "valid URL"),
        ({"colour": "red"}, ["body", "colour"], "not permitted"),
        (
            {"calling_window": {"time_zone": "Mars/Olympus"}},
            ["body", "calling_window", "time_zone"],
            "Mars/Olympus",
        ),
        ({"flow": {"start": "a", "nodes": {"b": FLOW["nodes"]["bye"]}}}, ["body", "flow"], "starts at 'a'"),  # type: ignore[index]
        ({"voice": {"speed": float("nan")}}, ["body", "voice", "speed"], ""),
    ],
)
async def test_a_bad_template_says_which_field_and_why(
    house: House, change: dict[str, Any], where: list[str], why: str
) -> None:
    import json

    body = json.dumps({"name": "order", "flow": FLOW, **change})
    answer = await house.ask("POST", "/templates", content=body, headers={"Content-Type": "application/json"})
    loc, msg = only_problem(answer)
    assert loc == where
    assert why in msg
    assert (await house.get("/templates")).json() == []


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"name": "\\ud800"}', b'"\xff"', b'{"\\ud800": 1}'])
async def test_a_body_that_is_no_template_at_all_is_refused_in_the_same_shape(house: House, body: bytes) -> None:
    answer = await house.ask("POST", "/templates", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    if answer.status_code == 422:
        assert all(set(problem) == {"loc", "msg", "type"} for problem in answer.json()["detail"])
    else:
        assert set(answer.json()) == {"code", "message"}


async def test_names_of_templates_are_taken_once(house: House) -> None:
    await house.template("one")
    other = await house.template("two")
    for answer in (
        await house.post("/templates", {"name": "one", "flow": FLOW}),
        await house.ask("PUT", f"/templates/{other}", json={"name": "one", "flow": FLOW}),
    ):
        assert answer.status_code == 409
        assert answer.json()["code"] == "conflict"
        assert "'one'" in answer.json()["message"]


async def test_a_number_is_registered_read_listed_and_changed(house: House) -> None:
    made = await house.made("/numbers", {"phone": "+1 (415) 555-0001", "provider": "twilio", "channels": 3})
    assert (made["phone"], made["channels"], made["enabled"]) == ("+14155550001", 3, True)
    assert (await house.get("/numbers")).json() == [made]
    assert (await house.get(f"/numbers/{made['id']}")).json() == made
    changed = await house.ask("PATCH", f"/numbers/{made['id']}", json={"enabled": False})
    assert changed.json() == {**made, "enabled": False}
    changed = await house.ask("PATCH", f"/numbers/{made['id']}", json={"channels": 5})
    assert (changed.json()["channels"], changed.json()["enabled"]) == (5, False)
    again = await house.post("/numbers", {"phone": "+14155550001"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"phone": "4155550001"}, "phone", "country code"),
        ({"phone": "hello"}, "phone", "not a phone number"),
        ({"phone": "+1415"}, "phone", "digits"),
        ({"provider": "other"}, "provider", "twilio"),
        ({"channels": 0}, "channels", "greater than or equal to 1"),
        ({"channels": "many"}, "channels", "integer"),
    ],
)
async def test_a_bad_number_says_which_field_and_why(
    house: House, change: dict[str, Any], field: str, why: str
) -> None:
    loc, msg = only_problem(await house.post("/numbers", {"phone": "+14155550001", **change}))
    assert loc == ["body", field]
    assert why in msg


NOWHERE = (
    ("GET", "/templates/x"),
    ("PUT", "/templates/x"),
    ("GET", "/numbers/x"),
    ("PATCH", "/numbers/x"),
    ("GET", "/campaigns/x"),
    ("PATCH", "/campaigns/x"),
    ("POST", "/campaigns/x/start"),
    ("POST", "/campaigns/x/pause"),
    ("POST", "/campaigns/x/resume"),
    ("POST", "/campaigns/x/cancel"),
    ("GET", "/campaigns/x/progress"),
    ("GET", "/campaigns/x/leads"),
    ("POST", "/campaigns/x/leads"),
    ("GET", "/leads/x"),
    ("POST", "/leads/x/cancel"),
    ("GET", "/calls/x"),
    ("GET", "/calls/x/recording"),
    ("GET", "/calls/x/transcript"),
    ("GET", "/nothing"),
)


async def test_what_is_not_there_is_404(house: House) -> None:
    bodies: dict[str, Any] = {
        "/templates/x": {"name": "order", "flow": FLOW},
        "/numbers/x": {"channels": 2},
        "/campaigns/x": {"weight": 2},
        "/campaigns/x/leads": {"leads": [{"phone": "+14155550123"}]},
    }
    for method, path in NOWHERE:
        answer = await house.ask(method, path, json=bodies.get(path) if method != "GET" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
        assert answer.json()["message"]


async def test_a_method_that_is_not_there_is_405(house: House) -> None:
    answer = await house.ask("DELETE", "/templates")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


async def test_a_template_whose_provider_is_not_configured_is_refused_with_what_to_set(house: House) -> None:
    body = {"name": "order", "flow": FLOW, "transcriber": {"engine": "deepgram"}}
    loc, msg = only_problem(await house.ask("POST", "/templates", json=body))
    assert loc == ["body"]
    assert "deepgram" in msg
    assert "DEEPGRAM_API_KEY" in msg
    made = await house.made("/templates", {"name": "order", "flow": FLOW})
    answer = await house.ask("PUT", f"/templates/{made['id']}", json=body)
    assert only_problem(answer)[1] == msg
    campaign = {"name": "c", "template": body, "numbers": [], "leads": []}
    assert "DEEPGRAM_API_KEY" in (await house.ask("POST", "/campaigns", json=campaign)).text
