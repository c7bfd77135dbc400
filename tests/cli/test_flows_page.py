"""What docs/flows.md shows is so: its example is valid, and is held in the terminal as it stands there."""

import re
from pathlib import Path
from typing import get_args

from breeze_buddy.domain.flow import Action, Node, ValueType
from tests.cli.shell import run_breeze

PAGE = (Path(__file__).parents[2] / "docs/flows.md").read_text()


def part(name: str) -> str:
    text = PAGE.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]
    return text.partition("\n")[2].rpartition("```")[0]


def test_the_example_is_valid_and_talks_as_the_page_says(tmp_path: Path) -> None:
    (file := tmp_path / "table.yaml").write_text(part("example"))
    checked = run_breeze("template", "validate", str(file), "--json")
    assert (checked.code, checked.json["problems"]) == (0, [])
    shown = part("chat").splitlines()
    typed = "".join(line.removeprefix("caller: ") + "\n" for line in shown if line.startswith("caller: "))
    variables = ("--variable", "name=Ada", "--variable", "guests_before=2")
    held = run_breeze("template", "chat", str(file), *variables, stdin=typed)
    said = [line for line in held.out.splitlines() if not line.startswith(("answer: ", "calls back: "))]
    assert said == shown


def test_all_fields_types_and_built_in_functions_are_on_the_page() -> None:
    rows = set(re.findall(r"`([a-z_]+)`", "\n".join(line for line in PAGE.splitlines() if line.startswith("| "))))
    assert set(Node.model_fields) <= rows
    assert set(get_args(ValueType)) <= rows
    assert {action.model_fields["action"].default for action in get_args(get_args(Action)[0])} <= rows
