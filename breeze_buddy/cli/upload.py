"""A file of rows on its way to the API: read and sent in pieces, with a bar, and what became of its rows."""

import os
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from breeze_buddy.cli.api_client import Api
from breeze_buddy.cli.errors import FileError
from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.printing import console, print_json, table

_PIECE_BYTES = 256 * 1024
_SHOWN = 20


async def send_file(api: Api, path: str, file: Path, query: Mapping[str, str]) -> Any:
    """POST the CSV in `file` (`-` is stdin) to `path` of the API; its answer. Raises FileError, CommandError.

    The file is never whole in memory. The bar is on stderr, and only on a terminal.
    """
    with ExitStack() as held:
        source, size = _open(file, held)
        screen = console(stderr=True)
        bar = held.enter_context(
            Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=30),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=screen,
                disable=not screen.is_terminal,
                transient=True,
            )
        )
        task = bar.add_task(f"sending {file.name}" if size is not None else "sending", total=size)
        return await api.upload(path, _pieces(source, bar, task), size=size, query=query)


def _open(file: Path, held: ExitStack) -> tuple[BinaryIO, int | None]:
    if str(file) == "-":
        return sys.stdin.buffer, None
    try:
        source = held.enter_context(file.open("rb"))
        about = os.fstat(source.fileno())
        # A pipe, such as a shell's <(command), is as long as it comes.
        return source, about.st_size if stat.S_ISREG(about.st_mode) else None
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror or error}") from None


async def _pieces(source: BinaryIO, bar: Progress, task: TaskID) -> AsyncIterator[bytes]:
    while piece := source.read(_PIECE_BYTES):
        yield piece
        bar.advance(task, len(piece))
    bar.update(task, description="waiting for the answer")


def refused_count(answer: Mapping[str, Any]) -> int:
    """How many rows of an upload were refused; the answer lists only the first ones."""
    return int(answer.get("refused_count", len(answer.get("refused", ()))))


def print_upload(answer: Mapping[str, Any], *, what: str, as_json: bool) -> int:
    """Print what became of the rows; the exit code: IN_PART when some were refused."""
    refused = refused_count(answer)
    if as_json:
        print_json(answer)
    else:
        print_rows(answer, what=what)
    return ExitCode.IN_PART if refused else ExitCode.DONE


def print_rows(answer: Mapping[str, Any], *, what: str) -> None:
    """The counts, and the first refusals."""
    refused = refused_count(answer)
    print(f"{answer['accepted']} {what} taken, {answer['duplicates']} known already, {refused} refused")
    if not refused:
        return
    shown = answer["refused"][:_SHOWN]
    rows = [(_line(one), one["field"], one["reason"]) for one in shown]
    console().print(table(("line", "field", "reason"), rows))
    if refused > len(shown):
        print(f"… and {refused - len(shown)} more")


def _line(refusal: Mapping[str, Any]) -> int | None:
    line = refusal.get("line")
    return line if line is not None else refusal.get("row")
