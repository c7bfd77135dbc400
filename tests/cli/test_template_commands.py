"""Templates from files: checked without a server, pushed and pushed again."""

import json
from typing import Any

import pytest

from breeze_buddy.cli.exits import ExitCode
from tests.api.house import FLOW
from tests.cli.shell import Shell, run_breeze

GOOD = """\
name: order-check
calling_window: {start: 09:00, end: 20:00, time_zone: Europe/Berlin}
variables: [item]
flow:
  start: order
  nodes:
    order:
      say: Hello {name}.
      functions:
        - {name: confirm, phrases: [yes], digits: "1", go: bye}
    bye:
      say: Goodbye.
      then: {action: end_conversation, result: answered}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _write(text: str, name: str = "t.yaml") -> str:
    with open(name, "w") as file:
        file.write(text)
    return name


def test_a_good_template_is_said_to_be_good_without_any_server() -> None:
    checked = run_breeze("template", "validate", _write(GOOD))
    assert checked.code == 0
    assert checked.out == "t.yaml: template order-check is valid; each lead brings item, name\n"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('digits: "1"', "digits: 1", "t.yaml:10: flow.nodes.order.functions[0].digits: "),
        ("go: bye", "go: nowhere", "nowhere"),
        ("end: 20:00", "end: 25:00", "t.yaml:2: calling_window.end: "),
        ("say: Goodbye.", "sya: Goodbye.", "t.yaml:12: flow.nodes.bye.sya: "),
        ("name: order-check\n", "", "t.yaml: name: Field required"),
    ],
)
def test_each_mistake_is_told_with_its_line_and_place(before: str, after: str, said: str) -> None:
    checked = run_breeze("template", "validate", _write(GOOD.replace(before, after, 1)))
    assert checked.code == ExitCode.REFUSED
    assert said in checked.out


def test_programs_get_the_same_as_json() -> None:
    good = run_breeze("template", "validate", _write(json.dumps({"name": "x", "flow": FLOW}), "t.json"), "--json")
    assert good.json == {"valid": True, "name": "x", "variables": ["name"], "problems": []}
    bad = run_breeze("template", "validate", _write(GOOD.replace('"1"', "1")), "--json")
    assert bad.code == ExitCode.REFUSED
    (problem,) = bad.json["problems"]
    assert (problem["place"], problem["line"]) == ("flow.nodes.order.functions[0].digits", 10)


async def test_a_template_is_pushed_and_replaced_by_its_name(shell: Shell) -> None:
    file = shell.file("t.yaml", GOOD)
    first = await shell.done("template", "push", file)
    assert (first["version"], first["template"]["calling_window"]["end"]) == (1, "20:00:00")
    again = await shell.breeze("template", "push", shell.file("t.yaml", GOOD.replace("Goodbye", "See you")))
    assert again.out == f"template order-check is at version 2, id {first['id']}\n"
    listed = await shell.breeze("template", "list")
    assert "order-check" in listed.out
    assert first["id"] in listed.out


async def test_the_api_refuses_with_the_place(shell: Shell) -> None:
    refused = await shell.breeze("template", "push", shell.file("t.yaml", GOOD.replace('"1"', "1")))
    assert refused.code == ExitCode.REFUSED
    assert "flow.nodes.order.functions[0].digits: " in refused.err
