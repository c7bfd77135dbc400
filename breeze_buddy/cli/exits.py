"""The exit codes of `breeze`, and the same in words for its help."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can tell a command's end by; 130 is Ctrl-C."""

    DONE = 0
    REFUSED = 1  # refused, failed, or a check found something wrong
    USAGE = 2  # an option, a setting or a file of the caller's cannot be used
    UNREACHABLE = 3  # nothing answers there, or something else than what was expected
    NOT_FOUND = 4
    NOT_ALLOWED = 5  # the API key is missing or wrong
    IN_PART = 6  # done, but some rows or leads were refused
    STOPPED = 7  # the campaign that was watched was cancelled, or (--exit-on-pause) paused


EPILOG = (
    "Exit codes: 0 done · 1 refused, failed, or a check found something wrong · 2 an option, setting or file "
    "cannot be used · 3 not reachable · 4 not found · 5 the API key is missing or wrong · 6 done, but some rows were "
    "refused · 7 the watched campaign was cancelled or paused · 130 interrupted. "
    "docs/cli.md has every command."
)
