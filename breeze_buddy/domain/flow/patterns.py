"""Regular expressions that template writers give.

They run between two frames of other people's calls, so those that can take long are refused: a repeated group that
repeats or chooses inside, what looks around or refers back, and more choices than can be tried in a moment.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MOST_CHOICES = 12
CHOICES_OF_A_REPETITION = 4
"""An open repetition can end in as many places as the text is long; an option or an alternative in one."""
LONGEST_MATCHED = 100
"""Longer texts match no pattern."""


def _bounded(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    why = _too_costly(pattern)
    if why:
        raise ValueError(f"{pattern!r} could take too long: {why}")
    return pattern


def _too_costly(pattern: str) -> str | None:
    if re.search(r"\\[1-9]|\(\?(?!:)", pattern.replace("\\\\", "")):
        return "it looks around, refers back or sets flags"
    plain = re.sub(r"\\.", "x", pattern)  # what is escaped is one character
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "x", plain)  # and so is one of a set
    open_groups: list[bool] = []  # whether something in it repeats or chooses
    choices = at = 0
    while at < len(plain):
        character = plain[at]
        at += 1
        if character == "(":
            open_groups.append(False)
            at += 2 if plain.startswith("?:", at) else 0
            continue
        inner = open_groups.pop() if character == ")" and open_groups else False
        repeated = re.match(r"(?:[*+?]|\{[0-9]*(,[0-9]*)?\})[?+]?", plain[at:])
        if repeated is not None:
            at += repeated.end()
            if inner:
                return "a repeated group repeats or chooses inside"
            if repeated[0][0] in "*+" or repeated[1] is not None:
                choices += CHOICES_OF_A_REPETITION
        chooses = repeated is not None and repeated[0][0] == "?"
        choices += chooses or character == "|"
        if open_groups and (repeated is not None or inner or character == "|"):
            open_groups[-1] = True
    return "it has too many repetitions and alternatives" if choices > MOST_CHOICES else None


Pattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_bounded)]
"""A regular expression for the whole of a text."""


def matches(pattern: str, text: str) -> bool:
    """Whether all of `text`, if it is not too long, is what `pattern` says; upper and lower case are the same."""
    return len(text) <= LONGEST_MATCHED and re.fullmatch(pattern, text, re.IGNORECASE) is not None
