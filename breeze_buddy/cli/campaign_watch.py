"""`breeze campaign watch`: how a campaign goes, until it ends."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from breeze_buddy.cli.api_client import Api
from breeze_buddy.cli.errors import ApiRefused, ApiUnreachable
from breeze_buddy.cli.exits import ExitCode
from breeze_buddy.cli.printing import console, print_json_line, say, table

_STATUSES = ("BACKLOG", "PROCESSING", "RETRY", "FINISHED")
_RATE_OVER_S = 60.0
_PATIENCE_S = 60.0
_UNAVAILABLE = 503


class Pace:
    """Leads finished a second, over the last minute, and how long the others will take at that."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, at_s: float, finished: int) -> None:
        self._seen.append((at_s, finished))
        while len(self._seen) > 2 and at_s - self._seen[1][0] >= _RATE_OVER_S:
            self._seen.popleft()

    @property
    def per_s(self) -> float:
        """0 while nothing has finished."""
        (first_s, before), (last_s, now) = self._seen[0], self._seen[-1]
        return max(now - before, 0) / (last_s - first_s) if last_s > first_s else 0.0

    def left_s(self, open_leads: int) -> float | None:
        return open_leads / self.per_s if self.per_s > 0 else None


class Screen(Protocol):
    """Where the progress is shown."""

    def show(self, progress: Mapping[str, Any], pace: Pace) -> None: ...

    def trouble(self, why: str) -> None: ...


async def watch_campaign(
    api: Api, campaign_id: str, *, every_s: float, timeout_s: float | None, exit_on_pause: bool, as_json: bool
) -> int:
    """Show the progress until the campaign ends; the exit code. Raises CommandError, also when the API stays away."""
    name = (await api.get(f"/campaigns/{campaign_id}"))["name"]
    if as_json:
        return await _follow(_Lines(), api, campaign_id, every_s, timeout_s, exit_on_pause)
    screen = console()
    if not screen.is_terminal:
        return await _follow(_Changes(), api, campaign_id, every_s, timeout_s, exit_on_pause)
    with Live(console=screen, refresh_per_second=4) as live:
        return await _follow(_Picture(live, name), api, campaign_id, every_s, timeout_s, exit_on_pause)


async def _follow(
    screen: Screen, api: Api, campaign_id: str, every_s: float, timeout_s: float | None, exit_on_pause: bool
) -> int:
    loop = asyncio.get_running_loop()
    began_s = answered_s = loop.time()
    pace = Pace()
    while True:
        try:
            progress = await api.get(f"/campaigns/{campaign_id}/progress")
        except (ApiUnreachable, ApiRefused) as error:
            away = isinstance(error, ApiUnreachable) or error.status == _UNAVAILABLE
            if not away or loop.time() - answered_s > _PATIENCE_S:
                raise
            screen.trouble(str(error).partition("\n")[0])
        else:
            answered_s = loop.time()
            pace.see(answered_s, _count(progress, "FINISHED"))
            screen.show(progress, pace)
            if (code := _end(progress, exit_on_pause=exit_on_pause)) is not None:
                return code
        if timeout_s is not None and loop.time() - began_s >= timeout_s:
            say(f"campaign {campaign_id} has not ended within {timeout_s:g} s")
            return ExitCode.REFUSED
        await asyncio.sleep(every_s)


def _end(progress: Mapping[str, Any], *, exit_on_pause: bool) -> int | None:
    match progress["status"]:
        case "COMPLETED":
            return ExitCode.DONE
        case "CANCELLED":
            return ExitCode.STOPPED
        case "PAUSED" if exit_on_pause:
            return ExitCode.STOPPED
        case _:
            return None


def _count(progress: Mapping[str, Any], status: str) -> int:
    return int(progress["leads"].get(status, 0))


def _total(progress: Mapping[str, Any]) -> int:
    return sum(progress["leads"].values())


def _headline(progress: Mapping[str, Any]) -> str:
    reason = progress.get("status_reason")
    return f"{progress['status']}: {reason}" if reason else str(progress["status"])


class _Lines:
    """For programs: one document a look."""

    def show(self, progress: Mapping[str, Any], pace: Pace) -> None:
        left_s = pace.left_s(_total(progress) - _count(progress, "FINISHED"))
        rounded = None if left_s is None else round(left_s)
        print_json_line({**progress, "finished_per_s": round(pace.per_s, 3), "left_s": rounded})

    def trouble(self, why: str) -> None:
        say(why)


class _Changes:
    """For logs: a line when something is different."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, progress: Mapping[str, Any], pace: Pace) -> None:
        counts = " · ".join(f"{status} {_count(progress, status)}" for status in _STATUSES)
        line = f"{_headline(progress)} · {counts} · live calls {progress['live_calls']}"
        if progress["outcomes"]:
            line += " · " + ", ".join(f"{word} {count}" for word, count in sorted(progress["outcomes"].items()))
        if line != self._last:
            print(line, flush=True)
        self._last = line

    def trouble(self, why: str) -> None:
        say(why)


class _Picture:
    """For a terminal: a bar, counts, outcomes, pace."""

    def __init__(self, live: Live, name: str) -> None:
        self._live = live
        self._name = name

    def show(self, progress: Mapping[str, Any], pace: Pace) -> None:
        self._live.update(picture(self._name, progress, pace))

    def trouble(self, why: str) -> None:
        self._live.console.print(Text(why, style="yellow"))


def picture(name: str, progress: Mapping[str, Any], pace: Pace) -> RenderableType:
    """One look at the campaign."""
    finished, total = _count(progress, "FINISHED"), _total(progress)
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(total, 1), completed=finished, width=40),
        Text(f"{finished}/{total}"),
        Text(f"{pace.per_s * 60:.1f} a minute"),
        Text(_left(pace.left_s(total - finished) if finished < total else None)),
    )
    counts = [(status, _count(progress, status)) for status in _STATUSES] + [("live calls", progress["live_calls"])]
    outcomes = sorted(progress["outcomes"].items(), key=lambda item: -item[1])
    sides = Table.grid(padding=(0, 4))
    sides.add_row(table(("leads", ""), counts), table(("outcome", ""), outcomes) if outcomes else "")
    return Group(Text(f"{name}  ", style="bold") + Text(_headline(progress), style="not bold"), bar, Text(""), sides)


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {hours}:{minutes:02}:{rest:02} left"
