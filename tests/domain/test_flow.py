"""Flows and templates: what does not fit together is refused when it is written, not during a call."""

import string
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from breeze_buddy.domain.errors import MissingVariables
from breeze_buddy.domain.flow import Flow, fill, placeholders, words_of
from breeze_buddy.domain.template import Template

END = {"say": "Bye.", "then": {"action": "end_conversation"}}
YES = {"name": "yes", "phrases": ["yes"], "go": "bye"}
NO = {"name": "no", "phrases": ["no"], "digits": "2", "go": "bye"}


def flow(start, **nodes):
    return {"nodes": {"start": start, "bye": END, **nodes}}


def test_a_whole_flow_fits_together():
    made = Flow.model_validate(
        flow(
            {"say": "Hello {name}, is it {amount}?", "functions": [{**YES, "answers": {"agreed": "yes"}}, NO]},
            ask={"say": "Which day?", "capture": {"name": "day", "go": "thanks"}, "otherwise": "bye"},
            thanks={"say": "{day}, then. Agreed: {agreed}.", "go": "bye"},
            later={"say": "Later.", "then": {"action": "schedule_callback", "after": "PT2H"}},
        )
    )
    assert made.variables == {"name", "amount"}  # the answers come from the conversation
    assert made.nodes["ask"].ways == ("thanks", "bye")
    assert made.nodes["later"].then.after == timedelta(hours=2)
    assert Flow.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"nodes": {}}, "at least 1"),
        ({"nodes": {"hello": END}}, "starts at 'start', which is not one of its nodes"),
        (flow({"say": "Hi", "go": "nowhere"}), "'start' goes to 'nowhere', which does not exist"),
        (flow({"say": "Hi", "functions": [{**YES, "go": "nowhere"}]}), "'nowhere'"),
        (flow({"say": "Hi", "functions": [YES], "otherwise": "nowhere"}), "'nowhere'"),
        (flow({"say": "Hi", "capture": {"name": "day", "go": "nowhere"}}), "'nowhere'"),
        (flow({"say": "Hi"}), "exactly one of functions/capture, go and then, and has none"),
        (flow({"say": "Hi", "go": "bye", "functions": [YES]}), "functions/capture and go"),
        (flow({"say": "Hi", "functions": [NO, {**NO, "name": "non"}]}), "'start' offers the same digits twice"),
        (flow({"say": "Hi {", "go": "bye"}), "unbalanced braces"),
        (flow({"say": "Hi {a.b}", "go": "bye"}), "'{a.b}' is not a plain variable name"),
        (flow({"say": "Hi", "reprompt": "{0}", "functions": [YES]}), "'{0}'"),
        ({**flow({"say": "Hi", "go": "bye"}), "goodbye": "{x!r}"}, "'{x}'"),
        (flow({"say": "Hi", "functions": [{"name": "yes", "go": "bye"}]}), "'yes' can never be taken"),
        (flow({"say": "Hi", "functions": [{**YES, "phrases": ["?!"]}]}), "phrase without a word"),
        (flow({"say": "Hi", "functions": [{**YES, "digits": "12a"}]}), "digits"),
        (flow({"say": "", "functions": [YES]}), "'start' asks nothing"),
        (flow({"say": "Hi", "then": {"action": "explode"}}), "explode"),
        (flow({"say": "Hi", "then": {"action": "schedule_callback", "after": 0}}), "after"),
        (flow({"say": "Hi", "then": {"action": "schedule_callback"}}), "either `after` or `at`"),
        (flow({"say": "Hi", "then": {"action": "schedule_callback", "after": 9, "at": "09:00"}}), "either `after`"),
        (flow({"say": "Hi", "then": {"action": "schedule_callback", "after": 9, "days_ahead": 1}}), "goes with `at`"),
        (flow({"say": "Hi", "then": {"action": "schedule_callback", "at": "09:00Z"}}), "without a zone"),
        (
            flow({"say": "Hi", "then": {"action": "schedule_callback", "after": 9, "said": "when"}}),
            "'start' reads the time from 'when', which no node captures",
        ),
        (flow({"say": "Hi", "go": "bye", "colour": "red"}), "colour"),
        (flow({"say": "Hi", "go": "bye"}, **{"Not A Name": END}), "Not A Name"),
    ],
)
def test_a_flow_that_does_not_fit_says_where(wrong, says):
    with pytest.raises(ValidationError) as caught:
        Flow.model_validate(wrong)
    assert says in str(caught.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(ValidationError) as caught:
        Flow.model_validate({"start": "first", "nodes": {"start": {"say": "{", "go": "nowhere"}}})
    assert all(part in str(caught.value) for part in ("'first'", "'nowhere'", "unbalanced"))


names = st.text(string.ascii_letters + "_", min_size=1, max_size=8)
literals = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(literals, names), max_size=6), literals, st.dictionaries(names, st.text(max_size=12)))
def test_every_placeholder_is_filled_and_values_stay_as_they_are(parts, tail, values):
    text = "".join(f"{literal}{{{name}}}" for literal, name in parts) + tail
    assert placeholders(text) == {name for _, name in parts}
    assert fill(text, values) == "".join(literal + values.get(name, "") for literal, name in parts) + tail


def test_a_value_brings_no_placeholders_of_its_own():
    assert fill("Hello {name}", {"name": "{secret}", "secret": "x"}) == "Hello {secret}"


def test_doubled_braces_are_braces():
    assert placeholders("{{x}} {y}") == {"y"}
    assert fill("{{x}} {y}", {"x": "1", "y": "2"}) == "{x} 2"


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a b}", "{a[0]}", "{a:>9}", "{a!r}", "{é}", "{{x}"])
def test_braces_that_are_no_plain_name_are_refused(text):
    with pytest.raises(ValueError, match=r"plain variable|unbalanced"):
        placeholders(text)


def test_phrases_are_compared_by_their_words():
    assert words_of("Yes, that's RIGHT!") == ("yes", "that's", "right")


def template(**fields):
    return Template.model_validate(
        {"name": "order", "flow": flow({"say": "Hi {name}", "functions": [YES]}), "variables": ["order_id"], **fields}
    )


def test_a_template_names_what_a_lead_lacks():
    made = template()
    assert made.required_variables == {"name", "order_id"}
    made.check_variables({"name": "Asha", "order_id": "7", "more": ""})
    with pytest.raises(MissingVariables, match="name, order_id") as caught:
        made.check_variables({"name": "  ", "more": "x"})
    assert (caught.value.names, caught.value.code) == (["name", "order_id"], "missing_variables")


def test_a_template_survives_being_stored():
    made = template(
        retry={"max_retries": 3, "cooldown": "PT90S", "cooldown_by_outcome": {"BUSY": 5}},
        calling_window={"start": "09:00", "end": "18:00", "days": ["mon"], "time_zone": "Asia/Kolkata"},
        webhook_url="https://example.com/hook",
    )
    assert Template.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("ring_timeout_s", 4),
        ("ring_timeout_s", 601),
        ("max_call_s", 14_401),
        ("retry", {"max_retries": 21}),
        ("retry", {"cooldown": -1}),
        ("retry", {"cooldown_by_outcome": {"COMPLETED": 1}}),
        ("turns", {"end_of_turn_ms": 100}),
        ("voice", {"speed": 3}),
        ("webhook_url", "ftp://example.com"),
        ("unknown", 1),
    ],
)
def test_a_template_that_cannot_be_names_the_field(field, value):
    with pytest.raises(ValidationError) as caught:
        template(**{field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}
