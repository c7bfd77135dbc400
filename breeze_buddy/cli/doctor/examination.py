"""All checks, and how they are told."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from breeze_buddy.cli.doctor import database, storage, temporal, twilio, web
from breeze_buddy.cli.doctor.finding import Area, Finding, State
from breeze_buddy.cli.doctor.running_stack import settings_of, usual_stack
from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.printing import console, print_json, say
from breeze_buddy.domain.number import Number
from breeze_buddy.settings import Settings

log = logging.getLogger(__name__)

_MARKS = {
    State.OK: Text("✓", style="green"),
    State.FAILED: Text("✗", style="bold red"),
    State.SKIPPED: Text("–", style="dim"),
}


async def examine(settings: Settings) -> list[Finding]:
    """Everything that is looked at, in the order in which a person reads it."""
    numbers: list[Number] | None = None

    async def look_at_database() -> list[Finding]:
        nonlocal numbers
        findings, numbers = await database.look(settings)
        return findings

    ours = await _safely("database", look_at_database())
    others = await asyncio.gather(
        _safely("twilio", twilio.look(settings, numbers)),
        _safely("the web", web.look(settings)),
        _safely("temporal", temporal.look(settings)),
        _safely("recordings", storage.look(settings)),
    )
    return [*ours, *(finding for findings in others for finding in findings)]


async def _safely(area: str, looking: Awaitable[list[Finding]]) -> list[Finding]:
    """A check that breaks is a finding like any other: the rest is still told."""
    try:
        return await looking
    except Exception as error:
        log.debug("the check of %s broke", area, exc_info=True)
        said = f"{type(error).__name__}: {error}".partition("\n")[0]
        return [Area(area).failed("check", said, "LOG_LEVEL=DEBUG shows where; check the settings of this area")]


async def run_doctor(settings: Settings, *, folder: Path | None, as_json: bool) -> int:
    """Print what was found; the exit code. `folder`: of the running stack that is meant. Raises FileError."""
    folder = folder or usual_stack(settings)
    if folder is not None:
        settings = settings_of(folder, settings)
        say(f"The stack that runs in {folder}:")
    findings = await examine(settings)
    well = all(finding.state is not State.FAILED for finding in findings)
    if as_json:
        print_json({"ok": well, "checks": [asdict(finding) for finding in findings]})
    else:
        _print(findings, well=well)
    return ExitCode.DONE if well else ExitCode.REFUSED


def _print(findings: Sequence[Finding], *, well: bool) -> None:
    made = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("", "area", "check", "found"):
        made.add_column(heading, overflow="fold")
    for finding in findings:
        found = Text(finding.found)
        if finding.advice:
            found.append(f"\n→ {finding.advice}", style="bold")
        made.add_row(_MARKS[finding.state], finding.area, Text(finding.check), found)
    screen = console()
    screen.print(made)
    failures = sum(finding.state is State.FAILED for finding in findings)
    screen.print("\nAll is well." if well else f"\n{failures} of {len(findings)} checks failed; → says what to do.")
