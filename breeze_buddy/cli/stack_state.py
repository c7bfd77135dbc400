"""`stack.json` in the data folder: what runs, where it listens, under which process ids.

It is there while the stack runs, for whoever wants to find a port or to kill a process by its id.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

STATE_FILE = "stack.json"


class ProcessState(BaseModel):
    """One process. `pid` is null while it is not running."""

    pid: int | None
    state: str
    restarts: int
    log: str


class StackState(BaseModel):
    """`pid` is the supervisor's; `ports` and `urls` are by the name of what listens there."""

    pid: int
    data: str
    started_at: datetime
    ports: Mapping[str, int]
    urls: Mapping[str, str]
    processes: Mapping[str, ProcessState]

    def write(self) -> None:
        """Put the file there in one step: a reader sees the old state or the new one."""
        path = Path(self.data) / STATE_FILE
        fresh = path.with_suffix(".json.new")
        fresh.write_text(self.model_dump_json(indent=2) + "\n")
        os.replace(fresh, path)


def read_state(folder: Path) -> StackState | None:
    """The state of the stack in this folder, or None when none runs there (or it was killed before it said so)."""
    try:
        content: Any = json.loads((folder / STATE_FILE).read_text())
    except FileNotFoundError:
        return None
    return StackState.model_validate(content)


def remove_state(folder: Path) -> None:
    (folder / STATE_FILE).unlink(missing_ok=True)
