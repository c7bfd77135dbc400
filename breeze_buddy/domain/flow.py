"""The flow of a conversation: nodes, what each says, and the functions through which it goes on.

One definition serves every dialogue engine: the scripted engine chooses a function by phrases and
digits; an engine with a language model chooses it by name and description.

    nodes:
      ask:      say "… is that right?"   functions: confirm → thanks, change → address
      address:  say "What is the new address?"   capture words as new_address → thanks
      thanks:   say "Thank you, goodbye."   end: confirmed
"""

import re
import string
from datetime import time, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.errors import InvalidFlow
from breeze_buddy.domain.promise import LONGEST_PROMISE, Callback, ClockTime

TRANSFER_RESULT = "transfer_result"
"""The placeholder that says how a transfer ended, after the caller has come back."""
VOICEMAIL = "voicemail"
"""The answer that holds the message left for the team after a failed transfer; also the result of such a call."""

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Digits = Annotated[str, Field(pattern=r"^[0-9*#]{1,32}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")


class Function(_Model):
    """A way on from a node: taken when the caller says one of `phrases` or presses `digits`."""

    name: Identifier
    description: str = Field("", description="for engines that choose by meaning")
    phrases: tuple[str, ...] = ()
    digits: Digits | None = None
    answers: dict[Identifier, str] = Field({}, description="recorded when the function is taken")
    go: Identifier

    @model_validator(mode="after")
    def _can_be_taken(self) -> Self:
        if not (self.phrases or self.digits or self.description):
            raise ValueError(f"function {self.name!r} can never be taken: give it phrases, digits or a description")
        if any(not words_of(phrase) for phrase in self.phrases):
            raise ValueError(f"function {self.name!r} has a phrase without a word in it")
        return self


class Capture(_Model):
    """Takes what the caller says, or the digits pressed or said, as an answer."""

    name: Identifier
    kind: Literal["words", "digits"] = "words"
    length: int | None = Field(None, ge=1, le=32, description="how many digits; None: until # or a pause")
    go: Identifier


class EndConversation(_Model):
    """The built-in function `end_conversation`: hang up after the message, with a result."""

    action: Literal["end_conversation"] = "end_conversation"
    result: Identifier = "done"


class ScheduleCallback(_Model):
    """The built-in function `schedule_callback`: the lead is called again when it was promised.

    That is after `after`, or when the lead's own clock shows `at`; before both, what the caller said, if it is
    understood ("tomorrow at five", "in half an hour"). The calling window still holds.
    """

    action: Literal["schedule_callback"] = "schedule_callback"
    after: Annotated[timedelta, Field(gt=timedelta(0), le=LONGEST_PROMISE)] | None = None
    at: time | None = Field(None, description="a time on the lead's own clock, such as 17:00")
    days_ahead: int | None = Field(
        None, ge=0, le=LONGEST_PROMISE.days, description="with `at`: 1 is tomorrow; None: the next time it is `at`"
    )
    said: Identifier | None = Field(None, description="the answer in which the caller said when")
    result: Identifier = "callback"

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.after is None) == (self.at is None):
            raise ValueError("schedule_callback needs either `after` or `at`, also for callers whose words say no time")
        if self.days_ahead is not None and self.at is None:
            raise ValueError("days_ahead goes with `at`, the time on that day")
        if self.at is not None and self.at.tzinfo is not None:
            raise ValueError("`at` is a time on the lead's own clock: write it without a zone")
        return self

    @property
    def callback(self) -> Callback:
        """What is promised when the caller's words say no time."""
        return self.after if self.after is not None else ClockTime(at=self.at, days_ahead=self.days_ahead)


class DoNotCall(_Model):
    """The built-in function `do_not_call`: the lead is finished and asked not to be called again."""

    action: Literal["do_not_call"] = "do_not_call"
    result: Identifier = "do_not_call"


class TransferToAgent(_Model):
    """The built-in function `transfer_to_agent`: a human takes over, by the template's transfer policy.

    `failed` is where the conversation goes on when no human could be had; {transfer_result} says why.
    """

    action: Literal["transfer_to_agent"] = "transfer_to_agent"
    reason: str = Field("", max_length=300, description="told to the human; may hold placeholders")
    failed: Identifier | None = Field(None, description="None: say that nobody could be reached, and goodbye")


Action = Annotated[EndConversation | ScheduleCallback | DoNotCall | TransferToAgent, Field(discriminator="action")]


class Node(_Model):
    """A message, then either a question (functions, capture) or an end (`then`), or straight on (`go`)."""

    say: str = Field(min_length=1, max_length=2000)
    functions: tuple[Function, ...] = ()
    capture: Capture | None = None
    go: Identifier | None = Field(None, description="the next node, without waiting for the caller")
    then: Action | None = Field(None, description="what to do after the message; the conversation ends")
    reprompt: str | None = Field(None, description="said when the answer was not understood; None: `say` again")
    max_reprompts: int = Field(2, ge=0, le=10)
    otherwise: Identifier | None = Field(None, description="where to go after the last reprompt; None: say goodbye")
    sensitive: bool = Field(
        False, description="the recording is paused here, and the answer is kept nowhere but for four digits"
    )

    @property
    def listens(self) -> bool:
        return bool(self.functions) or self.capture is not None

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.say,) if self.reprompt is None else (self.say, self.reprompt)

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of all nodes that can follow this one."""
        failed = self.then.failed if isinstance(self.then, TransferToAgent) else None
        ends = (self.capture.go if self.capture else None, self.go, self.otherwise, failed)
        return tuple(function.go for function in self.functions) + tuple(way for way in ends if way)


class Flow(_Model):
    """Nodes by name, and the one the conversation starts with."""

    start: Identifier = "start"
    nodes: dict[Identifier, Node] = Field(min_length=1)
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

    def _problems(self) -> "list[str]":
        found = []
        if self.start not in self.nodes:
            found.append(f"the flow starts at {self.start!r}, which is not one of its nodes")
        answers = {name for node in self.nodes.values() for name in _answers(node)}
        for name, node in self.nodes.items():
            if isinstance(node.then, ScheduleCallback) and node.then.said not in {None, *answers}:
                found.append(f"node {name!r} reads the time from {node.then.said!r}, which no node captures")
            kinds = [kind for kind, there in _kinds(node) if there]
            if len(kinds) != 1:
                found.append(
                    f"node {name!r} must have exactly one of functions/capture, go and then, and has "
                    + (" and ".join(kinds) or "none")
                )
            found += [
                f"node {name!r} goes to {way!r}, which does not exist" for way in node.ways if way not in self.nodes
            ]
            if node.sensitive and node.capture is None:
                found.append(f"node {name!r} is sensitive and captures nothing: give it a capture")
            pressed = [function.digits for function in node.functions if function.digits]
            if len(pressed) != len(set(pressed)):
                found.append(f"node {name!r} offers the same digits twice")
        return found + [f"in {text!r}: {why}" for text, why in self._bad_texts()]

    def _bad_texts(self) -> "list[tuple[str, str]]":
        bad = []
        reasons = tuple(node.then.reason for node in self.nodes.values() if isinstance(node.then, TransferToAgent))
        for text in self.texts + reasons:
            try:
                placeholders(text)
            except ValueError as error:
                bad.append((text, str(error)))
        return bad

    @property
    def texts(self) -> tuple[str, ...]:
        """Every message of the flow, with its placeholders."""
        own = (self.goodbye, self.one_moment, self.not_private) if self.is_sensitive else (self.goodbye,)
        return (*tuple(text for node in self.nodes.values() for text in node.texts), *own)

    @property
    def is_sensitive(self) -> bool:
        """Whether some node takes what may not be recorded."""
        return any(node.sensitive for node in self.nodes.values())

    @property
    def variables(self) -> frozenset[str]:
        """The placeholders that leads must fill: those that no function or capture of the flow answers."""
        answered = {name for node in self.nodes.values() for name in _answers(node)}
        used = {name for text in self.texts for name in placeholders(text)}
        return frozenset(used - answered - {TRANSFER_RESULT})

    @property
    def transfers(self) -> bool:
        """Whether some node hands the caller to a human."""
        return any(isinstance(node.then, TransferToAgent) for node in self.nodes.values())


def _kinds(node: Node) -> tuple[tuple[str, bool], ...]:
    return ("functions/capture", node.listens), ("go", node.go is not None), ("then", node.then is not None)


def _answers(node: Node) -> set[str]:
    names = {name for function in node.functions for name in function.answers}
    return names | ({node.capture.name} if node.capture else set())


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


def fill(text: str, values: dict[str, str]) -> str:
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
