"""What a language model has to be: messages and functions in; words and calls out, as they are written."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Offer:
    """A function that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of what the model says, of any length."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a function. `arguments` is JSON, as the model wrote it: perhaps not even that."""

    name: str
    arguments: str
    id: str = "call_1"
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)
    """What its provider wants back with it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the reply cost, in tokens; the last part of a reply, if the model tells."""

    tokens: int


Part = Words | Call | Usage


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `call` goes with the agent's that made it, `answers` with the result that answers a call."""

    role: Literal["system", "caller", "agent", "result"]
    text: str
    call: Call | None = None
    answers: Call | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """All that a model is asked. `may_call` False: it is to speak."""

    messages: Sequence[Message]
    offers: Sequence[Offer] = field(default=())
    may_call: bool = True
    max_tokens: int = 250
    temperature: float | None = None
    on_first_token: Callable[[], None] | None = field(default=None, compare=False)
    """Called when the reply begins, which may be long before a call in it is whole."""

    def begun(self) -> None:
        """The model has written something. Models may say so more than once."""
        if self.on_first_token is not None:
            self.on_first_token()


class Model(Protocol):
    """One model at one endpoint, shared by all calls."""

    name: str

    def reply(self, request: Request) -> AsyncIterator[Part]:
        """As it is written. Raises ProviderFailed. Leaving it stops the model."""
