"""A function that was chosen and still lacks parameters: what the choosing words said already, and what to ask next."""

import re
from collections.abc import Iterable, Mapping
from datetime import date

from breeze_buddy.domain.conversation import HalfFilled
from breeze_buddy.domain.flow import Function, Parameter, words_of
from breeze_buddy.media.spoken_values import spoken_value

# They are heard in the same words: "for three" is an amount, unless it is a time.
_NUMBERS = frozenset({"integer", "number", "digits", "phone"})
_WITH_NUMBERS = _NUMBERS | {"date", "time"}


class FillingIn:
    """`found` are the parameters known so far, by name."""

    def __init__(self, function: Function, said: str, *, today: date) -> None:
        self.function = function
        self.found = _said_at_once(function, said, today) if said else {}

    @classmethod
    def again(cls, kept: HalfFilled, functions: Iterable[Function], *, today: date) -> "FillingIn | None":
        """As it stood when the conversation was interrupted; None when there is no such function."""
        function = next((one for one in functions if one.name == kept.function), None)
        if function is None:
            return None
        filling = cls(function, "", today=today)
        known = {one.name for one in function.parameters}
        filling.found.update((name, value) for name, value in kept.found.items() if name in known)
        return filling

    @property
    def kept(self) -> HalfFilled:
        """For whoever goes on with the conversation."""
        return HalfFilled(function=self.function.name, found=dict(self.found))

    @property
    def missing(self) -> Parameter | None:
        """The next parameter to ask for; None when the function can be taken."""
        needed = (one for one in self.function.parameters if one.required and one.name not in self.found)
        return next(needed, None)

    def answers(self) -> Mapping[str, str]:
        """What is recorded when the function is taken."""
        return {**self.function.answers, **self.found}


def _said_at_once(function: Function, said: str, today: date) -> dict[str, str]:
    """Values that were said with the phrase: "move it to Friday". What could mean two of them is asked for."""
    rest = _without_phrase(function, said)
    found = {}
    for one in function.parameters:
        if _clear(one, function.parameters) and (value := spoken_value(one, rest, today=today)) is not None:
            found[one.name] = value
    return found


def _clear(one: Parameter, among: tuple[Parameter, ...]) -> bool:
    others = {other.type for other in among if other is not one}
    if one.type in {"string", "boolean"}:
        return False
    return not others & _WITH_NUMBERS if one.type in _NUMBERS else one.type == "enum" or one.type not in others


def _without_phrase(function: Function, said: str) -> str:
    for phrase in sorted(function.phrases, key=len, reverse=True):
        pattern = r"\b" + r"\W+".join(re.escape(word) for word in words_of(phrase)) + r"\b"
        rest, count = re.subn(pattern, " ", said, count=1, flags=re.IGNORECASE)
        if count:
            return rest
    return said
