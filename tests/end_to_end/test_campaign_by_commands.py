"""A campaign from a file to its results, by nothing but commands."""

import asyncio
import csv
import json
import os
import sys

import pytest

from .stack import Stack, template

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def breeze(stack: Stack, *arguments: str) -> str:
    """What a command printed, which has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "breeze_buddy.cli", *arguments),
        env=os.environ | {"BREEZE_API_URL": stack.api_origin},
        cwd=stack.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_it_is_created_watched_to_its_end_and_its_results_are_written(stack: Stack) -> None:
    busy, talker = await stack.person(behaviour="busy"), await stack.person(script=["Yes, that is correct."])
    number = await stack.number()
    (stack.folder / "t.json").write_text(json.dumps(template("by-commands", retry={"max_retries": 0})))
    (stack.folder / "leads.csv").write_text(f"who,thing,phone\nAda,a lamp,{busy}\nLin,a desk,{talker}\n")
    made = await breeze(
        stack,
        *("campaign", "create", "--name", "by commands", "--template-file", "t.json", "--number", number),
        *("--csv", "leads.csv", "--map", "who=name", "--map", "thing=item", "--start", "--json"),
    )
    campaign_id = json.loads(made)["campaign"]["id"]
    watched = await breeze(stack, "campaign", "watch", campaign_id, "--every", "0.2", "--timeout", "90")
    assert "COMPLETED" in watched.splitlines()[-1]
    assert "FINISHED 2" in watched.splitlines()[-1]
    results = csv.DictReader((await breeze(stack, "campaign", "results", campaign_id)).splitlines())
    assert {row["phone"]: row["outcome"] for row in results} == {busy: "BUSY", talker: "COMPLETED"}
    (lead,) = json.loads(await breeze(stack, "campaign", "list", "--limit", "1", "--json"))
    assert lead["id"] == campaign_id
