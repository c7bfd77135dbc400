"""What the stack's processes are given."""

import json
import stat
from pathlib import Path

import pytest

from breeze_buddy.cli.errors import CommandError
from breeze_buddy.cli.ports import StackPorts
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.cli.stack_secrets import load_or_make
from breeze_buddy.cli.stack_state import ProcessState, StackState, read_state, remove_state
from breeze_buddy.settings import Settings


@pytest.fixture
def plan(tmp_path: Path) -> StackPlan:
    return StackPlan(folder=tmp_path, ports=StackPorts.from_base(20_000), settings=Settings(_env_file=None))


def test_the_environment_becomes_settings_that_meet_the_stacks_own_parts(
    plan: StackPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = load_or_make(tmp_path)
    for name, value in plan.environment(secrets).items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None)
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path / 'breeze.db'}"
    assert settings.recordings_url == f"file://{tmp_path / 'recordings'}"
    assert (settings.api_port, settings.media_port) == (plan.ports.api, plan.ports.media)
    assert settings.temporal_address == f"127.0.0.1:{plan.ports.temporal}"
    assert settings.public_url == f"http://127.0.0.1:{plan.ports.api}"
    assert settings.stream_url.startswith(f"ws://127.0.0.1:{plan.ports.media}/")
    assert settings.twilio_auth_token.get_secret_value() == secrets.auth_token


def test_no_setting_of_ours_can_make_a_stack_call_the_real_twilio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_API_BASE_URL", "https://api.twilio.com")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "ACreal")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "real")
    plan = StackPlan(folder=tmp_path, ports=StackPorts(), settings=Settings(_env_file=None))
    environment = plan.environment(load_or_make(tmp_path))
    assert environment["TWILIO_API_BASE_URL"] == "http://127.0.0.1:8002"
    assert environment["TWILIO_ACCOUNT_SID"] != "ACreal"
    assert environment["TWILIO_AUTH_TOKEN"] != "real"


def test_what_is_set_for_the_children_are_settings(
    plan: StackPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", {})
    set_by_us = set(plan.environment(load_or_make(tmp_path))) - {"PYTHONUNBUFFERED"}
    assert {name.lower() for name in set_by_us} <= set(Settings.model_fields)


def test_secrets_are_made_once_and_read_by_their_owner_only(tmp_path: Path) -> None:
    first = load_or_make(tmp_path)
    assert load_or_make(tmp_path) == first
    assert first.account_sid.startswith("AC")
    assert len(first.account_sid) == 34
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_spoilt_secrets_file_is_said_rather_than_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{}")
    with pytest.raises(CommandError, match=r"secrets\.json is not a file of secrets"):
        load_or_make(tmp_path)


def test_the_state_file_tells_pids_ports_and_places(plan: StackPlan, tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    state = StackState(
        pid=1,
        data=str(tmp_path),
        started_at="2026-01-31T09:30:00Z",  # type: ignore[arg-type]
        ports=plan.ports.by_name(),
        urls=plan.urls,
        processes={"worker": ProcessState(pid=2, state="running", restarts=0, log="worker.log")},
    )
    state.write()
    assert read_state(tmp_path) == state
    content = json.loads((tmp_path / "stack.json").read_text())
    assert content["processes"]["worker"]["pid"] == 2
    assert content["ports"]["api"] == 20_000
    assert content["urls"]["api_docs"] == "http://127.0.0.1:20000/agent/voice/breeze-buddy/docs"
    remove_state(tmp_path)
    assert read_state(tmp_path) is None
