"""What `breeze campaign watch` shows on a terminal, and what it does while the API is away."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from starlette.responses import JSONResponse

from breeze_buddy.cli.campaign_watch import Pace, picture
from tests.cli.shell import run_breeze, served

PROGRESS = {
    "status": "PAUSED",
    "status_reason": "too many calls failed [red]",
    "leads": {"BACKLOG": 5, "PROCESSING": 2, "RETRY": 1, "FINISHED": 12},
    "outcomes": {"COMPLETED": 9, "BUSY": 3},
    "live_calls": 2,
}


def _shown(pace: Pace) -> str:
    screen = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    screen.print(picture("summer", PROGRESS, pace))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_the_picture_tells_counts_outcomes_pace_and_what_is_left() -> None:
    pace = Pace()
    pace.see(0.0, 2)
    pace.see(20.0, 12)
    shown = _shown(pace)
    for text in ("summer", "PAUSED: too many calls failed [red]", "12/20", "30.0 a minute", "about 0:00:16 left"):
        assert text in shown
    for name, count in (("BACKLOG", 5), ("live calls", 2), ("COMPLETED", 9), ("BUSY", 3)):
        assert any(name in line and str(count) in line for line in shown.splitlines())


def test_nothing_is_foretold_before_something_has_finished() -> None:
    pace = Pace()
    pace.see(0.0, 12)
    assert "left" not in _shown(pace)
    pace.see(5.0, 12)
    assert "left" not in _shown(pace)


def test_the_pace_is_that_of_the_last_minute() -> None:
    pace = Pace()
    for second in range(0, 200, 10):
        pace.see(float(second), min(second, 100))  # one a second, then none
    assert pace.per_s == 0
    pace.see(200.0, 160)
    assert pace.per_s == 1


async def test_an_api_that_is_away_for_a_while_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    away = [JSONResponse({"code": "unavailable", "message": "the database did not answer"}, status_code=503)] * 2
    looks = [*away, JSONResponse(PROGRESS | {"status": "COMPLETED", "status_reason": None})]

    async def api(scope: Any, receive: Any, send: Any) -> None:
        looking = scope["path"].endswith("/progress")
        answer = looks.pop(0) if looking else JSONResponse({"name": "summer"})
        await answer(scope, receive, send)

    async with served(api) as url:
        command = ("campaign", "watch", "x", "--every", "0.1", "--api-url", url)
        watched = await asyncio.to_thread(run_breeze, *command)
    assert (watched.code, looks) == (0, [])
    assert watched.err == "the database did not answer\n" * 2
    assert "FINISHED 12" in watched.out
