"""One node of a flow: a message, and what comes after it."""

from pydantic import Field

from breeze_buddy.domain.flow.actions import Action, CollectDigits, HttpRequest, TransferToAgent
from breeze_buddy.domain.flow.functions import Capture, Function
from breeze_buddy.domain.flow.routes import Way, targets
from breeze_buddy.domain.flow.texts import FlowModel


class Interruption(FlowModel):
    """When the caller's speech stops the agent's. What is not given is as in the template's `turns`."""

    barge_in: bool | None = Field(None, description="whether the caller may interrupt at all")
    min_ms: int | None = Field(None, ge=0, le=3000, description="speech of this length interrupts")
    min_words: int | None = Field(
        None, ge=0, le=10, description="only so many words interrupt; fewer are not an answer"
    )


class Node(FlowModel):
    """A message, then either a question (functions, capture) or an end or request (`then`), or straight on (`go`)."""

    say: str = Field("", max_length=2000, description="may be empty where nothing is asked")
    functions: tuple[Function, ...] = ()
    capture: Capture | None = None
    go: Way | None = Field(None, description="the next node, without waiting for the caller")
    then: Action | None = Field(None, description="what to do after the message")
    reprompt: str | tuple[str, ...] | None = Field(
        None, description="said when the answer was not understood, or one after the other; None: `say` again"
    )
    max_reprompts: int = Field(2, ge=0, le=10)
    otherwise: Way | None = Field(None, description="where to go after the last reprompt; None: say goodbye")
    on_silence: Way | None = Field(
        None, description="where to go instead when the caller said nothing at all; None: `otherwise`"
    )
    no_input_s: float | None = Field(None, ge=1, le=60, description="silence before the question is asked again")
    interruption: Interruption = Interruption()
    global_functions: bool = Field(True, description="offer the functions of the flow here too")
    sensitive: bool = Field(
        False, description="the recording is paused here, and the answer is kept nowhere but for four digits"
    )

    @property
    def captures(self) -> Capture | None:
        """What the answer is kept as, if it is: a capture, or the digits of `collect_digits`."""
        return self.then.capture if isinstance(self.then, CollectDigits) else self.capture

    @property
    def private(self) -> bool:
        """Whether what is answered here may be kept nowhere."""
        return self.sensitive or (isinstance(self.then, CollectDigits) and self.then.secret)

    @property
    def listens(self) -> bool:
        return bool(self.functions) or self.captures is not None

    @property
    def ends(self) -> bool:
        """Whether the conversation is over after it, or handed to a human."""
        return self.then is not None and not isinstance(self.then, CollectDigits | HttpRequest)

    @property
    def reprompts(self) -> tuple[str, ...]:
        """What is said at the first reprompt, the second …; the last of them is said again."""
        if self.reprompt is None:
            return (self.say,)
        return (self.reprompt,) if isinstance(self.reprompt, str) else self.reprompt or (self.say,)

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that may be said here."""
        asked = tuple(text for function in self.functions for text in texts_of(function))
        filler = (self.then.filler,) if isinstance(self.then, HttpRequest) and self.then.filler else ()
        own = (self.say,) if self.reprompt is None else (self.say, *self.reprompts)
        return (*own, *asked, *filler)

    @property
    def ways(self) -> tuple[str, ...]:
        """The names of all nodes that can follow this one, but for global functions."""
        taken = tuple(target for function in self.functions for target in targets(function.go))
        captures = self.captures
        then = self.then
        after: tuple[Way | None, ...] = (captures.go if captures else None, self.go, self.otherwise, self.on_silence)
        if isinstance(then, TransferToAgent | HttpRequest):
            after += (then.failed,)
        if isinstance(then, HttpRequest):
            after += (then.go,)
        return taken + tuple(target for way in after for target in targets(way))

    @property
    def answers(self) -> frozenset[str]:
        """The answers that can be given here, but for those of global functions."""
        captures = self.captures
        saved = set(self.then.save) if isinstance(self.then, HttpRequest) else set()
        own = {captures.name} if captures else set()
        return frozenset(own | saved).union(*(answers_of(function) for function in self.functions))


def texts_of(function: Function) -> tuple[str, ...]:
    """What is asked for the parameters of a function."""
    return tuple(text for one in function.parameters for text in (one.ask, one.reprompt) if text)


def answers_of(function: Function) -> frozenset[str]:
    """What is recorded when a function is taken."""
    return frozenset(function.answers) | {one.name for one in function.parameters}
