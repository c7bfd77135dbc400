"""Values as callers say and press them, and as they are read back."""

from datetime import date
from typing import Any

import pytest

from breeze_buddy.domain.flow import Parameter
from breeze_buddy.media.spoken_values import keyed_value, keys_in_all, read_back, spoken_value

MONDAY = date(2026, 11, 23)
WHERE = {"home": ["my place", "house"], "office": [], "pick_up": ["collect it"]}


def parameter(kind: str, **limits: Any) -> Parameter:
    return Parameter.model_validate({"name": "x", "type": kind, "ask": "What?", **limits})


@pytest.mark.parametrize(
    ("kind", "limits", "said", "kept"),
    [
        ("string", {}, "12 Garden Street.", "12 Garden Street"),
        ("string", {"pattern": "[A-Z]{2}[0-9]{2}"}, "A B, one two.", "AB12"),
        ("digits", {"length": 4}, "it is four seven double one", "4711"),
        ("integer", {}, "Three, please.", "3"),
        ("integer", {}, "a hundred and twenty", "120"),
        ("integer", {}, "two thousand five hundred", "2500"),
        ("integer", {}, "1,200", "1200"),
        ("integer", {}, "twenty-one", "21"),
        ("integer", {}, "a dozen", "12"),
        ("integer", {}, "three, yes, three", "3"),
        ("integer", {}, "minus five", "-5"),
        ("integer", {}, "three or four", None),
        ("integer", {"maximum": 8}, "nine", None),
        ("integer", {}, "two and a half", None),
        ("number", {}, "two and a half", "2.5"),
        ("number", {}, "twelve point five", "12.5"),
        ("number", {}, "12.75 dollars", "12.75"),
        ("boolean", {}, "yes please", "yes"),
        ("boolean", {}, "no, that is not right", "no"),
        ("boolean", {}, "hm", None),
        ("date", {}, "tomorrow", "2026-11-24"),
        ("date", {}, "on Monday", "2026-11-30"),
        ("date", {}, "this Friday please", "2026-11-27"),
        ("date", {}, "the twenty-fourth of November", "2026-11-24"),
        ("date", {}, "January 3rd", "2027-01-03"),
        ("date", {}, "the first of december", "2026-12-01"),
        ("date", {}, "march twelfth twenty twenty seven", "2027-03-12"),
        ("date", {}, "in two weeks", "2026-12-07"),
        ("date", {}, "30 february", None),
        ("date", {"to_days": 7}, "in two weeks", None),
        ("time", {}, "five thirty", "17:30"),
        ("time", {}, "at nine in the morning", "09:00"),
        ("time", {}, "17:45", "17:45"),
        ("time", {"latest": "18:00"}, "seven pm", None),
        ("phone", {"region": "US"}, "four one five, five five five, zero one two three", "+14155550123"),
        ("phone", {}, "plus 49 30 901820", "+4930901820"),
        ("enum", {"values": WHERE}, "to my place", "home"),
        ("enum", {"values": WHERE}, "the office please", "office"),
        ("enum", {"values": WHERE}, "I will pick up", "pick_up"),
        ("enum", {"values": WHERE}, "the moon", None),
    ],
)
def test_what_is_said_becomes_a_value_of_the_type(
    kind: str, limits: dict[str, Any], said: str, kept: str | None
) -> None:
    assert spoken_value(parameter(kind, **limits), said, today=MONDAY) == kept


@pytest.mark.parametrize(
    ("kind", "limits", "keys", "kept"),
    [
        ("digits", {"length": 4}, "4711", "4711"),
        ("integer", {"maximum": 20}, "12", "12"),
        ("number", {}, "12*5", "12.5"),
        ("boolean", {}, "2", "no"),
        ("boolean", {}, "3", None),
        ("date", {}, "2411", "2026-11-24"),
        ("date", {}, "0301", "2027-01-03"),
        ("date", {}, "3113", None),
        ("time", {}, "1730", "17:30"),
        ("time", {}, "930", "09:30"),
        ("time", {}, "2561", None),
        ("phone", {"region": "US"}, "4155550123", "+14155550123"),
        ("enum", {"values": WHERE}, "3", "pick_up"),
        ("enum", {"values": WHERE}, "4", None),
        ("string", {}, "12", None),
    ],
)
def test_what_is_pressed_becomes_a_value_too(kind: str, limits: dict[str, Any], keys: str, kept: str | None) -> None:
    assert keyed_value(parameter(kind, **limits), keys, today=MONDAY) == kept


def test_keys_are_complete_when_no_more_can_come() -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("boolean", {}), ("enum", {"values": WHERE}), ("time", {}), ("integer", {"maximum": 20}), ("integer", {}),
        ("digits", {"length": 6}), ("phone", {}),
    ]  # fmt: skip
    assert [keys_in_all(parameter(kind, **limits)) for kind, limits in kinds] == [1, 1, 4, 2, None, 6, None]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("digits", "4711", "4 7 1 1"),
        ("phone", "+14155550123", "1 4 1 5 5 5 5 0 1 2 3"),
        ("date", "2026-11-24", "Tuesday, November 24"),
        ("time", "17:30", "5 30 p m"),
        ("time", "09:05", "9 oh 5 a m"),
        ("time", "12:00", "12 p m"),
        ("integer", "3", "3"),
    ],
)
def test_values_are_read_back_as_people_say_them(kind: str, value: str, said: str) -> None:
    assert read_back(parameter(kind), value) == said
