"""Functions with typed parameters, conditions, and what a model's arguments become."""

from datetime import date
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from breeze_buddy.domain.flow import Capture, Condition, Function, NotAValue, Parameter, holds, read_value, way_on
from breeze_buddy.domain.flow.routes import Way

TODAY = date(2026, 11, 23)


def parameter(**fields: Any) -> Parameter:
    return Parameter.model_validate({"name": "x", "ask": "What?", **fields})


@pytest.mark.parametrize(
    ("fields", "given", "kept"),
    [
        ({}, " 12 Garden Street ", "12 Garden Street"),
        ({"pattern": "[A-Z]{2}[0-9]{4}"}, "ab1234", "ab1234"),
        ({"type": "digits", "length": 4}, "47 11", "4711"),
        ({"type": "integer", "minimum": 1, "maximum": 10}, 3, "3"),
        ({"type": "integer"}, "3.0", "3"),
        ({"type": "number"}, 2.5, "2.5"),
        ({"type": "boolean"}, True, "yes"),
        ({"type": "boolean"}, "false", "no"),
        ({"type": "date", "from_days": 1, "to_days": 7}, "2026-11-24", "2026-11-24"),
        ({"type": "time", "earliest": "09:00"}, "9:30", "09:30"),
        ({"type": "time"}, "17:30:20", "17:30"),
        ({"type": "phone", "region": "US"}, "415 555 0123", "+14155550123"),
        ({"type": "enum", "values": ["Home", "office"]}, "home", "Home"),
    ],
)
def test_a_value_is_kept_in_the_form_of_its_type(fields: dict[str, Any], given: object, kept: str) -> None:
    assert read_value(parameter(**fields), given, today=TODAY) == kept


@pytest.mark.parametrize(
    ("fields", "given", "says"),
    [
        ({}, "  ", "an answer"),
        ({"max_length": 3}, "four", "1 to 3 characters"),
        ({"pattern": "[0-9]+"}, "a1", "look like"),
        ({"type": "digits", "length": 4}, "123", "4 digits"),
        ({"type": "digits"}, "12a", "digits"),
        ({"type": "integer"}, 2.5, "whole number"),
        ({"type": "integer", "maximum": 10}, 11, "at most 10"),
        ({"type": "number", "minimum": 0}, -0.1, "at least 0"),
        ({"type": "number"}, "nan", "a number"),
        ({"type": "number"}, "1e400", "a number"),
        ({"type": "boolean"}, "maybe", "yes or no"),
        ({"type": "date", "from_days": 1}, "2026-11-23", "not before 2026-11-24"),
        ({"type": "date", "to_days": 7}, "2026-12-01", "not after 2026-11-30"),
        ({"type": "date"}, "24.11.2026", "a date"),
        ({"type": "time", "latest": "18:00"}, "18:30", "not after 18:00"),
        ({"type": "time"}, "25:00", "a time"),
        ({"type": "phone"}, "0123", "phone number"),
        ({"type": "enum", "values": ["a", "b"]}, "c", "one of a, b"),
    ],
)
def test_what_is_no_such_value_says_what_is_wanted(fields: dict[str, Any], given: object, says: str) -> None:
    with pytest.raises(NotAValue, match=says):
        read_value(parameter(**fields), given, today=TODAY)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"minimum": 1}, "minimum goes with integer and number, not with string"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "minimum is more than maximum"),
        ({"type": "enum"}, "an enum needs its values"),
        ({"type": "enum", "values": ["?"]}, "a word in it"),
        ({"type": "digits", "length": 4, "min_length": 2}, "either length"),
        ({"pattern": "(a+)+"}, "take too long"),
        ({"pattern": "(a|aa)*b"}, "take too long"),
        ({"pattern": ".*.*.*.*.*x"}, "too many repetitions"),
        ({"pattern": "(a)\\1"}, "refers back"),
        ({"pattern": "["}, "not a regular expression"),
        ({"type": "phone", "region": "XX"}, "not a country"),
    ],
)
def test_limits_that_cannot_be_are_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parameter(**fields)
    assert says in str(caught.value)


BOOK = Function.model_validate(
    {
        "name": "book",
        "description": "Books a visit.",
        "parameters": [
            {"name": "day", "type": "date", "from_days": 1},
            {"name": "seats", "type": "integer", "minimum": 1, "maximum": 8, "description": "How many people."},
            {"name": "where", "type": "enum", "values": {"home": ["my place"], "office": []}},
            {"name": "code", "type": "digits", "length": 4},
            {"name": "note", "required": False},
        ],
        "go": "booked",
    }
)


def test_a_model_is_told_the_parameters_as_json_schema() -> None:
    schema = BOOK.schema_of_parameters
    Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["day", "seats", "where", "code"]
    assert schema["properties"]["seats"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 8,
        "description": "How many people.",
    }
    assert schema["properties"]["where"]["enum"] == ["home", "office"]


def test_a_models_arguments_become_answers_or_say_what_is_wrong_with_each() -> None:
    good = {"day": "2026-11-24", "seats": 2, "where": "home", "code": "0042", "note": None}
    assert BOOK.read_arguments(good, today=TODAY) == {
        "day": "2026-11-24",
        "seats": "2",
        "where": "home",
        "code": "0042",
    }
    with pytest.raises(NotAValue, match="day: a date not before 2026-11-24 is wanted; seats: it is needed"):
        BOOK.read_arguments({**good, "day": "2026-11-23", "seats": None}, today=TODAY)


def test_a_function_that_people_can_say_must_say_how_it_asks() -> None:
    with pytest.raises(ValidationError, match="needs `ask`"):
        Function.model_validate(
            {"name": "book", "phrases": ["book"], "parameters": [{"name": "day", "type": "date"}], "go": "bye"}
        )


def test_a_capture_of_words_is_what_it_always_was() -> None:
    old = Capture.model_validate({"name": "day", "go": "thanks"})
    assert (old.kind, old.value_type) == ("words", "string")
    assert Capture.model_validate({"name": "n", "kind": "integer", "minimum": 1, "go": "x"}).value_type == "integer"


VALUES = {"name": "Ada", "total": "99.50", "tier": "gold", "at": "09:30", "agreed": "yes", "empty": " "}


@pytest.mark.parametrize(
    ("condition", "holding"),
    [
        ({"variable": "tier", "is": "GOLD"}, True),
        ({"variable": "tier", "is_not": "gold"}, False),
        ({"variable": "absent", "is_not": "gold"}, True),
        ({"variable": "total", "is": 99.5}, True),
        ({"variable": "total", "at_least": 100}, False),
        ({"variable": "total", "less_than": 100}, True),
        ({"variable": "absent", "less_than": 100}, False),
        ({"variable": "at", "at_most": "10:00"}, True),
        ({"variable": "at", "more_than": "10:00"}, False),
        ({"variable": "tier", "in": ["silver", "gold"]}, True),
        ({"variable": "tier", "not_in": ["silver"]}, True),
        ({"variable": "name", "matches": "a[a-z]+"}, True),
        ({"variable": "name", "matches": "d"}, False),
        ({"variable": "agreed", "is": True}, True),
        ({"variable": "empty", "known": False}, True),
        ({"all": [{"variable": "name", "known": True}, {"not": {"variable": "tier", "is": "gold"}}]}, False),
        ({"any": [{"variable": "name", "is": "Bob"}, {"variable": "total", "more_than": 1}]}, True),
    ],
)
def test_conditions_hold_as_they_read(condition: dict[str, Any], holding: bool) -> None:
    read: Any = TypeAdapter(Condition).validate_python(condition)
    assert holds(read, VALUES) is holding
    assert read.model_dump(mode="json", exclude_unset=True) == condition  # stored as it was written


@pytest.mark.parametrize(
    "condition",
    [
        {"variable": "x"},
        {"variable": "x", "is": 1, "in": [1]},
        {"variable": "x", "eval": "1"},
        {"variable": "x.y", "is": 1},
        {"all": []},
        {"variable": "x", "matches": "(a*)*"},
    ],
)
def test_conditions_are_data_and_nothing_else(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Condition).validate_python(condition)


def test_the_first_open_way_is_taken() -> None:
    adapter = TypeAdapter[Way](Way)
    way = adapter.validate_python([{"when": {"variable": "total", "at_least": 50}, "go": "rich"}, {"go": "thanks"}])
    assert (way_on(way, VALUES), way_on(way, {}), way_on("bye", {})) == ("rich", "thanks", "bye")
    for wrong in ([{"when": {"variable": "x", "is": 1}, "go": "a"}], [{"go": "a"}, {"go": "b"}]):
        with pytest.raises(ValidationError, match="without `when`"):
            adapter.validate_python(wrong)
