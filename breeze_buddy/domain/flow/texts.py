"""The texts of a flow: messages with `{placeholders}`, and the words that phrases are compared by."""

import re
import string
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class FlowModel(BaseModel):
    """A part of a flow: it never changes, and knows no fields but its own."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_timedelta="float",
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


def placeholders(text: str) -> frozenset[str]:
    """The names in `{braces}`. Raises ValueError for braces that are not a plain name."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"unbalanced braces ({error})") from error
    names = set()
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or spec or conversion:
            raise ValueError(f"'{{{name}}}' is not a plain variable name")
        names.add(name)
    return frozenset(names)


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders filled; a value never brings placeholders of its own.

    A variable without a value reads as nothing: leads were checked when they were pushed, and an answer
    that the conversation has not reached is not a reason to end a live call.
    """
    return "".join(
        literal + (values.get(name, "") if name else "") for literal, name, _, _ in string.Formatter().parse(text)
    )


def words_of(text: str) -> tuple[str, ...]:
    """The words of `text`, lower case, without punctuation: what phrases are compared by."""
    return tuple(re.findall(r"[\w']+", text.lower()))
