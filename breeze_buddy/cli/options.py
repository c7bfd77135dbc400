"""Values of options that stand for more than a word."""

from collections.abc import Sequence
from typing import Any

from breeze_buddy.cli.errors import OptionError


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` of each, as a mapping. Raises OptionError, naming the option."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise OptionError(f"{option} {text!r}: write NAME=VALUE")
        if name in found:
            raise OptionError(f"{option} {text!r}: {name} is given twice")
        found[name] = value
    return found


def cancel_request(*, let_finish: bool, reason: str | None) -> dict[str, Any]:
    """The body of a cancellation."""
    return {"hang_up": not let_finish} | ({"reason": reason} if reason is not None else {})
