"""A supervisor of toy children, run as a process of its own so that it can be signalled and killed.

toy_stack.py FOLDER PORT PORT: holds the folder, runs `polite` and `stubborn`, and prints one JSON line with their
process ids as soon as both serve.
"""

import asyncio
import json
import sys
from pathlib import Path

from breeze_buddy.cli.foreground import to_the_end, until_signalled
from breeze_buddy.cli.lock import FolderLock
from breeze_buddy.cli.process import ChildSpec
from breeze_buddy.cli.readiness import tcp_accepts
from breeze_buddy.cli.supervisor import Supervisor

CHILD = str(Path(__file__).with_name("toy_child.py"))


async def _run(folder: Path, polite: int, stubborn: int) -> int:
    supervisor = Supervisor(log_folder=folder / "logs", announce=lambda sentence: None)
    try:
        await supervisor.start(
            ChildSpec("polite", (sys.executable, CHILD, "serve", str(polite)), probe=tcp_accepts("127.0.0.1", polite)),
            ChildSpec(
                "stubborn",
                (sys.executable, CHILD, "stubborn", str(stubborn)),
                probe=tcp_accepts("127.0.0.1", stubborn),
                stop_timeout_s=0.2,
            ),
        )
        print(json.dumps({name: child.pid for name, child in supervisor.children.items()}), flush=True)
        await supervisor.hold()
    finally:
        await to_the_end(supervisor.stop())
    return 0


def main() -> None:
    folder = Path(sys.argv[1])
    with FolderLock(folder):
        sys.exit(asyncio.run(until_signalled(_run(folder, int(sys.argv[2]), int(sys.argv[3])))))


main()
