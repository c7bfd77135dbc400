"""Conditions on what is known of a call: the lead's variables and the answers so far. Data, never code.

    {variable: quantity, at_least: 10}
    {all: [{variable: tier, in: [gold, silver]}, {not: {variable: city, known: false}}]}

Numbers compare as numbers where both sides are numbers, times and dates as they are written (09:30, 2026-11-24), texts
without regard to upper and lower case. A variable without a value is neither equal to anything nor more nor less.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from breeze_buddy.domain.flow.patterns import Pattern, matches
from breeze_buddy.domain.flow.texts import FlowModel

Operand = str | int | float | bool
_TESTS = ("equals", "is_not", "one_of", "none_of", "at_least", "at_most", "more_than", "less_than", "matches", "known")


class Check(FlowModel):
    """One variable, and exactly one test of it."""

    variable: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    equals: Operand | None = Field(None, alias="is")
    is_not: Operand | None = None
    one_of: tuple[Operand, ...] | None = Field(None, alias="in", min_length=1)
    none_of: tuple[Operand, ...] | None = Field(None, alias="not_in", min_length=1)
    at_least: Operand | None = None
    at_most: Operand | None = None
    more_than: Operand | None = None
    less_than: Operand | None = None
    matches: Pattern | None = Field(None, description="a regular expression for all of the value")
    known: bool | None = Field(None, description="whether it has a value")

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if len(self._tests) != 1:
            raise ValueError(
                f"the condition on {self.variable!r} needs exactly one of is, is_not, in, not_in, at_least, at_most, "
                "more_than, less_than, matches and known"
            )
        return self

    @property
    def _tests(self) -> list[str]:
        return [test for test in _TESTS if getattr(self, test) is not None]

    def holds(self, values: Mapping[str, str]) -> bool:
        value = values.get(self.variable, "").strip()
        (test,) = self._tests
        wanted = getattr(self, test)
        if test == "known":
            return bool(value) is wanted
        if test in {"is_not", "none_of"}:
            return not any(_compared(value, one) == 0 for one in ((wanted,) if test == "is_not" else wanted))
        if not value:
            return False
        if test == "matches":
            return matches(wanted, value)
        if test in {"equals", "one_of"}:
            return any(_compared(value, one) == 0 for one in ((wanted,) if test == "equals" else wanted))
        order = _compared(value, wanted)
        return {"at_least": order >= 0, "at_most": order <= 0, "more_than": order > 0, "less_than": order < 0}[test]


class AllOf(FlowModel):
    """All of these hold."""

    every: tuple["Condition", ...] = Field(alias="all", min_length=1, max_length=50)


class AnyOf(FlowModel):
    """At least one of these holds."""

    some: tuple["Condition", ...] = Field(alias="any", min_length=1, max_length=50)


class Not(FlowModel):
    """This does not hold."""

    negated: "Condition" = Field(alias="not")


def _kind(value: Any) -> str:
    names = set(value) if isinstance(value, dict) else {type(value).__name__}
    for kind, marks in {"all": {"all", "every", "AllOf"}, "any": {"any", "some", "AnyOf"}}.items():
        if names & marks:
            return kind
    return "not" if names & {"not", "negated", "Not"} else "check"


Condition = Annotated[
    Annotated[Check, Tag("check")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")],
    Discriminator(_kind),
]

for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()


def holds(condition: Condition, values: Mapping[str, str]) -> bool:
    """Whether it holds for these values."""
    match condition:
        case AllOf(every=parts):
            return all(holds(part, values) for part in parts)
        case AnyOf(some=parts):
            return any(holds(part, values) for part in parts)
        case Not(negated=part):
            return not holds(part, values)
        case Check():
            return condition.holds(values)


def variables_of(condition: Condition) -> frozenset[str]:
    """The variables that it looks at."""
    match condition:
        case AllOf(every=parts) | AnyOf(some=parts):
            return frozenset().union(*(variables_of(part) for part in parts))
        case Not(negated=part):
            return variables_of(part)
        case Check():
            return frozenset({condition.variable})


def _compared(value: str, wanted: Operand) -> int:
    """Below 0 when `value` is less than `wanted`, 0 when they are the same."""
    other = ("yes" if wanted else "no") if isinstance(wanted, bool) else str(wanted).strip()
    try:
        left, right = float(value), float(other)
    except ValueError:
        text, wanted_text = value.casefold(), other.casefold()
        return (text > wanted_text) - (text < wanted_text)
    return (left > right) - (left < right)
