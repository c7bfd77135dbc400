"""How far the campaign is: a live picture on a terminal, a plain line at each change elsewhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_ORDER = ("BACKLOG", "PROCESSING", "RETRY", "FINISHED")


class CampaignPicture:
    """Shows the counts of leads by status, as a context manager."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._last = ""
        self._bar = Progress(
            TextColumn("[bold]finished[/]"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, counts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, leads: Sequence[Mapping[str, Any]], elapsed_s: float) -> None:
        """Take in the leads as the API lists them now."""
        counts = Counter(str(lead["status"]) for lead in leads)
        line = " · ".join(f"{status} {counts[status]}" for status in _ORDER)
        self._bar.update(self._task, completed=counts["FINISHED"], counts=line)
        if line != self._last and not self._console.is_terminal:
            self._console.print(f"{elapsed_s:6.1f} s  {line}", highlight=False)
        self._last = line
