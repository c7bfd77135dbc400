"""What can go wrong at the command line, each with a sentence that says what to do."""

from breeze_buddy.cli.exits import ExitCode


class CommandError(Exception):
    """Ends the command with this sentence on stderr and exit code `code`."""

    code: int = ExitCode.REFUSED


class SettingsError(CommandError):
    """A setting in the environment or in `.env` is not usable."""

    code = ExitCode.USAGE


class FileError(CommandError):
    """A file that was given cannot be read, or is not what it should be."""

    code = ExitCode.USAGE


class OptionError(CommandError):
    """Options that do not go together, or whose value cannot be used."""

    code = ExitCode.USAGE


class ApiUnreachable(CommandError):
    """Our API does not answer, or what answers is not our API."""

    code = ExitCode.UNREACHABLE


class ApiRefused(CommandError):
    """Our API refused a request, in its own words. `status` is of HTTP."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotThere(ApiRefused):
    """What the request is about does not exist."""

    code = ExitCode.NOT_FOUND


class KeyRefused(ApiRefused):
    """The API wants a key, or another one."""

    code = ExitCode.NOT_ALLOWED


class BinaryMissing(CommandError):
    """A program that the command starts is not installed."""


class PortTaken(CommandError):
    """Somebody else listens where one of our processes wants to."""


class FolderInUse(CommandError):
    """Another stack holds the data folder."""


class StartFailed(CommandError):
    """A process of the stack ended, or did not answer in time, while it was being started."""


class SetupFailed(CommandError):
    """Temporal could not be reached, or refused what the platform needs of it."""


class DemoFailed(CommandError):
    """The demo could not run its campaign to the end."""
