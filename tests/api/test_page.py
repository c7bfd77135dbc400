"""The commands of docs/api.md, run in their order against the API."""

import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

from breeze_buddy.settings import PREFIX
from tests.api.house import House

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [command for block in BLOCKS for command in re.split(r"(?m)^\$ ", block) if command.startswith("curl")]
CSV = re.findall(r"printf '(.*)' > leads.csv", PAGE)[0].replace("\\n", "\n")


async def run(house: House, command: str, known: dict[str, str]) -> httpx.Response:
    """What curl would do."""
    for name, value in known.items():
        command = command.replace(f"${name}", value)
    words = iter(shlex.split(command)[1:])
    method, path, more = "", "", {"headers": {}}  # type: tuple[str, str, dict[str, Any]]
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                more["headers"][name] = value
            case "-d":
                more["content"] = next(words)
            case "--data-binary":
                assert next(words) == "@leads.csv"
                more["content"] = CSV
            case "-F":
                assert next(words) == "file=@leads.csv"
                more["files"] = {"file": ("leads.csv", CSV)}
            case _:
                path = word
    assert path.startswith("$API/"), command
    sends = "content" in more or "files" in more
    return await house.ask(method or ("POST" if sends else "GET"), path.removeprefix("$API"), **more)


async def test_the_commands_of_the_page_do_what_it_says(house: House) -> None:
    assert len(COMMANDS) > 15
    known: dict[str, str] = {}
    answers: list[Any] = []
    for command in COMMANDS:
        answer = await run(house, command, known)
        assert answer.is_success, (command, answer.text)
        said = answer.json()
        answers.append(said)
        if "campaign" in said:
            known["CAMPAIGN"] = said["campaign"]["id"]
        if command.startswith("curl $API/leads -H"):
            known["LEAD"] = said["id"]
    uploads = [(said["accepted"], said["duplicates"]) for said in answers if "accepted" in said]
    # The campaign's own lead, then the same file in two ways.
    assert uploads == [(1, 0), (1, 0), (0, 1)]
    refused = next(said["refused"] for said in answers if said.get("refused"))
    assert [(item["line"], item["field"]) for item in refused] == [(3, "phone")]
    # By the hour in Berlin the lead waited, or had its line already.
    assert answers[-1]["status"] in ("FINISHED", "PROCESSING")


@pytest.mark.parametrize(
    "route", sorted(set(re.findall(r"`(?:GET |POST |PUT )?(/[a-z]+(?:/\{id\})?(?:/[a-z]+)?)`", PAGE)))
)
async def test_the_routes_that_the_page_names_exist(house: House, route: str) -> None:
    paths = (await house.get("/openapi.json")).json()["paths"]
    known = {re.sub(r"\{\w+\}", "{id}", path.removeprefix(PREFIX)) for path in paths}
    verbs = {"/start", "/pause", "/resume", "/cancel", "/clone", "/redial"}
    assert route in known or (route in verbs and f"/campaigns/{{id}}{route}" in known)
