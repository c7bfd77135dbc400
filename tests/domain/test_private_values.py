"""What no language model is told: values in texts, also in the middle of a sentence that was cut off."""

from typing import Any
from unicodedata import normalize

import pytest
from pydantic import ValidationError

from breeze_buddy.domain.conversation import Utterance
from breeze_buddy.domain.inspection import inspect
from breeze_buddy.domain.private_values import PrivateValues
from breeze_buddy.domain.template import Template

VALUES = {"street": "12 Garden St.", "name": "Ada", "town": "", "item": "a lamp"}
PRIVATE = PrivateValues(("street", "name", "town", "nobody"), VALUES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hello Ada, is it a lamp?", "Hello [name], is it a lamp?"),
        ("ADA's canada", "[name]'s canada"),
        ("To 12 Garden\nSt. it goes", "To [street] it goes"),
        ("To 12 garden st., Ada?", "To [street], [name]?"),
        ("To 12 Garden Street", "To 12 Garden Street"),
        ("nobody is in town", "nobody is in town"),
    ],
)
def test_names_stand_in_the_places_of_values(text: str, told: str) -> None:
    assert PRIVATE.hide(text) == told
    assert PRIVATE.are_in(text) == (text != told)


@pytest.mark.parametrize("of_value", ["NFC", "NFD"])
@pytest.mark.parametrize("of_text", ["NFC", "NFD"])
def test_a_letter_with_an_accent_may_be_one_character_or_two(of_value: str, of_text: str) -> None:
    private = PrivateValues(["name"], {"name": normalize(of_value, "José García")})
    assert private.hide(normalize(of_text, "Hello josé garcía, hello")) == "Hello [name], hello"


def test_a_value_that_was_cut_off_is_hidden_as_far_as_it_was_said() -> None:
    said = (
        Utterance(speaker="agent", text="It goes to 12 Garden", at_s=0, interrupted=True),
        Utterance(speaker="caller", text="Yes, this is Ada.", at_s=1),
        Utterance(speaker="agent", text="You said 12", at_s=2, interrupted=True),
        Utterance(speaker="agent", text="That makes 12", at_s=3),
    )
    assert [one.text for one in PRIVATE.hide_all(said)] == [
        "It goes to [street]",
        "Yes, this is [name].",
        "You said [street]",
        "That makes 12",
    ]


def template(**more: Any) -> Template:
    flow = {
        "nodes": {
            "start": {"say": "Hello {name}. Who are you?", "capture": {"name": "who", "go": "bye"}},
            "bye": {"say": "Bye.", "then": {"action": "end_conversation"}},
        }
    }
    return Template.model_validate({"name": "t", "flow": flow, **more})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"engine": "llm", "llm": {"model": "m", "instructions": "For {name}."}}, "say 'name'"),
        ({"private_variables": ["who"]}, "`sensitive`"),
    ],
)
def test_what_would_be_told_all_the_same_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        template(**{"private_variables": ["name"], **more})


def test_a_private_variable_that_nothing_knows_is_pointed_at() -> None:
    assert [one.code for one in inspect(template(private_variables=["name"]))] == []
    (found,) = inspect(template(private_variables=["names"]))
    assert (found.code, found.loc) == ("unknown_private", ("private_variables", 0))
    assert "is 'name' meant?" in found.message
