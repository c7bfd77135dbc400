"""Answers of the simulator against the facts of Twilio's OpenAPI description: names, types, formats, enumerations."""

import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

FACTS = json.loads(Path(__file__).with_name("twilio_openapi_facts.json").read_text())
PERSON = {"phone": "+14155551111", "ring_s": 0.05, "script": ["Yes."], "talk_s": 0.5}
LISTS = {
    "calls": ("call", "Calls.json"),
    "recordings": ("recording", "Recordings.json"),
    "incoming_phone_numbers": ("incoming_phone_number", "IncomingPhoneNumbers.json"),
}

checker = jsonschema.FormatChecker(formats=())


@checker.checks("date-time-rfc-2822", raises=(ValueError, TypeError))
def is_rfc2822(value: object) -> bool:
    return not isinstance(value, str) or parsedate_to_datetime(value).utcoffset() is not None


def schema_of(facts: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a field: OpenAPI's nullable becomes a type of its own."""
    schema = {name: value for name, value in facts.items() if name not in ("nullable", "properties", "items")}
    if "properties" in facts:
        schema["properties"] = {name: schema_of(field) for name, field in facts["properties"].items()}
    if facts.get("nullable") and "type" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def validate(body: dict[str, Any], properties: dict[str, Any], *, every_field: bool = True) -> None:
    """No unknown field, every known one present, each as described."""
    schema = {
        "type": "object",
        "properties": {name: schema_of(field) for name, field in properties.items()},
        "additionalProperties": False,
        "required": list(properties) if every_field else [],
    }
    jsonschema.validate(body, schema, format_checker=checker)


@pytest.fixture
async def finished(start, media, stream):
    """A laboratory with one finished, recorded call."""
    lab = await start([PERSON])
    lab.simulator.account.add_numbers(["+14155550100"])

    async def talk(server):
        await server.say(0.1)

    media(talk)
    call = await lab.call(PERSON["phone"], Twiml=stream(), Record="true", RecordingChannels="dual")
    validate(call, FACTS["resources"]["call"])
    await lab.until_over(call["sid"])
    return lab, call


async def test_each_resource_has_the_fields_types_and_values_of_the_description(finished):
    lab, call = finished
    root = f"/2010-04-01/Accounts/{call['account_sid']}"
    validate(await lab.get(root + ".json"), FACTS["resources"]["account"])
    done = await lab.get(f"{root}/Calls/{call['sid']}.json")
    validate(done, FACTS["resources"]["call"])
    assert done["status"] == "completed"
    for key, (resource, path) in LISTS.items():
        body = await lab.get(f"{root}/{path}")
        items = body.pop(key)
        assert items, key
        for item in items:
            validate(item, FACTS["resources"][resource])
        validate(body, FACTS["lists"][key])
    [recording] = (await lab.get(f"{root}/Calls/{call['sid']}/Recordings.json"))["recordings"]
    validate(recording, FACTS["resources"]["call_recording"])


def test_the_check_itself_refuses_a_wrong_type_a_wrong_value_and_an_unknown_field():
    fields = FACTS["resources"]["call"]
    for wrong in ({"duration": 3}, {"status": "in_progress"}, {"colour": "red"}, {"sid": "CA12"}, {"end_time": "now"}):
        with pytest.raises(jsonschema.ValidationError):
            validate(wrong, fields, every_field=False)


async def test_conferences_and_participants_have_the_fields_types_and_values_of_the_description(start):
    lab = await start([{"phone": PERSON["phone"], "ring_s": 60}, {"phone": "+14155552222", "behaviour": "silent"}])
    root = f"/2010-04-01/Accounts/{lab.simulator.account.sid}"
    form = {"To": PERSON["phone"], "From": "+14155550100", "Label": "agent"}
    created = await lab.post(f"{root}/Conferences/room/Participants.json", form, 201)
    validate(created, FACTS["resources"]["participant"])
    for key, path in (
        ("conferences", "Conferences.json"),
        ("participants", f"Conferences/{created['conference_sid']}/Participants.json"),
    ):
        body = await lab.get(f"{root}/{path}")
        [item] = body.pop(key)
        validate(item, FACTS["resources"][key.removesuffix("s")])
        validate(body, FACTS["lists"][key])
    ended = await lab.post(f"{root}/Conferences/{created['conference_sid']}.json", {"Status": "completed"}, 200)
    validate(ended, FACTS["resources"]["conference"])
    assert (ended["status"], ended["reason_conference_ended"]) == ("completed", "conference-ended-via-api")
