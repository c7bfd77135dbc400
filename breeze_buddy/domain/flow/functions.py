"""What a node takes from the caller: functions with typed parameters, and captured answers."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from breeze_buddy.domain.flow.conditions import Condition
from breeze_buddy.domain.flow.routes import Way
from breeze_buddy.domain.flow.texts import FlowModel, Identifier, words_of
from breeze_buddy.domain.flow.typed_values import NotAValue, Typed, ValueType, json_schema, read_value

Digits = Annotated[str, Field(pattern=r"^[0-9*#]{1,32}$")]
Key = Literal["#", "*"]


class Parameter(Typed):
    """A value that a function needs.

    The scripted engine takes it from the words that chose the function, or asks for it with `ask`, and `max_reprompts`
    times more when the answer is no such value; a language model fills it in by its schema.
    """

    name: Identifier
    type: ValueType = "string"
    description: str = Field("", max_length=1000, description="for engines that choose by meaning")
    required: bool = Field(True, description="false: never asked for, taken when it is said")
    ask: str | None = Field(None, min_length=1, max_length=2000, description="how the scripted engine asks for it")
    reprompt: str | None = Field(
        None, max_length=2000, description="said when the answer is no such value; None: `ask`"
    )
    max_reprompts: int = Field(2, ge=0, le=10)

    @property
    def value_type(self) -> ValueType:
        return self.type


class Function(FlowModel):
    """A way on from a node: taken when the caller says one of `phrases` or presses `digits`, or a model calls it."""

    name: Identifier
    description: str = Field("", description="for engines that choose by meaning")
    phrases: tuple[str, ...] = ()
    digits: Digits | None = None
    parameters: tuple[Parameter, ...] = Field((), max_length=20, description="kept as answers, by their names")
    when: Condition | None = Field(None, description="offered only while this holds")
    answers: dict[Identifier, str] = Field({}, description="recorded when the function is taken")
    go: Way

    @model_validator(mode="after")
    def _can_be_taken(self) -> Self:
        if not (self.phrases or self.digits or self.description):
            raise ValueError(f"function {self.name!r} can never be taken: give it phrases, digits or a description")
        if any(not words_of(phrase) for phrase in self.phrases):
            raise ValueError(f"function {self.name!r} has a phrase without a word in it")
        names = [parameter.name for parameter in self.parameters]
        if len(names) != len(set(names)):
            raise ValueError(f"function {self.name!r} names a parameter twice")
        for parameter in self.parameters:
            if parameter.required and parameter.ask is None and (self.phrases or self.digits):
                raise ValueError(f"function {self.name!r}: parameter {parameter.name!r} needs `ask`, how to ask for it")
        return self

    @property
    def schema_of_parameters(self) -> dict[str, Any]:
        """The JSON Schema of the object that a model calls this function with."""
        return {
            "type": "object",
            "properties": {one.name: json_schema(one, one.description) for one in self.parameters},
            "required": [one.name for one in self.parameters if one.required],
            "additionalProperties": False,
        }

    def read_arguments(self, arguments: Mapping[str, object], *, today: date) -> dict[str, str]:
        """A model's arguments as answers. Raises NotAValue, which names the parameters and says what each wants."""
        found, wrong = {}, []
        for one in self.parameters:
            given = arguments.get(one.name)
            if given is None or given == "":
                if one.required:
                    wrong.append(f"{one.name}: it is needed")
                continue
            try:
                found[one.name] = read_value(one, given, today=today)
            except NotAValue as error:
                wrong.append(f"{one.name}: {error}")
        if wrong:
            raise NotAValue("; ".join(wrong))
        return found


class Capture(Typed):
    """Takes what the caller says or presses as an answer: words, digits, or a value of another type."""

    name: Identifier
    kind: Literal["words"] | ValueType = Field("words", description='"words" is any text, as "string"')
    terminator: Key | None = Field("#", description="digits: the key that completes them; None: only length or a pause")
    go: Way

    @property
    def value_type(self) -> ValueType:
        return "string" if self.kind == "words" else self.kind
