"""What is hardly meant in a template is found before anybody is called."""

from typing import Any

import pytest

from breeze_buddy.cli.demo_template import TEMPLATE
from breeze_buddy.domain.inspection import inspect
from breeze_buddy.domain.template import Template

BYE = {"say": "Goodbye.", "then": {"action": "end_conversation"}}
YES = {"name": "yes", "phrases": ["yes"], "digits": "1", "go": "bye"}
NO = {"name": "no", "phrases": ["no"], "digits": "2", "go": "bye"}


def found(nodes: dict[str, Any], *, functions: tuple[Any, ...] = (), **more: Any) -> list[tuple[str, str, str]]:
    flow = {"nodes": {"bye": BYE, **nodes}, "functions": list(functions)}
    template = Template.model_validate({"name": "t", "flow": flow, **more})
    return [(one.severity, one.code, ".".join(map(str, one.loc))) for one in inspect(template)]


def test_there_is_nothing_to_find_in_good_flows() -> None:
    assert inspect(TEMPLATE) == ()
    assert found({"start": {"say": "Hi {name}, ok?", "functions": [YES, NO]}}) == []


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            {"start": {"say": "?", "functions": [YES]}, "lost": {"say": "Hm.", "go": "bye"}},
            ("warning", "unreachable", "flow.nodes.lost"),
        ),
        (
            {
                "start": {"say": "?", "functions": [YES], "otherwise": "more"},
                "more": {"say": "?", "capture": {"name": "x", "go": "more"}},
            },
            ("warning", "dead_end", "flow.nodes.more"),
        ),
        (
            {"start": {"say": "a", "go": "b"}, "b": {"say": "b", "go": "start"}},
            ("error", "circle", "flow.nodes.start.go"),
        ),
        (
            {"start": {"say": "You want {x}?", "capture": {"name": "x", "go": "bye"}}},
            ("error", "never_answered", "flow.nodes.start.say"),
        ),
        (
            {
                "start": {
                    "say": "?",
                    "functions": [YES, {**NO, "answers": {"x": "1"}, "go": "tell"}],
                    "otherwise": "tell",
                },
                "tell": {"say": "It is {x}.", "go": "bye"},
            },
            ("warning", "maybe_unanswered", "flow.nodes.tell.say"),
        ),
        (
            {"start": {"say": "?", "functions": [YES, {**NO, "phrases": ["Yes!"]}]}},
            ("warning", "shadowed", "flow.nodes.start.functions.1"),
        ),
        (
            {"start": {"say": "?", "functions": [YES], "capture": {"name": "pin", "kind": "digits", "go": "bye"}}},
            ("warning", "shadowed", "flow.nodes.start.functions.0"),
        ),
        (
            {"start": {"say": "?", "functions": [YES, {**NO, "name": "yes"}]}},
            ("warning", "same_name", "flow.nodes.start"),
        ),
        (
            {"start": {"say": "?", "functions": [YES, {"name": "odd", "description": "Odd.", "go": "bye"}]}},
            ("warning", "never_chosen", "flow.nodes.start.functions.1"),
        ),
        (
            {"start": {"say": "a", "go": [{"when": {"variable": "tier", "is": "gold"}, "go": "bye"}, {"go": "bye"}]}},
            ("warning", "unset_variable", "flow.nodes.start.go"),
        ),
        (
            {
                "start": {"say": "?", "capture": {"name": "address", "go": "tell"}},
                "tell": {"say": "It is {adress}.", "go": "bye"},
            },
            ("warning", "maybe_misspelt", "flow.nodes.tell"),
        ),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_is_found_where_it_is(nodes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert expected in found(nodes)


def test_what_a_global_function_takes_first_is_found_at_the_node() -> None:
    nodes = {"start": {"say": "?", "functions": [YES]}}
    both = {**NO, "name": "all", "digits": "1"}
    assert found(nodes, functions=(both,)) == [("warning", "shadowed", "flow.nodes.start")]
    assert found(nodes, functions=({**both, "when": {"variable": "x", "known": True}},), variables=["x"]) == []


def test_what_leads_bring_is_answered_already() -> None:
    nodes = {"start": {"say": "Is it {x}?", "capture": {"name": "x", "go": "bye"}}}
    assert found(nodes, variables=["x"]) == []


def test_answers_that_every_way_gives_are_known() -> None:
    nodes = {
        "start": {"say": "?", "functions": [{**YES, "go": "ask"}, {**NO, "answers": {"x": "none"}, "go": "tell"}]},
        "ask": {"say": "Which?", "capture": {"name": "x", "go": "tell"}},
        "tell": {"say": "It is {x}.", "go": "bye"},
    }
    assert found(nodes) == []
