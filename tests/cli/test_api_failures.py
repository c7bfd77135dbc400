"""What a person is told, and a script by the exit code, when the API is away, refuses, or is somebody else."""

import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse
from temporalio.client import Client

from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.store.database import Database
from tests.api.house import House, settings_for
from tests.cli.shell import Shell, run_breeze, served

_NOBODY = "00000000-0000-0000-0000-000000000000"


def test_an_api_that_is_not_there_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        refused = run_breeze("campaign", "list", "--api-url", url, "--json")
    assert refused.code == ExitCode.UNREACHABLE
    assert refused.out == ""
    assert url in refused.err
    assert "--api-url" in refused.err


async def test_something_else_than_our_api_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for status in (200, 404, 502):

        async def page(scope: Any, receive: Any, send: Any, status: int = status) -> None:
            await HTMLResponse("<h1>welcome</h1>", status_code=status)(scope, receive, send)

        async with served(page) as url:
            refused = await Shell(None, url, tmp_path).breeze("number", "list", "--api-url", url)  # type: ignore[arg-type]
        assert refused.code == ExitCode.UNREACHABLE
        assert f"answered {status}, but not as Breeze Buddy's API" in refused.err


@pytest.mark.parametrize("url", ["calls.example.com", "ftp://calls.example.com", "http://[::1", "http://"])
def test_an_address_that_is_none_is_a_usage_error(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run_breeze("campaign", "list", "--api-url", url)
    assert refused.code == ExitCode.USAGE
    assert url in refused.err


async def test_the_address_may_be_that_of_the_routes(shell: Shell) -> None:
    listed = await shell.breeze("campaign", "list", "--api-url", f"{shell.url}/agent/voice/breeze-buddy/", "--json")
    assert (listed.code, listed.json) == (0, [])


async def test_the_key_is_sent_and_a_wrong_one_is_said(
    sqlite_database: Database, temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    locked = House(settings_for(api_key="the key"), sqlite_database, temporal)
    async with served(locked.app) as url:
        shell = Shell(locked, url, tmp_path)
        for key in ("", "another"):
            monkeypatch.setenv("API_KEY", key)
            refused = await shell.breeze("campaign", "list", "--api-url", url)
            assert refused.code == ExitCode.NOT_ALLOWED
            assert "API_KEY" in refused.err
        monkeypatch.setenv("API_KEY", "the key")
        assert (await shell.breeze("campaign", "list", "--api-url", url)).code == 0
    await locked.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("campaign", "start", _NOBODY),
        ("campaign", "watch", _NOBODY),
        ("campaign", "results", _NOBODY),
        ("campaign", "create", "--name", "x", "--template", "nothing"),
        ("lead", "show", _NOBODY),
        ("lead", "cancel", _NOBODY),
        ("lead", "dispatch-now", _NOBODY),
        ("lead", "push", "+12125551000", "--template", "nothing"),
        ("number", "disable", "+12125551000"),
        ("number", "add", "+12125551000", "--answer-with", "nothing"),
        ("dnc", "remove", "+12125551000"),
    ],
    ids=" ".join,
)
async def test_what_is_not_there_is_exit_code_4(arguments: tuple[str, ...], shell: Shell) -> None:
    refused = await shell.breeze(*arguments)
    assert refused.code == ExitCode.NOT_FOUND, refused
    assert refused.err.startswith("breeze: ")
    assert refused.out == ""


async def test_a_refusal_names_the_place_and_the_reason(shell: Shell) -> None:
    refused = await shell.breeze("number", "add", "12")
    assert refused.code == ExitCode.REFUSED
    assert "phone: " in refused.err
    assert "not a phone number" in refused.err


async def test_a_conflict_is_said_in_the_apis_words(shell: Shell) -> None:
    await shell.house.number("+14155550001")
    refused = await shell.breeze("number", "add", "+14155550001")
    assert refused.code == ExitCode.REFUSED
    assert "registered already" in refused.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("campaign", "create"), "--name"),
        (("campaign", "create", "missing.yaml"), "missing.yaml cannot be read"),
        (("campaign", "create", "--name", "x", "--map", "a=phone"), "--csv"),
        (("campaign", "create", "--name", "x", "--csv", "l.csv", "--map", "a"), "NAME=VALUE"),
        (("campaign", "upload", _NOBODY, "missing.csv"), "missing.csv cannot be read"),
        (("campaign", "redial", _NOBODY), "--outcome"),
        (("campaign", "clone", _NOBODY, "--leads", "all", "--outcome", "BUSY"), "not both"),
        (("campaign", "clone", _NOBODY, "--leads", "some"), "some"),
        (("lead", "push", "+12125551000", "--template", "x", "--var", "name"), "NAME=VALUE"),
        (("lead", "show"), "LEAD"),
        (("template", "push", "."), "cannot be read"),
        (("dnc", "check", "12"), "not a phone number"),
        (("dnc", "import", "missing.csv"), "missing.csv cannot be read"),
        (("doctor", "--data", "nowhere"), "no stack runs in nowhere"),
        (("campaign", "dance"), "dance"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_a_mistake_of_the_caller_is_exit_code_2(arguments: tuple[str, ...], said: str, shell: Shell) -> None:
    refused = await shell.breeze(*arguments)
    assert refused.code == ExitCode.USAGE, refused
    assert said in refused.err
    assert refused.out == ""
