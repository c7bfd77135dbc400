"""What can go wrong at the command line, each with a sentence that says what to do."""


class CommandError(Exception):
    """Ends the command with this sentence on stderr and exit code `code`."""

    code = 1


class SettingsError(CommandError):
    """A setting in the environment or in `.env` is not usable."""

    code = 2


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
