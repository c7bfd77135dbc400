"""The flow as a whole: nodes by name, and what fits together."""

from typing import Self

from pydantic import Field, model_validator

from breeze_buddy.domain.errors import InvalidFlow
from breeze_buddy.domain.flow.actions import CollectDigits, HttpRequest, ScheduleCallback, TransferToAgent
from breeze_buddy.domain.flow.functions import Function
from breeze_buddy.domain.flow.nodes import Node, answers_of, texts_of
from breeze_buddy.domain.flow.routes import targets
from breeze_buddy.domain.flow.texts import FlowModel, Identifier, placeholders
from breeze_buddy.domain.flow.typed_values import Typed

TRANSFER_RESULT = "transfer_result"
"""The placeholder that says how a transfer ended, after the caller has come back."""
VOICEMAIL = "voicemail"
"""The answer that holds the message left for the team after a failed transfer; also the result of such a call."""


class Flow(FlowModel):
    """Nodes by name, and the one the conversation starts with. `functions` are offered by every node that asks."""

    start: Identifier = "start"
    nodes: dict[Identifier, Node] = Field(min_length=1)
    functions: tuple[Function, ...] = Field((), description="global ones: offered wherever a question is asked")
    goodbye: str = Field("I could not understand you. Goodbye.", description="said when nothing else is left to say")
    one_moment: str = Field("One moment, please.", description="said while the recording is being paused")
    not_private: str = Field(
        "I am sorry, I cannot take that safely at the moment.",
        description="said when the recording could not be paused, before the node's `otherwise` or the end",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise InvalidFlow("; ".join(problems))
        return self

    def offered(self, node: Node) -> tuple[Function, ...]:
        """The functions that a node offers: its own, then the global ones, if they keep nothing that is private."""
        if not node.listens or not node.global_functions:
            return node.functions
        return node.functions + tuple(one for one in self.functions if not (node.private and one.parameters))

    def _problems(self) -> list[str]:
        found = []
        if self.start not in self.nodes:
            found.append(f"the flow starts at {self.start!r}, which is not one of its nodes")
        found += [
            f"function {function.name!r} goes to {way!r}, which does not exist"
            for function in self.functions
            for way in targets(function.go)
            if way not in self.nodes
        ]
        if _has_twice(self.functions):
            found.append("the flow's own functions have the same digits twice")
        for name, node in self.nodes.items():
            found += self._problems_of(name, node)
        return found + [f"in {text!r}: {why}" for text, why in self._bad_texts()]

    def _problems_of(self, name: str, node: Node) -> list[str]:
        found = []
        if isinstance(node.then, ScheduleCallback) and node.then.said not in {None, *self.answers}:
            found.append(f"node {name!r} reads the time from {node.then.said!r}, which no node captures")
        kinds = [kind for kind, there in _kinds(node) if there]
        if len(kinds) != 1:
            found.append(
                f"node {name!r} must have exactly one of functions/capture, go and then, and has "
                + (" and ".join(kinds) or "none")
            )
        found += [f"node {name!r} goes to {way!r}, which does not exist" for way in node.ways if way not in self.nodes]
        if node.capture is not None and isinstance(node.then, CollectDigits):
            found.append(f"node {name!r} has a capture and collect_digits: one answer at a time")
        if node.listens and not node.say:
            found.append(f"node {name!r} asks nothing: give it something to `say`")
        if node.sensitive and node.captures is None:
            found.append(f"node {name!r} is sensitive and captures nothing: give it a capture")
        if node.private and any(function.parameters for function in node.functions):
            found.append(f"node {name!r} is sensitive: its functions take no parameters, which would be kept")
        if _has_twice(node.functions):
            found.append(f"node {name!r} offers the same digits twice")
        return found

    def _bad_texts(self) -> list[tuple[str, str]]:
        bad = []
        for text in self.texts + self._unspoken:
            try:
                placeholders(text)
            except ValueError as error:
                bad.append((text, str(error)))
        return bad

    @property
    def texts(self) -> tuple[str, ...]:
        """Every message of the flow, with its placeholders."""
        own = (self.goodbye, self.one_moment, self.not_private) if self.is_sensitive else (self.goodbye,)
        asked = tuple(text for function in self.functions for text in texts_of(function))
        return (*tuple(text for node in self.nodes.values() for text in node.texts), *asked, *own)

    @property
    def _unspoken(self) -> tuple[str, ...]:
        """Texts that the caller does not hear, and which have placeholders too."""
        found: list[str] = []
        for node in self.nodes.values():
            if isinstance(node.then, TransferToAgent):
                found.append(node.then.reason)
            if isinstance(node.then, HttpRequest):
                found += node.then.texts
        return tuple(found)

    @property
    def is_sensitive(self) -> bool:
        """Whether some node takes what may not be recorded."""
        return any(node.private for node in self.nodes.values())

    @property
    def answers(self) -> frozenset[str]:
        """The names of all answers that the conversation can give."""
        return frozenset().union(
            *(node.answers for node in self.nodes.values()), *(answers_of(function) for function in self.functions)
        )

    @property
    def typed_answers(self) -> dict[str, Typed]:
        """What is known of the type of answers, by name."""
        functions = (*self.functions, *(one for node in self.nodes.values() for one in node.functions))
        found: dict[str, Typed] = {one.name: one for function in functions for one in function.parameters}
        captures = (node.captures for node in self.nodes.values())
        return found | {one.name: one for one in captures if one is not None}

    @property
    def variables(self) -> frozenset[str]:
        """The placeholders that leads must fill: those that no function or capture of the flow answers."""
        requests = (node.then.texts for node in self.nodes.values() if isinstance(node.then, HttpRequest))
        sent = tuple(text for texts in requests for text in texts)
        used = {name for text in self.texts + sent for name in placeholders(text)}
        return frozenset(used - self.answers - {TRANSFER_RESULT})

    @property
    def transfers(self) -> bool:
        """Whether some node hands the caller to a human."""
        return any(isinstance(node.then, TransferToAgent) for node in self.nodes.values())


def _kinds(node: Node) -> tuple[tuple[str, bool], ...]:
    then = node.then is not None and not isinstance(node.then, CollectDigits)
    return ("functions/capture", node.listens), ("go", node.go is not None), ("then", then)


def _has_twice(functions: tuple[Function, ...]) -> bool:
    pressed = [function.digits for function in functions if function.digits and function.when is None]
    return len(pressed) != len(set(pressed))
