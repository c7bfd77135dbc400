"""What the pages say is so: settings, commands and links."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.main import get_command

from breeze_buddy.cli.demo_expectations import EXPECTATIONS
from breeze_buddy.cli.main import app
from breeze_buddy.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUNNING = (ROOT / "docs/running.md").read_text()


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_table_of_settings_is_complete_and_tells_the_true_defaults() -> None:
    table = RUNNING.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    written = re.findall(r"(?m)^\| `([A-Z0-9_]+)` \| (.*?) ?\| ", table)
    fields = Settings.model_fields.items()
    assert dict(written) == {name.upper(): _default(field.default) for name, field in fields}


def test_the_table_of_people_tells_what_the_demo_expects() -> None:
    rows = re.findall(r"(?m)^\| ([a-z ,]+) \| [^|]+ \| ([A-Z_]+) \| (\d) \|$", RUNNING)
    found = {(outcome, int(calls)) for _, outcome, calls in rows}
    assert found == {(str(e.outcome), len(e.calls)) for e in EXPECTATIONS.values()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_pages_name_exist(page: Path) -> None:
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = re.findall(r"(?:`|\$ |or: )breeze (?:--log-format \w+ )?([a-z]+)", page.read_text())
    assert set(named) <= commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_pages_name_exist(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", page.read_text())) <= targets
