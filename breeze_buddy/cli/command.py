"""How every command begins and ends: settings, logging, one event loop, an exit code; and what those share that
talk to our API."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeze_buddy.cli.configuration import read_settings
from breeze_buddy.cli.errors import CommandError, SettingsError
from breeze_buddy.cli.logs import configure_logging
from breeze_buddy.settings import Settings

if TYPE_CHECKING:
    from breeze_buddy.cli.api_client import Api

log = logging.getLogger("breeze_buddy.cli")

ApiUrlOption = Annotated[
    str | None,
    typer.Option("--api-url", help="Where the API is; by default BREEZE_API_URL. API_KEY is sent along."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for programs: nothing else is on stdout.")]


def begin(context: typer.Context) -> Settings:
    """The settings, with logging as they and `--log-format` say. Raises SettingsError."""
    settings = read_settings()
    try:
        configure_logging(settings.log_level, context.obj)
    except ValueError as error:
        raise SettingsError(f"LOG_LEVEL: {error}; use DEBUG, INFO, WARNING or ERROR") from None
    return settings


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command's coroutine to its end and leave with its exit code; the top, where any error is logged."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(work)
    except (CommandError, KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "breeze_buddy":
            log.error("%s", error)  # ours say what to do; how we came there does not help
        else:
            log.exception("%s ended because of an error", " ".join(sys.argv[1:]) or "breeze")
        sys.exit(1)
    if code:
        sys.exit(code)


def talk(context: typer.Context, api_url: str | None, work: "Callable[[Api], Awaitable[int | None]]") -> None:
    """Carry out `work` with a client of our API, and leave with the exit code that it returns."""
    settings = begin(context)
    from breeze_buddy.cli.api_client import Api

    async def whole() -> int | None:
        key = settings.api_key.get_secret_value() if settings.api_key else None
        async with Api(api_url or settings.breeze_api_url, key) as api:
            return await work(api)

    run(whole())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
