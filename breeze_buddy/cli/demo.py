"""`breeze demo`: a campaign of simulated people, run to its end on a stack of its own and judged.

It uses nothing but the REST API and the simulator's control interface, as anybody could.
"""

import asyncio
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from breeze_buddy.cli.demo_client import DemoClient
from breeze_buddy.cli.demo_people import DemoPerson, make_people
from breeze_buddy.cli.demo_progress import CampaignPicture
from breeze_buddy.cli.demo_report import DemoReport, make_report, report_lead, table_of
from breeze_buddy.cli.demo_template import TEMPLATE
from breeze_buddy.cli.errors import PortTaken
from breeze_buddy.cli.foreground import until_signalled
from breeze_buddy.cli.lock import LOCK_FILE, FolderLock
from breeze_buddy.cli.ports import StackPorts, free_ports
from breeze_buddy.cli.stack import Stack
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.cli.up import choose_ports, print_places
from breeze_buddy.settings import Settings

DEFAULT_FOLDER = Path(".breeze/demo")
NUMBERS = {"+12025550143": 4, "+12025550187": 4}  # how many channels each has
_PLAIN_WIDTH = 100
_LOOK_EVERY_S = 0.5
_RECORDINGS_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says. `folder` None: the default one, emptied first."""

    leads: int
    seed: int
    keep: bool
    folder: Path | None
    report: Path | None
    timeout_s: float
    port_base: int | None
    any_free: bool


async def run_demo(settings: Settings, options: DemoOptions) -> int:
    """Exit code 0 when every lead ended as its person must, else 1."""
    console = Console() if sys.stdout.isatty() else Console(width=_PLAIN_WIDTH)
    folder = options.folder or DEFAULT_FOLDER
    with FolderLock(folder):
        if options.folder is None:
            _empty(folder)
        plan = StackPlan(folder=folder, ports=_ports(options, console), settings=settings, seed=options.seed)
        stack = Stack(plan, announce=lambda sentence: console.print(sentence, highlight=False, markup=False))
        return await until_signalled(_demonstrate(stack, options, console), insist=stack.kill)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != LOCK_FILE:
            entry.unlink()


def _ports(options: DemoOptions, console: Console) -> StackPorts:
    try:
        return choose_ports(options.port_base, any_free=options.any_free)
    except PortTaken as taken:
        if options.port_base is not None or options.any_free:
            raise
        console.print(f"Using free ports: {str(taken).splitlines()[0]}", highlight=False)
        return free_ports()


async def _demonstrate(stack: Stack, options: DemoOptions, console: Console) -> int:
    people = await make_people(options.leads, options.seed)
    console.print(f"Starting Breeze Buddy in {stack.plan.folder} …", highlight=False)
    async with stack:
        report = await _campaign(stack, people, options, console)
        console.print(table_of(report, width=console.width))
        _say_what_differs(report, people, console)
        if options.report is not None:
            options.report.parent.mkdir(parents=True, exist_ok=True)
            options.report.write_text(report.model_dump_json(indent=2) + "\n")
        code = 0 if report.as_expected and len(report.leads) == len(people) else 1
        print_places(stack)
        if options.keep:
            console.print("All of it is left running; Ctrl-C stops it.")
            await _until_stopped(stack)
        else:
            console.print("Stopping; `breeze demo --keep` leaves it running.")
    return code


async def _campaign(stack: Stack, people: Sequence[DemoPerson], options: DemoOptions, console: Console) -> DemoReport:
    urls, key = stack.plan.urls, stack.plan.settings.api_key
    client = DemoClient(
        api_url=urls["api"], simulator_url=urls["simulator"], api_key=key.get_secret_value() if key else None
    )
    began = time.monotonic()
    try:
        campaign_id = await _start(client, people, began)
        console.print(f"Calling {len(people)} people from {len(NUMBERS)} numbers …", highlight=False)
        if await _watch(client, campaign_id, len(people), options.timeout_s, console):
            await _until_recorded(client, campaign_id)
        else:
            console.print(f"[red]Time ran out after {options.timeout_s:g} s.[/]", highlight=False)
        by_phone = {person.phone: person for person in people}
        leads = await _whole_leads(client, campaign_id)
        reported = [report_lead(lead, by_phone[lead["phone"]]) for lead in leads]
        return make_report(reported, people=len(people), wall_s=time.monotonic() - began)
    finally:
        await client.close()


async def _start(client: DemoClient, people: Sequence[DemoPerson], began: float) -> str:
    await client.introduce([person.scenario for person in people], list(NUMBERS))
    template_id = await _register_template(client)
    known = {number["phone"] for number in _items(await client.get("/numbers"))}
    for phone, channels in NUMBERS.items():
        if phone not in known:
            await client.post("/numbers", {"phone": phone, "provider": "twilio", "channels": channels})
    created = await client.post(
        "/campaigns",
        {
            "name": "Demo",
            "template_id": template_id,
            "numbers": list(NUMBERS),
            "leads": [{"phone": p.phone, "variables": {"name": p.name, "item": p.item}} for p in people],
        },
    )
    campaign_id: str = created["campaign"]["id"]
    await client.post(f"/campaigns/{campaign_id}/start")
    return campaign_id


async def _register_template(client: DemoClient) -> str:
    body = TEMPLATE.model_dump(mode="json")
    for stored in _items(await client.get(f"/templates?name={TEMPLATE.name}")):
        updated = await client.put(f"/templates/{stored['id']}", body)
        return str(updated["id"])
    return str((await client.post("/templates", body))["id"])


def _items(answer: Any) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = answer if isinstance(answer, list) else answer["items"]
    return items


async def _watch(client: DemoClient, campaign_id: str, total: int, timeout_s: float, console: Console) -> bool:
    """Look until every lead is FINISHED; False when time ran out before."""
    began = time.monotonic()
    with CampaignPicture(console, total) as picture:
        while True:
            leads = await client.leads_of(campaign_id)
            elapsed_s = time.monotonic() - began
            picture.show(leads, elapsed_s)
            if len(leads) == total and all(lead["status"] == "FINISHED" for lead in leads):
                return True
            if elapsed_s > timeout_s:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)


async def _until_recorded(client: DemoClient, campaign_id: str) -> None:
    """A finished lead's recording may still be on its way: give the last of them time."""
    deadline = time.monotonic() + _RECORDINGS_WAIT_S
    while time.monotonic() < deadline:
        leads = await _whole_leads(client, campaign_id)
        completed = [call for lead in leads for call in lead["calls"] if call["status"] == "completed"]
        if all(call["recording"] and call["recording"]["stored"] for call in completed):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _whole_leads(client: DemoClient, campaign_id: str) -> list[dict[str, Any]]:
    return [await client.get(f"/leads/{lead['id']}") for lead in await client.leads_of(campaign_id)]


def _say_what_differs(report: DemoReport, people: Sequence[DemoPerson], console: Console) -> None:
    totals = report.totals
    if report.as_expected and len(report.leads) == len(people):
        console.print(
            f"[green]Every lead ended as its person must[/]: {totals['calls']} calls, "
            f"{totals['recordings']} recordings, {totals['wall_s']:.0f} s.",
            highlight=False,
        )
        return
    if len(report.leads) != len(people):
        console.print(f"[red]{len(people)} people were to be called, and there are {len(report.leads)} leads.[/]")
    for lead in report.leads:
        if lead.unexpected:
            what = "; ".join(lead.unexpected)
            console.print(
                f"[red]{lead.phone}[/] ({lead.person}, lead {lead.id}): {what}", highlight=False, soft_wrap=True
            )


async def _until_stopped(stack: Stack) -> None:
    try:
        await stack.hold()
    except asyncio.CancelledError:
        return
