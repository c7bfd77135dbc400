"""The scripted dialogue engine: a template's flow run by phrases and digits. No model, free and exact.

What the caller says is matched as `phrases.py` describes. A node that captures takes a function only if its phrase
is all that was said. Keys are matched exactly: the digits of a function, or the digits of a capture, complete
with `#`, by their number, or by a pause. What is not understood, and silence, are reprompted `max_reprompts` times in
all; then the flow goes `otherwise`, or says `goodbye` and ends. Something not understood that was said into the
question only has the question said again, twice at most: the caller may not have heard it.

The question of a sensitive node is asked when the recording is paused, and not at all when that cannot be had. The
recording goes on when a node is entered that is not sensitive.

A caller for whom no human could be had is told so, and goes on with the `failed` node of the hand-over; or with the
question that an operator's transfer interrupted; or they part (`parting.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime

from breeze_buddy.domain.conversation import Ending, HalfFilled
from breeze_buddy.domain.flow import (
    TRANSFER_RESULT,
    Capture,
    Flow,
    Function,
    HttpRequest,
    Node,
    Parameter,
    TransferToAgent,
    Way,
    holds,
    way_on,
)
from breeze_buddy.domain.privacy import SHORTEST_NUMBER_SHOWN_IN_PART, masked
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.asking import Asked, Unclear
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import (
    CallerTurn,
    Finish,
    Heard,
    Pressed,
    Privacy,
    Reply,
    Say,
    Silence,
)
from breeze_buddy.media.filling_in import FillingIn
from breeze_buddy.media.flow_ends import end_by
from breeze_buddy.media.parting import Parting, not_transferred
from breeze_buddy.media.phrases import choose_function
from breeze_buddy.media.requests import NoRequests, Requests
from breeze_buddy.media.spoken_numbers import only_digits
from breeze_buddy.media.wording import Wording, said_at

APOLOGY = "I am sorry, we were interrupted."
MOST_INTERRUPTIONS = 2
MOST_REQUESTS_A_TURN = 5
MOST_NODES_A_TURN = 50
"""Nodes that go straight on to each other in a circle would otherwise never let the caller speak."""


class ScriptedDialogue:
    """Makes a conversation for each call. `requests` carries out what flows ask of servers; without it, none is."""

    def __init__(
        self, requests: Requests | None = None, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._requests = requests or NoRequests()
        self._clock = clock

    def converse(self, call: StreamCall, privacy: Privacy) -> "ScriptedConversation":
        return ScriptedConversation(call, privacy, requests=self._requests, clock=self._clock)


class ScriptedConversation:
    """Decides a whole turn at once, so that an interruption never leaves it between two nodes."""

    def __init__(
        self, call: StreamCall, privacy: Privacy, *, requests: Requests, clock: Callable[[], datetime]
    ) -> None:
        self._flow: Flow = call.template.flow
        self._privacy = privacy
        self._protected = False  # the recording is paused for the node it stands at
        self._call_id, self._zone = call.call_id, call.zone
        self._requests = requests
        self._clock = clock
        self._interruptions = 0
        self._asked: Asked | None = None
        self._filling: FillingIn | None = None
        resume = call.resume
        self._returned = resume.returned if resume is not None else None
        self._resumed = resume is not None and resume.node in self._flow.nodes
        self._node = resume.node if resume is not None and self._resumed else self._flow.start
        self._answers = dict(resume.answers) if resume is not None else {}
        self._wording = Wording(self._flow, variables=call.variables, answers=self._answers)
        self._parting = resume is not None and self._resumed and resume.parting
        if self._parting:  # interrupted: once more from the beginning
            self._returned = TransferEnding(self._answers[TRANSFER_RESULT])
        policy = call.template.transfer
        self._way_out = (
            Parting(policy, filled=self._filled, answers=self._answers, resumed=self._resumed)
            if policy is not None
            else None
        )
        self._reprompts = resume.reprompts if resume is not None and self._resumed else 0
        if resume is not None and self._resumed and resume.filling is not None:
            self._filling = FillingIn.again(resume.filling, self._flow.offered(self._here), today=self._today())

    @property
    def node(self) -> str:
        return self._node

    @property
    def answers(self) -> dict[str, str]:
        return self._answers

    @property
    def reprompts(self) -> int:
        return self._reprompts

    @property
    def parting(self) -> bool:
        return self._parting

    @property
    def filling(self) -> HalfFilled | None:
        return self._filling.kept if self._filling is not None else None

    @property
    def private(self) -> bool:
        return self._here.private and not self._parting

    @property
    def attentive(self) -> bool:
        return self._protected or not self.private

    def begin(self) -> AsyncIterator[Reply]:
        if self._resumed and self._returned is not None:
            replies = self._come_back(self._returned)
        elif self._resumed:
            replies = [Say(APOLOGY), *self._same_again()]
        else:
            replies = self._enter(self._node)
        if self._resumed and self._flow.is_sensitive and not self.private:
            self._privacy.end()  # whoever had the call before may have left it paused
        return self._say(replies)

    def answer(self, turn: CallerTurn) -> AsyncIterator[Reply]:
        return self._say(self._decide(turn) if self.attentive else self._enter(self._node))

    def come_back(self, ending: TransferEnding) -> AsyncIterator[Reply]:
        return self._say(self._come_back(ending))

    def completes(self, keys: str) -> bool:
        if self._filling is None:
            digits = [function.digits for function in self._offered if function.digits]
            if any(wanted != keys and wanted.startswith(keys) for wanted in digits):
                return False  # the beginning of a longer one
            if keys in digits:
                return True
            if self._asked is None:  # a wrong code is one answer, not as many as it has keys
                return len(keys) >= max(map(len, digits), default=1)
        return self._asked is None or self._asked.completes(keys)

    @property
    def _here(self) -> Node:
        return self._flow.nodes[self._node]

    def _same_again(self) -> list[Reply]:
        """Where it stood: the same question, not a new one; what was given for a function is not asked for again."""
        reprompts = self._reprompts
        replies = self._fill_in(self._filling) if self._filling is not None else self._enter(self._node)
        self._reprompts = reprompts
        return replies

    def _come_back(self, ending: TransferEnding) -> list[Reply]:
        """No human could be had: why is an answer, and the flow goes on where it says, unless they part."""
        self._answers[TRANSFER_RESULT] = ending.value
        way_out = self._way_out
        self._parting = way_out is not None and way_out.leads_away(ending)
        if way_out is not None and self._parting:
            return way_out.begin(ending)
        sorry = [way_out.sorry()] if way_out is not None else []
        action = self._here.then
        if not isinstance(action, TransferToAgent):
            return [*sorry, *self._same_again()]
        if action.failed is not None:
            return [*sorry, *self._go(action.failed)]
        return [*sorry, *not_transferred()]

    def _decide(self, turn: CallerTurn) -> list[Reply]:
        if self._parting and self._way_out is not None:
            return self._way_out.answer(turn)
        match turn:
            case Heard(text, interrupting):
                return self._heard(text, interrupting=interrupting)
            case Pressed(keys):
                return self._pressed(keys)
            case Silence():
                return self._not_understood(Ending.NO_INPUT)

    def _heard(self, text: str, *, interrupting: bool) -> list[Reply]:
        functions = self._offered
        function = choose_function(text, functions, whole=self._asked is not None)
        if function is None and self._filling is None and (digits := only_digits(text)) is not None:
            function = next((f for f in functions if f.digits == digits), None)
        if function is not None:
            return self._choose(function, text)
        if self._asked is not None:
            return self._given(self._asked.heard(text))
        if interrupting and self._interruptions < MOST_INTERRUPTIONS:
            self._interruptions += 1
            return [self._saying(self._here.say)]
        return self._not_understood(Ending.REACHED_END)

    def _pressed(self, keys: str) -> list[Reply]:
        function = next((f for f in self._offered if f.digits == keys), None) if self._filling is None else None
        if function is not None:
            return self._choose(function)
        if self._asked is not None:
            return self._given(self._asked.pressed(keys), pressed=True)
        return self._not_understood(Ending.REACHED_END)

    @property
    def _offered(self) -> tuple[Function, ...]:
        """The functions that can be taken here and now."""
        values = self._values
        busy = self._filling.function.name if self._filling is not None else None
        return tuple(
            one
            for one in self._flow.offered(self._here)
            if one.name != busy and (one.when is None or holds(one.when, values))
        )

    def _choose(self, function: Function, said: str = "") -> list[Reply]:
        self._filling = FillingIn(function, said, today=self._today())
        return self._fill_in(self._filling)

    def _fill_in(self, filling: FillingIn) -> list[Reply]:
        """Ask for what the function still needs, or take it."""
        missing = filling.missing
        if missing is None:
            self._answers.update(filling.answers())
            return self._go(filling.function.go)
        self._ask_for(missing)
        return [self._saying(missing.ask or missing.name)]

    def _given(self, value: str | Unclear, *, pressed: bool = False) -> list[Reply]:
        """What was asked for was given, or a part of it, or nothing that it could be."""
        if value is Unclear.MORE:
            return []
        if value is Unclear.NOTHING or self._asked is None:
            return self._not_understood(Ending.REACHED_END)
        wanted = self._asked.wanted
        if isinstance(wanted, Capture):
            exact = pressed or self._asked.shortest >= SHORTEST_NUMBER_SHOWN_IN_PART
            self._answers[wanted.name] = masked(value, exact=exact) if self.private else value
            return self._go(wanted.go)
        assert self._filling is not None
        self._filling.found[wanted.name] = value
        return self._fill_in(self._filling)

    def _ask_for(self, wanted: Capture | Parameter | None) -> None:
        self._reprompts = self._interruptions = 0
        self._asked = Asked(wanted, today=self._today()) if wanted is not None else None

    def _today(self) -> date:
        return self._clock().astimezone(self._zone).date()

    def _go(self, way: Way) -> list[Reply]:
        return self._enter(way_on(way, self._values))

    def _enter(self, name: str) -> list[Reply]:
        """Go to a node, and on from it as far as neither an answer nor a server is needed."""
        replies: list[Reply] = []
        self._filling = None
        for _ in range(MOST_NODES_A_TURN):
            self._node = name
            node = self._here
            self._ask_for(node.captures)
            if isinstance(node.then, HttpRequest):
                return [*replies, Say(self._filled(node.say), interruptible=False)]
            if node.ends and node.then is not None:
                last = Say(self._filled(node.say), interruptible=False)
                return [*replies, last, end_by(node.then, answers=self._answers, filled=self._filled)]
            replies.append(self._saying(node.say))
            if node.go is None:
                return replies
            name = way_on(node.go, self._values)
        return [*replies, *self._goodbye(Ending.REACHED_END)]

    async def _say(self, replies: list[Reply]) -> AsyncIterator[Reply]:
        """One by one, and on after the answers of servers."""
        async for reply in self._guarded(replies):
            yield reply
        for _ in range(MOST_REQUESTS_A_TURN):
            request = self._here.then
            if not isinstance(request, HttpRequest) or self._parting:
                return
            asking = asyncio.ensure_future(
                self._requests.send(request, self._values, key=f"{self._call_id}/{self._node}")
            )
            try:
                await asyncio.wait([asking], timeout=request.filler_after_s)
                if request.filler and not asking.done():
                    yield Say(self._filled(request.filler), interruptible=False)
                answers = await asking
            finally:
                asking.cancel()
            self._answers.update(answers or {})
            failed = answers is None and request.failed is not None
            async for reply in self._guarded(self._go(request.failed if failed and request.failed else request.go)):
                yield reply
        for reply in self._goodbye(Ending.REACHED_END):
            yield reply

    async def _guarded(self, replies: list[Reply]) -> AsyncIterator[Reply]:
        """One by one; the question of a sensitive node, which is the last of them, when nothing is recorded."""
        if not self.private:
            if self._protected:
                self._protected = False
                self._privacy.end()
        elif not self._protected:
            *replies, question = replies
            for reply in replies:
                yield reply
            if self._privacy.needed:
                yield Say(self._filled(self._flow.one_moment), interruptible=False)
            self._protected = await self._privacy.begin()
            replies = [question] if self._protected else self._not_private()
        for reply in replies:
            yield reply

    def _not_private(self) -> list[Reply]:
        """The recording could not be paused: the node is left without its question."""
        sorry = Say(self._filled(self._flow.not_private), interruptible=False)
        if self._here.otherwise is not None:
            replies = self._go(self._here.otherwise)
            if not self.private:
                return [sorry, *replies]
        return [sorry, Finish(Ending.LOST)]

    def _not_understood(self, ending: Ending) -> list[Reply]:
        """`ending` is what it will have been, if nothing is left but goodbye."""
        node = self._here
        texts, most = node.reprompts, node.max_reprompts
        if self._asked is not None:
            self._asked.forget()
            wanted = self._asked.wanted
            if isinstance(wanted, Parameter):
                texts, most = (wanted.reprompt or wanted.ask or wanted.name,), wanted.max_reprompts
        if self._reprompts < most:
            self._reprompts += 1
            return [self._saying(texts[min(self._reprompts, len(texts)) - 1])]
        silent = node.on_silence if ending is Ending.NO_INPUT else None
        if (way := silent or node.otherwise) is not None:
            return self._go(way)
        return self._goodbye(ending)

    def _goodbye(self, ending: Ending) -> list[Reply]:
        return [Say(self._filled(self._flow.goodbye), interruptible=False), Finish(ending)]

    def _saying(self, text: str) -> Say:
        """`text` with the node's rules for interruptions and silence."""
        return said_at(self._here, self._filled(text))

    def _filled(self, text: str) -> str:
        return self._wording.filled(text, self._found)

    @property
    def _values(self) -> dict[str, str]:
        return self._wording.values(self._found)

    @property
    def _found(self) -> dict[str, str]:
        return self._filling.found if self._filling is not None else {}
