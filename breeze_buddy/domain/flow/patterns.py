"""Regular expressions that template writers give.

They run between two frames of other people's calls, so those that can take for ever are refused: a repeated group that
repeats or chooses inside, and more than a few open repetitions.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MOST_REPETITIONS = 4
LONGEST_MATCHED = 200
"""Longer texts match no pattern."""


def _bounded(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    why = _too_costly(pattern)
    if why:
        raise ValueError(f"{pattern!r} could take too long: {why}")
    return pattern


def _too_costly(pattern: str) -> str | None:
    if re.search(r"\\[1-9]|\(\?P=|\(\?[<=!(]", pattern.replace("\\\\", "")):
        return "it looks around or refers back"
    plain = re.sub(r"\\.", "x", pattern)  # what is escaped is one character
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "x", plain)  # and so is one of a set
    open_groups: list[bool] = []  # whether something in it repeats or chooses
    repetitions = 0
    at = 0
    while at < len(plain):
        character = plain[at]
        at += 1
        if character == "(":
            open_groups.append(False)
            at += 2 if plain.startswith("?:", at) else 0
            continue
        if character == "|" and open_groups:
            open_groups[-1] = True
        inner = open_groups.pop() if character == ")" and open_groups else False
        repeated = re.match(r"[*+?]|\{[0-9,]*\}", plain[at:])
        if repeated is None:
            if inner and open_groups:
                open_groups[-1] = True
            continue
        at += repeated.end()
        if repeated[0] != "?" and inner:
            return "a repeated group repeats or chooses inside"
        if repeated[0] in {"*", "+"} or repeated[0].endswith(",}"):
            repetitions += 1
        if open_groups and (repeated[0] != "?" or inner):
            open_groups[-1] = True
    return f"it has more than {MOST_REPETITIONS} open repetitions" if repetitions > MOST_REPETITIONS else None


Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_bounded)]
"""A regular expression for the whole of a text."""


def matches(pattern: str, text: str) -> bool:
    """Whether all of `text`, if it is not too long, is what `pattern` says; upper and lower case are the same."""
    return len(text) <= LONGEST_MATCHED and re.fullmatch(pattern, text, re.IGNORECASE) is not None
