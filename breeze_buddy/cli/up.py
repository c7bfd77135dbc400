"""`breeze up`: the whole stack in the foreground."""

from pathlib import Path

from breeze_buddy.cli.foreground import INTERRUPTED, until_signalled
from breeze_buddy.cli.lock import FolderLock
from breeze_buddy.cli.ports import StackPorts, free_ports, require_free
from breeze_buddy.cli.stack import Stack
from breeze_buddy.cli.stack_plan import StackPlan
from breeze_buddy.settings import Settings

PLACES = {
    "api_docs": "API and its docs",
    "temporal_ui": "Temporal UI",
    "simulator": "Simulator",
}


def choose_ports(port_base: int | None, *, any_free: bool) -> StackPorts:
    """The ports that the options ask for. Raises PortTaken when one of them is not free."""
    if any_free:
        return free_ports()
    return require_free(StackPorts() if port_base is None else StackPorts.from_base(port_base))


def print_places(stack: Stack) -> None:
    for name, words in PLACES.items():
        print(f"  {words:<18}{stack.plan.urls[name]}")
    print(f"  {'Data and logs':<18}{stack.plan.folder}", flush=True)


async def run_up(settings: Settings, *, folder: Path, port_base: int | None, any_free: bool) -> int:
    """Keep the stack running until a signal. Raises FolderInUse, PortTaken, BinaryMissing, StartFailed."""
    with FolderLock(folder):
        plan = StackPlan(folder=folder, ports=choose_ports(port_base, any_free=any_free), settings=settings)
        stack = Stack(plan, announce=lambda sentence: print(sentence, flush=True))
        code = await until_signalled(_hold(stack), insist=stack.kill)
        return 0 if code == INTERRUPTED else code


async def _hold(stack: Stack) -> int:
    print("Starting Breeze Buddy …", flush=True)
    async with stack:
        print("Breeze Buddy is up; Ctrl-C stops it.")
        print_places(stack)
        await stack.hold()
    return 0
