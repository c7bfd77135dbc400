"""What commands print: JSON for programs, tables for people. Values are never read as markup."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_OF_FILES = 200


def console(*, stderr: bool = False) -> Console:
    """Where tables go. What is not a terminal gets lines as long as they are, within reason."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _WIDTH_OF_FILES, highlight=False)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """One document a line, seen at once."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def say(sentence: str) -> None:
    """Something for a person that is not the result."""
    print(sentence, file=sys.stderr)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> Table:
    """A table; None is an empty cell, and numbers are to the right."""
    made = Table(box=None, header_style="bold", title=title, title_justify="left", title_style="bold", pad_edge=False)
    rows = list(rows)
    for column, heading in enumerate(headings):
        cells = [row[column] for row in rows if row[column] is not None]
        numeric = bool(cells) and all(isinstance(cell, int | float) for cell in cells)
        made.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return made


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Names and values below each other; those without a value are left out."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "":
            made.add_row(name, Text(str(value)))
    return made


def moment(text: str | None) -> str:
    """A time of the API, in this machine's zone, to the second."""
    return "" if text is None else datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
