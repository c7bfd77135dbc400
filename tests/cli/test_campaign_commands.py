"""A campaign from its definition to its results, by commands."""

import asyncio
import csv
import io
import json
import os
from typing import Any

import pytest

from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.domain.campaign import CampaignStatus
from breeze_buddy.store import campaigns
from tests.api.house import FLOW, person
from tests.cli.shell import Shell

ROWS = f"Telephone,Who,item\n{person(1)},Ada,a lamp\n{person(2)},Lin,a desk\n12,Nobody,a chair\n{person(3)},,a bed\n"
MAPPED = ("--map", "Telephone=phone", "--map", "Who=name")


@pytest.fixture
async def ready(shell: Shell) -> Shell:
    """A template and a number are there."""
    await shell.house.template()
    await shell.house.number("+14155550001")
    return shell


async def _created(shell: Shell, *more: str) -> Any:
    made = await shell.done("campaign", "create", "--name", "summer", "--template", "order", *_NUMBER, *more)
    return made["campaign"]


_NUMBER = ("--number", "+14155550001")


async def test_a_definition_file_is_enough_and_options_go_before_it(ready: Shell) -> None:
    file = ready.file(
        "summer.yaml",
        "name: summer\ntemplate_name: nothing\nnumbers: [+14155550001]\nmax_concurrent_calls: 2\nweight: 2\n"
        f"leads:\n  - {{phone: {person(0)}, variables: {{name: Ada}}}}\n",
    )
    made = await ready.done("campaign", "create", file, "--template", "order", "--max-concurrent-calls", "7")
    campaign = made["campaign"]
    assert (campaign["status"], campaign["open_leads"], campaign["template_name"]) == ("CREATED", 1, "order")
    assert (campaign["max_concurrent_calls"], campaign["weight"]) == (7, 2)
    assert made["upload"] is None


async def test_a_definition_comes_from_stdin_with_a_template_from_a_file(ready: Shell) -> None:
    template = ready.file("t.json", json.dumps({"name": "other", "flow": FLOW}))
    definition = json.dumps({"name": "autumn", "numbers": ["+14155550001"]})
    made = await ready.breeze("campaign", "create", "-", "--template-file", template, "--json", stdin=definition)
    assert made.code == 0
    assert made.json["campaign"]["template_name"] == "other"


async def test_leads_come_from_another_command_by_a_pipe(ready: Shell) -> None:
    """As a shell's <(command) gives them."""
    pipe = ready.folder / "leads"
    os.mkfifo(pipe)
    writing = asyncio.create_task(asyncio.to_thread(pipe.write_text, f"phone,name\n{person(1)},Ada\n"))
    made = await ready.done("campaign", "create", "--name", "summer", "--template", "order", *_NUMBER, "--csv", "leads")
    await writing
    assert made["upload"]["accepted"] == 1


async def test_a_file_of_leads_is_sent_its_columns_renamed_and_its_refusals_kept(ready: Shell) -> None:
    leads = ready.file("leads.csv", ROWS)
    made = await ready.breeze(
        *("campaign", "create", "--name", "summer", "--template", "order", *_NUMBER, "--csv", leads, *MAPPED),
        *("--start", "--refusals", "refused.csv"),
    )
    assert made.code == ExitCode.IN_PART
    assert "is RUNNING, 2 open leads" in made.out
    assert "2 leads taken, 0 known already, 2 refused" in made.out
    refused = list(csv.DictReader((ready.folder / "refused.csv").open()))
    assert [(row["line"], row["field"]) for row in refused] == [("4", "phone"), ("5", "variables")]


async def test_more_leads_are_uploaded_from_stdin_and_again(ready: Shell) -> None:
    campaign = await _created(ready)
    rows = f"phone,name,request_id\n{person(1)},Ada,1\n415-555-0123,Lin,2\n"
    command = ("campaign", "upload", campaign["id"], "-", "--default-country", "US")
    first = await ready.breeze(*command, stdin=rows)
    assert (first.code, first.out) == (0, "2 leads taken, 0 known already, 0 refused\n")
    again = await ready.breeze(*command, "--json", stdin=rows)
    assert (again.json["accepted"], again.json["duplicates"]) == (0, 2)


async def test_a_campaign_whose_leads_cannot_be_sent_is_named(ready: Shell) -> None:
    done = await ready.breeze(
        "campaign", "create", "--name", "summer", "--template", "order", *_NUMBER, "--csv", "missing.csv"
    )
    assert done.code == ExitCode.USAGE
    (campaign,) = await ready.done("campaign", "list")
    assert f"Campaign {campaign['id']} was created" in done.err


async def test_start_pause_resume_and_cancel(ready: Shell) -> None:
    campaign_id = (await _created(ready))["id"]
    for command, status in (("start", "RUNNING"), ("pause", "PAUSED"), ("resume", "RUNNING")):
        said = await ready.breeze("campaign", command, campaign_id)
        assert said.out.startswith(f"campaign {campaign_id} is {status}")
    cancelled = await ready.done("campaign", "cancel", campaign_id, "--let-finish", "--reason", "enough")
    assert (cancelled["status"], cancelled["status_reason"]) == ("CANCELLED", "enough")
    refused = await ready.breeze("campaign", "resume", campaign_id)
    assert refused.code == ExitCode.REFUSED
    assert "cannot go from CANCELLED to RUNNING" in refused.err
    assert campaign_id in (await ready.breeze("campaign", "list", "--status", "CANCELLED")).out
    assert await ready.done("campaign", "list", "--status", "RUNNING") == []


@pytest.mark.parametrize(
    ("status", "code"), [(CampaignStatus.COMPLETED, ExitCode.DONE), (CampaignStatus.CANCELLED, ExitCode.STOPPED)]
)
async def test_watching_ends_with_the_campaign(status: CampaignStatus, code: int, ready: Shell) -> None:
    campaign_id = (await _created(ready, "--start"))["id"]
    async with ready.house.database.write() as tx:
        await campaigns.set_status(tx, campaign_id, status, now=ready.house.database.now(), reason="by the test")
    watched = await ready.breeze("campaign", "watch", campaign_id)
    assert watched.code == code
    assert watched.out.startswith(f"{status}: by the test · BACKLOG 0 · ")
    last = json.loads((await ready.breeze("campaign", "watch", campaign_id, "--json")).out.splitlines()[-1])
    assert (last["status"], last["live_calls"], last["finished_per_s"]) == (status, 0, 0)


async def test_watching_can_end_at_a_pause_or_after_a_time(ready: Shell) -> None:
    campaign_id = (await _created(ready, "--start"))["id"]
    late = await ready.breeze("campaign", "watch", campaign_id, "--timeout", "0")
    assert late.code == ExitCode.REFUSED
    assert "has not ended within 0 s" in late.err
    await ready.done("campaign", "pause", campaign_id)
    paused = await ready.breeze("campaign", "watch", campaign_id, "--exit-on-pause")
    assert paused.code == ExitCode.STOPPED


async def test_results_are_csv_on_stdout_in_a_file_and_as_json_lines(ready: Shell) -> None:
    campaign_id = (await _created(ready))["id"]
    rows = f'phone,name\n{person(1)},"Ada,\nthe first"\n{person(2)},Lin\n'
    await ready.breeze("campaign", "upload", campaign_id, "-", stdin=rows)
    printed = await ready.breeze("campaign", "results", campaign_id)
    assert printed.code == 0
    found = list(csv.DictReader(io.StringIO(printed.out)))
    assert sorted(row["phone"] for row in found) == [person(1), person(2)]

    written = await ready.breeze("campaign", "results", campaign_id, "-o", "results.csv")
    assert (written.code, written.out) == (0, "")
    assert (ready.folder / "results.csv").read_bytes().decode() == printed.out
    lines = (await ready.breeze("campaign", "results", campaign_id, "--json")).out.splitlines()
    assert [json.loads(line) for line in lines] == found
    assert (await ready.breeze("campaign", "results", campaign_id, "--calls", "--json")).out == ""


async def test_results_that_cannot_be_written_are_said_and_leave_nothing(ready: Shell) -> None:
    campaign_id = (await _created(ready))["id"]
    refused = await ready.breeze("campaign", "results", campaign_id, "-o", "no/such/folder.csv")
    assert refused.code == ExitCode.USAGE
    missing = await ready.breeze("campaign", "results", "nothing", "-o", "results.csv")
    assert missing.code == ExitCode.NOT_FOUND
    assert list(ready.folder.glob("results*")) == []


async def test_a_campaign_is_cloned_with_and_without_its_leads(ready: Shell) -> None:
    campaign_id = (await _created(ready))["id"]
    await ready.breeze("campaign", "upload", campaign_id, "-", stdin=f"phone,name\n{person(1)},Ada\n")
    bare = await ready.done("campaign", "clone", campaign_id, "--name", "winter")
    assert (bare["name"], bare["status"], bare["open_leads"]) == ("winter", "CREATED", 0)
    full = await ready.done("campaign", "clone", campaign_id, "--leads", "all", "--start")
    assert (full["status"], full["open_leads"]) == ("RUNNING", 1)


async def test_finished_leads_are_called_again(ready: Shell) -> None:
    campaign_id = (await _created(ready, "--start"))["id"]
    await ready.breeze("campaign", "upload", campaign_id, "-", stdin=f"phone,name\n{person(1)},Ada\n")
    (lead,) = (await ready.house.get(f"/campaigns/{campaign_id}/leads")).json()["items"]
    await ready.done("lead", "cancel", lead["id"])
    nobody = await ready.done("campaign", "redial", campaign_id, "--outcome", "BUSY")
    assert nobody["redialled"] == 0
    again = await ready.done("campaign", "redial", campaign_id, "--outcome", "CANCELLED", "--outcome", "BUSY")
    assert (again["redialled"], again["campaign"]["open_leads"]) == (1, 1)
