"""A data folder belongs to one stack at a time."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from breeze_buddy.cli.errors import FolderInUse
from breeze_buddy.cli.lock import FolderLock

_HOLD = """
import signal, sys
from pathlib import Path
from breeze_buddy.cli.lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


def _holder(folder: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_copy_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with _holder(tmp_path) as holder:
        try:
            with pytest.raises(FolderInUse, match=rf"process {holder.pid}\b.*\n.*--data"), FolderLock(tmp_path):
                pass
        finally:
            holder.terminate()


def test_a_killed_holder_leaves_the_folder_free(tmp_path: Path) -> None:
    with _holder(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with FolderLock(tmp_path):
        pass


def test_the_folder_is_made_and_can_be_taken_again(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    for _ in range(2):
        with FolderLock(folder):
            assert (folder / "stack.lock").read_text().strip().isdigit()
