"""The scripted flow for an engine that understands by itself: it says what can be chosen, and takes the choice."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.flow import Capture, Function, NotAValue, Parameter, read_value
from breeze_buddy.domain.private_values import PrivateValues
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import Privacy, Reply, Say
from breeze_buddy.media.filling_in import FillingIn
from breeze_buddy.media.llm import prompt
from breeze_buddy.media.phrases import choose_function
from breeze_buddy.media.requests import Requests
from breeze_buddy.media.scripted import ScriptedConversation, ScriptedDialogue
from breeze_buddy.media.spoken_numbers import only_digits
from breeze_buddy.media.wording import said_at

_DICTATED = frozenset({"digits", "phone"})


class GuidedDialogue(ScriptedDialogue):
    """Makes a guided flow for each call."""

    def converse(self, call: StreamCall, privacy: Privacy) -> "GuidedFlow":
        return GuidedFlow(call, privacy, requests=self._requests, clock=self._clock)


class GuidedFlow(ScriptedConversation):
    """Like every conversation, it has moved on when a method returns; the replies say what that sounds like."""

    def __init__(
        self, call: StreamCall, privacy: Privacy, *, requests: Requests, clock: Callable[[], datetime]
    ) -> None:
        super().__init__(call, privacy, requests=requests, clock=clock)
        self._private_variables = frozenset(call.template.private_variables)

    @property
    def offered(self) -> tuple[Function, ...]:
        """The functions that can be taken here and now."""
        return self._offered

    @property
    def asked(self) -> Capture | Parameter | None:
        """The value that was asked for."""
        return self._asked.wanted if self._asked is not None else None

    @property
    def waits(self) -> bool:
        """Whether it asked something that may be answered by meaning: nothing private, and no message for the team."""
        return self.attentive and not (self.private or self.parting) and bool(self._offered or self._asked)

    @property
    def question(self) -> str:
        """What the caller was asked last, as a model may have it."""
        return self.private_values.hide(self._question)

    @property
    def _question(self) -> str:
        asked = self.asked
        text = (asked.ask or asked.name) if isinstance(asked, Parameter) else self._here.say
        return self._filled(text)

    @property
    def known(self) -> Mapping[str, str]:
        """Variables and answers, without those that may be kept nowhere, and those that no model is told."""
        untold, private = self._wording.sensitive | self._private_variables, self.private_values
        return {name: private.hide(value) for name, value in self._values.items() if name not in untold}

    @property
    def private_values(self) -> PrivateValues:
        """What no model is told, as it is now."""
        return PrivateValues(self._private_variables, self._values)

    def saying(self, text: str) -> Say:
        """`text` as it is, with the node's rules for interruptions and silence."""
        return said_at(self._here, text)

    def take(self, function: Function, values: Mapping[str, str]) -> AsyncIterator[Reply]:
        """Go on by `function`, whose parameters are `values`, each in the form of its type."""
        filling = FillingIn(function, "", today=self._today())
        filling.found.update(values)
        self._filling = filling
        return self._say(self._fill_in(filling))

    def give(self, value: str) -> AsyncIterator[Reply]:
        """The value that was asked for, in the form of its type."""
        return self._say(self._given(value))

    def ask_again(self) -> AsyncIterator[Reply]:
        """The question once more."""
        return self._say([self.saying(self._question)])

    def give_up(self) -> AsyncIterator[Reply]:
        """Go where the flow goes when the caller was not understood, without asking again."""
        self._reprompts = max(self._here.max_reprompts, 10)
        return self._say(self._not_understood(Ending.REACHED_END))

    def call(self, name: str, arguments: str) -> AsyncIterator[Reply]:
        """Go on as a model says: `name` is one of `prompt.offers`, `arguments` is JSON. Raises NotAValue, which tells
        the model what is wrong."""
        try:
            given = json.loads(arguments or "{}")
        except ValueError:
            raise NotAValue("The arguments are not JSON.") from None
        if not isinstance(given, dict):
            raise NotAValue("The arguments are not an object.")
        if self.asked is not None and name == prompt.answer_name(self.offered):
            return self.give(read_value(self.asked, given.get("value", ""), today=self._today()))
        function = next((one for one in self.offered if one.name == name), None)
        if function is None:
            raise NotAValue(f"There is no function {name} here.")
        return self.take(function, function.read_arguments(given, today=self._today()))

    def understands(self, text: str) -> bool:
        """Whether no model is needed: it is exactly a phrase that takes the flow on, or a number is dictated."""
        if self.asked is not None and self.asked.value_type in _DICTATED and only_digits(text) is not None:
            return True
        return choose_function(text, self.offered, whole=True) is not None

    def now(self) -> datetime:
        """On the caller's clock."""
        return self._clock().astimezone(self._zone)
