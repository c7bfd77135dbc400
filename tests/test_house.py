"""The rooms of the house keep to their import rules, which `pyproject.toml` states; and the check can fail."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
BREACHES = {
    "arrows run downward only": ("store/breach.py", "import breeze_buddy.api"),
    "the domain is pure: no network, no database, no framework, and nothing of ours": (
        "domain/breach.py",
        "import asyncio",
    ),
    "only telephony imports the twilio package": ("activities/breach.py", "from twilio.rest import Client"),
    "only the store writes SQL": ("api/breach.py", "import sqlalchemy"),
    "the simulator imports nothing of ours": ("simulator/breach.py", "import breeze_buddy.settings"),
    "we import nothing of the simulator": ("media/breach.py", "import breeze_buddy.simulator"),
}


def verdicts(house: Path) -> tuple[int, dict[str, str]]:
    """The exit code of the import linter in `house`, and what it says of each contract."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=house,
        env={"COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = {name: word for line in run.stdout.splitlines() for name, _, word in [line.rpartition(" ")]}
    assert set(CONTRACTS) <= set(said), run.stdout + run.stderr
    return run.returncode, {name: said[name] for name in CONTRACTS}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its rules, to break."""
    shutil.copy(HOUSE / "pyproject.toml", tmp_path)
    shutil.copytree(
        HOUSE / "breeze_buddy", tmp_path / "breeze_buddy", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    return tmp_path


def test_every_room_keeps_the_import_rules() -> None:
    assert verdicts(HOUSE) == (0, dict.fromkeys(CONTRACTS, "KEPT"))


def test_every_rule_has_a_breach_to_prove_it_with() -> None:
    assert sorted(BREACHES) == sorted(CONTRACTS)


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_of_each_rule_is_found(contract: str, copy: Path) -> None:
    where, what = BREACHES[contract]
    (copy / "breeze_buddy" / where).write_text(f"{what}\n")
    code, found = verdicts(copy)
    assert code != 0
    assert found[contract] == "BROKEN"
    assert [name for name, word in found.items() if word == "BROKEN"] == [contract]
