"""`breeze template call`: a template calls one simulated phone on a stack of its own; what was heard is printed."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breeze_buddy.cli.demo_client import DemoClient
from breeze_buddy.cli.documents import read_document
from breeze_buddy.cli.errors import OptionError
from breeze_buddy.cli.foreground import until_signalled
from breeze_buddy.cli.lock import LOCK_FILE, FolderLock
from breeze_buddy.cli.ports import free_ports
from breeze_buddy.cli.printing import print_json, say
from breeze_buddy.cli.stack import Stack
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.cli.template_chat import ConversationEnd, print_end, variables_for
from breeze_buddy.cli.template_check import read_template
from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.retry import RetryPolicy
from breeze_buddy.domain.template import Template
from breeze_buddy.settings import Settings

DEFAULT_FOLDER = Path(".breeze/call")
NUMBER = "+12025550143"
PHONE = "+14155550101"
BEHAVIOURS = {"talks": "answers"} | dict.fromkeys(
    ("answers", "silent", "voicemail", "hangs_up_early", "hangs_up_mid_sentence", "no_answer", "busy", "declines"), ""
)
_LOOK_EVERY_S = 0.3
_RECORDING_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the command line says. `folder` None: the default one, emptied first."""

    file: Path
    variables: tuple[str, ...]
    person: str
    say: tuple[str, ...]
    folder: Path | None
    timeout_s: float
    as_json: bool


def scenario(options: CallOptions) -> dict[str, Any]:
    """The simulator's words for who picks up. Raises OptionError."""
    if options.person not in BEHAVIOURS:
        raise OptionError(f"--person {options.person!r}: choose one of {', '.join(BEHAVIOURS)}")
    does = BEHAVIOURS[options.person] or options.person
    script = [{"press": line[1:]} if line.startswith("#") else {"say": line} for line in options.say]
    return {"phone": PHONE, "behaviour": does, "ring_s": 0.3} | ({"script": script} if script else {})


async def run_call(settings: Settings, options: CallOptions) -> int:
    """Exit code 0 when the conversation reached its end. Raises FileError, OptionError, StartFailed, DemoFailed."""
    template = read_template(read_document(options.file))
    variables = variables_for(template, options.variables)
    person = scenario(options)
    # One call, now.
    template = template.model_copy(update={"retry": RetryPolicy(max_retries=0), "calling_window": None})
    folder = options.folder or DEFAULT_FOLDER
    with FolderLock(folder):
        if options.folder is None:
            _empty(folder)
        plan = StackPlan(folder=folder, ports=free_ports(), settings=settings)
        stack = Stack(plan, announce=say)
        return await until_signalled(_call(stack, template, variables, person, options), insist=stack.kill)


async def _call(
    stack: Stack, template: Template, variables: Mapping[str, str], person: Mapping[str, Any], options: CallOptions
) -> int:
    say("Starting a stack …")
    urls, key = stack.plan.urls, stack.plan.settings.api_key
    async with stack:
        client = DemoClient(
            api_url=urls["api"], simulator_url=urls["simulator"], api_key=key.get_secret_value() if key else None
        )
        try:
            say("Calling …")
            lead = await _one_lead(client, template, variables, person, options.timeout_s)
            spoke = [call["id"] for call in lead["calls"] if call["conversation"]]
            told = await client.get(f"/calls/{spoke[-1]}/transcript") if spoke else None
        finally:
            await client.close()
    return _print(lead, told, stack.plan.folder, as_json=options.as_json)


async def _one_lead(
    client: DemoClient,
    template: Template,
    variables: Mapping[str, str],
    person: Mapping[str, Any],
    timeout_s: float,
) -> Any:
    """The lead at its end, or where it is when time ran out."""
    await client.introduce([person], [NUMBER])
    known = await client.get("/numbers")
    if not known["items"] if isinstance(known, dict) else not known:
        await client.post("/numbers", {"phone": NUMBER, "provider": "twilio", "channels": 1})
    made = await client.post(
        "/campaigns",
        {
            "name": f"One call with {template.name}"[:100],
            "template": template.model_dump(mode="json"),
            "numbers": [NUMBER],
            "leads": [{"phone": PHONE, "variables": dict(variables)}],
        },
    )
    campaign_id = made["campaign"]["id"]
    await client.post(f"/campaigns/{campaign_id}/start")
    (lead,) = await client.leads_of(campaign_id)
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while lead["status"] != "FINISHED" and loop.time() < deadline_s:
        await asyncio.sleep(_LOOK_EVERY_S)
        lead = await client.get(f"/leads/{lead['id']}")
    deadline_s = loop.time() + _RECORDING_WAIT_S
    while not _is_whole(lead, recorded=template.record) and loop.time() < deadline_s:
        await asyncio.sleep(_LOOK_EVERY_S)
        lead = await client.get(f"/leads/{lead['id']}")
    return lead


def _is_whole(lead: Mapping[str, Any], *, recorded: bool) -> bool:
    """A finished lead's report and recording may still be on their way."""
    calls = [call for call in lead.get("calls", ()) if call["status"] == "completed"]
    return bool(lead.get("calls")) and all(
        (call["conversation"] or call["answered_by"] == "machine")
        and (not recorded or (call["recording"] is not None and call["recording"]["stored"]))
        for call in calls
    )


def _print(lead: Mapping[str, Any], told: Mapping[str, Any] | None, folder: Path, *, as_json: bool) -> int:
    call = lead["calls"][-1] if lead["calls"] else {}
    conversation = call.get("conversation")
    recordings = sorted((folder / "recordings").rglob(f"{call.get('id')}-*.wav"))
    recording = str(recordings[-1]) if recordings else None
    if as_json:
        facts = {name: call.get(name) for name in ("status", "answered_by", "duration_s", "conversation")}
        spoken = told["utterances"] if told else []
        print_json({"outcome": lead["outcome"], **facts, "transcript": spoken, "recording": recording})
    else:
        for one in told["utterances"] if told else ():
            text = f"#{one['text']}" if one["digits"] else one["text"]
            print(f"{one['at_s']:6.1f} s  {one['speaker']}: {text}{' –' if one['interrupted'] else ''}")
        if conversation:
            print_end(ConversationEnd.model_validate(conversation))
        print(f"outcome: {lead['outcome']}")
        if recording is not None:
            print(f"recording: {recording}")
    return 0 if conversation and conversation["ending"] == Ending.REACHED_END else 1


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != LOCK_FILE:
            entry.unlink()
