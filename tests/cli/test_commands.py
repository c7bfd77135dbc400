"""The `breeze` command as a person meets it: help, wrong settings, and what is missing."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.ports import StackPorts

_COMMANDS = (
    *("api", "worker", "media", "simulator", "migrate", "temporal", "up", "demo", "version", "pods", "doctor"),
    *("campaign", "lead", "number", "template", "dnc"),
)


def _breeze(*arguments: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "breeze_buddy.cli", *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    shown = _breeze("--help", folder=tmp_path).stdout
    assert all(f" {command} " in shown for command in _COMMANDS)


def test_help_names_every_exit_code(tmp_path: Path) -> None:
    shown = " ".join(_breeze("--help", folder=tmp_path).stdout.split())
    page = (Path(__file__).parents[2] / "docs/cli.md").read_text()
    for code in ExitCode:
        assert f"{code:d} " in shown
        assert f"\n| {code:d} | " in page


@pytest.mark.parametrize(
    "command",
    ["demo", "up", "migrate", "temporal", "doctor", "campaign create", "campaign watch", "lead push", "number add"],
)
def test_every_option_of_a_command_is_explained(command: str, tmp_path: Path) -> None:
    shown = _breeze(*command.split(), "--help", folder=tmp_path).stdout
    options = [line for line in shown.splitlines() if line.lstrip("│ ").startswith("--")]
    assert options
    assert all(len(line.strip("│ ").split()) > 3 for line in options), shown


def test_the_simulators_own_help_is_shown(tmp_path: Path) -> None:
    shown = _breeze("simulator", "--help", folder=tmp_path)
    assert shown.returncode == 0
    assert "--scenario" in shown.stdout


def test_a_wrong_setting_is_named_as_the_variable_it_is(tmp_path: Path) -> None:
    refused = _breeze("migrate", folder=tmp_path, API_PORT="many", TEMPORAL_RETENTION_DAYS="0")
    assert refused.returncode == 2
    assert "API_PORT: Input should be a valid integer" in refused.stderr
    assert "TEMPORAL_RETENTION_DAYS: Input should be greater than or equal to 1" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_unknown_log_level_is_said(tmp_path: Path) -> None:
    refused = _breeze("worker", folder=tmp_path, LOG_LEVEL="loud")
    assert refused.returncode == 2
    assert "LOG_LEVEL" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_without_its_schema_is_said_with_what_to_run(tmp_path: Path) -> None:
    refused = _breeze("--log-format", "text", "worker", folder=tmp_path)
    assert refused.returncode == 1
    assert "run `breeze migrate`" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_migrating_without_temporal_brings_the_database_to_its_schema(tmp_path: Path) -> None:
    for _ in range(2):
        done = _breeze("--log-format", "text", "migrate", "--skip-temporal", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "the database is at revision" in done.stderr
    assert (tmp_path / "breeze.db").exists()


def test_a_port_that_temporal_wants_and_another_has_is_named(tmp_path: Path, ports: StackPorts) -> None:
    with socket.create_server(("127.0.0.1", ports.temporal_ui)):
        refused = _breeze(
            *("temporal", "--port", str(ports.temporal), "--ui-port", str(ports.temporal_ui)), folder=tmp_path
        )
    assert refused.returncode == 1
    assert f"port {ports.temporal_ui} is taken" in refused.stderr
    assert "--ui-port" in refused.stderr


def test_a_taken_port_stops_the_stack_before_anything_is_started(tmp_path: Path) -> None:
    block = StackPorts.from_base(_free_block())
    with socket.create_server(("127.0.0.1", block.media)):
        refused = _breeze("up", "--port-base", str(block.api), folder=tmp_path)
    assert refused.returncode == 1
    assert f"port {block.media} is taken, and the media server wants it" in refused.stderr
    assert not (tmp_path / ".breeze" / "temporal.db").exists()


def _free_block() -> int:
    """The first of five free ports in a row, away from those that `free_ports` gives."""
    for base in range(5_500, 14_000, 5):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", base))
                second.bind(("127.0.0.1", base + 1))
            except OSError:
                continue
            return base
    raise AssertionError("no free block of ports")
