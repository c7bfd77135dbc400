"""The scripted dialogue engine: a template's flow run by phrases and digits. No model, free and exact.

What the caller says is matched as `phrases.py` describes. A node that captures takes a function only if its phrase
is all that was said. Keys are matched exactly: the digits of a function, or the digits of a capture, complete
with `#`, by their number, or by a pause. What is not understood, and silence, are reprompted `max_reprompts` times in
all; then the flow goes `otherwise`, or says `goodbye` and ends. Something not understood that was said into the
question only has the question said again, twice at most: the caller may not have heard it.

The question of a sensitive node is asked when the recording is paused, and not at all when that cannot be had. The
recording goes on when a node is entered that is not sensitive.

A caller for whom no human could be had is told so, and goes on with the `failed` node of the hand-over; or with the
question that an operator's transfer interrupted. Or the template has them part: with a promised call, or with a message
for the team, which is asked for once more when nothing was said.
"""

from collections.abc import AsyncIterator

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.flow import (
    TRANSFER_RESULT,
    VOICEMAIL,
    Action,
    Capture,
    CollectDigits,
    DoNotCall,
    EndConversation,
    Flow,
    Function,
    HttpRequest,
    Node,
    ScheduleCallback,
    TransferToAgent,
    Way,
    fill,
    way_on,
)
from breeze_buddy.domain.privacy import masked, shown_part
from breeze_buddy.domain.promise import Callback
from breeze_buddy.domain.transfer import TransferEnding, TransferPolicy
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import (
    CallerTurn,
    Finish,
    HandOver,
    Heard,
    Pressed,
    Privacy,
    Reply,
    Say,
    Silence,
    TakeMessage,
)
from breeze_buddy.media.phrases import choose_function
from breeze_buddy.media.spoken_numbers import only_digits, spoken_digits
from breeze_buddy.media.spoken_times import spoken_time

APOLOGY = "I am sorry, we were interrupted."
GOODBYE = "Goodbye."
MOST_INTERRUPTIONS = 2
MOST_MESSAGES_ASKED = 2
MOST_NODES_A_TURN = 50
"""Nodes that go straight on to each other in a circle would otherwise never let the caller speak."""


class ScriptedDialogue:
    """Makes a conversation for each call."""

    def converse(self, call: StreamCall, privacy: Privacy) -> "ScriptedConversation":
        return ScriptedConversation(call, privacy)


class ScriptedConversation:
    """Decides a whole turn at once, so that an interruption never leaves it between two nodes."""

    def __init__(self, call: StreamCall, privacy: Privacy) -> None:
        self._flow: Flow = call.template.flow
        self._transfer = call.template.transfer
        self._privacy = privacy
        self._protected = False  # the recording is paused for the node it stands at
        self._variables = call.variables
        self._dictated = {
            node.capture.name for node in self._flow.nodes.values() if node.capture and node.capture.kind == "digits"
        }
        self._sensitive = {node.capture.name for node in self._flow.nodes.values() if node.capture and node.sensitive}
        self._interruptions = 0
        self._partial = ""  # digits said so far of a number whose length is known
        resume = call.resume
        self._returned = resume.returned if resume is not None else None
        self._resumed = resume is not None and resume.node in self._flow.nodes
        self._node = resume.node if resume is not None and self._resumed else self._flow.start
        self._answers = dict(resume.answers) if resume is not None else {}
        self._parting = resume is not None and self._resumed and resume.parting
        if self._parting:  # interrupted: once more from the beginning
            self._returned = TransferEnding(self._answers[TRANSFER_RESULT])
        self._messages_asked = 0
        self._reprompts = resume.reprompts if resume is not None and self._resumed else 0

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
    def private(self) -> bool:
        return self._here.sensitive and not self._parting

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
        node = self._here
        digits = [function.digits for function in node.functions if function.digits]
        if any(wanted != keys and wanted.startswith(keys) for wanted in digits):
            return False  # the beginning of a longer one
        if keys in digits or node.capture is None or node.capture.kind != "digits":
            return True
        return keys.endswith("#") or len(keys) == node.capture.length

    @property
    def _here(self) -> Node:
        return self._flow.nodes[self._node]

    def _same_again(self) -> list[Reply]:
        """Where it stood: the same question, not a new one."""
        reprompts = self._reprompts
        replies = self._enter(self._node)
        self._reprompts = reprompts
        return replies

    def _come_back(self, ending: TransferEnding) -> list[Reply]:
        """No human could be had: why is an answer, and the flow goes on where it says."""
        self._answers[TRANSFER_RESULT] = ending.value
        policy = self._transfer
        sorry = [Say(self._filled(policy.failed_say), interruptible=False)] if policy is not None else []
        step = policy.next_step(ending) if policy is not None else "return"
        self._parting = step != "return"
        if policy is not None and step == "callback":
            promise = Say(self._filled(policy.callback_say), interruptible=False)
            return [*sorry, promise, Finish(Ending.REACHED_END, "callback", callback=policy.callback_after)]
        if policy is not None and step == "voicemail":
            if self._resumed and VOICEMAIL in self._answers:  # interrupted when it had been left
                return self._thank(policy)
            return [*sorry, *self._ask_for_message(policy)]
        action = self._here.then
        if not isinstance(action, TransferToAgent):
            return [*sorry, *self._same_again()]
        if action.failed is not None:
            return [*sorry, *self._go(action.failed)]
        return [*sorry, Say(GOODBYE, interruptible=False), Finish(Ending.REACHED_END, "not_transferred")]

    def _ask_for_message(self, policy: TransferPolicy) -> list[Reply]:
        text = policy.voicemail_again_say if self._messages_asked else policy.voicemail_say
        self._messages_asked += 1
        # Not interruptible: what is said into it would be missing in the message.
        return [
            Say(self._filled(text), interruptible=False),
            TakeMessage(pause_s=policy.voicemail_pause_s, longest_s=policy.voicemail_longest_s),
        ]

    def _message_left(self, policy: TransferPolicy, turn: CallerTurn) -> list[Reply]:
        """The message is an answer; who says nothing is asked once more."""
        if isinstance(turn, Heard):
            self._answers[VOICEMAIL] = turn.text
            return self._thank(policy)
        if self._messages_asked < MOST_MESSAGES_ASKED:
            return self._ask_for_message(policy)
        return [Say(GOODBYE, interruptible=False), Finish(Ending.REACHED_END, "not_transferred")]

    def _thank(self, policy: TransferPolicy) -> list[Reply]:
        thanks = Say(self._filled(policy.voicemail_thanks), interruptible=False)
        return [thanks, Finish(Ending.REACHED_END, VOICEMAIL)]

    def _decide(self, turn: CallerTurn) -> list[Reply]:
        if self._parting and self._transfer is not None:
            return self._message_left(self._transfer, turn)
        match turn:
            case Heard(text, interrupting):
                return self._heard(text, interrupting=interrupting)
            case Pressed(keys):
                return self._pressed(keys)
            case Silence():
                return self._not_understood(Ending.NO_INPUT)

    def _heard(self, text: str, *, interrupting: bool) -> list[Reply]:
        node = self._here
        function = choose_function(text, node.functions, whole=node.capture is not None)
        if function is None and (digits := only_digits(text)) is not None:
            function = next((f for f in node.functions if f.digits == digits), None)
        if function is not None:
            return self._take(function)
        if node.capture is None:
            if interrupting and self._interruptions < MOST_INTERRUPTIONS:
                self._interruptions += 1
                return [Say(self._filled(node.say))]
            return self._not_understood(Ending.REACHED_END)
        if node.capture.kind == "words":
            return self._captured(node.capture, text.strip().rstrip(".,;"))
        self._partial += spoken_digits(text)
        return self._dictated_so_far(node.capture)

    def _pressed(self, keys: str) -> list[Reply]:
        node = self._here
        function = next((f for f in node.functions if f.digits == keys), None)
        if function is not None:
            return self._take(function)
        if node.capture is None or node.capture.kind != "digits":
            return self._not_understood(Ending.REACHED_END)
        pressed = keys.rstrip("#")
        self._partial += pressed if pressed.isdigit() else ""
        return self._dictated_so_far(node.capture, complete=keys.endswith("#"))

    def _dictated_so_far(self, capture: Capture, *, complete: bool = False) -> list[Reply]:
        """A number that is too short may be going on after a breath: wait for the rest."""
        count = len(self._partial)
        wanted = capture.length
        if count and (wanted is None or count == wanted):
            return self._captured(capture, self._partial)
        if wanted is not None and 0 < count < wanted and not complete:
            return []
        return self._not_understood(Ending.REACHED_END)

    def _captured(self, capture: Capture, value: str) -> list[Reply]:
        self._answers[capture.name] = masked(value) if self.private else value
        return self._go(capture.go)

    def _take(self, function: Function) -> list[Reply]:
        self._answers.update(function.answers)
        return self._go(function.go)

    def _target(self, way: Way) -> str:
        return way_on(way, {**self._variables, **self._answers})

    def _go(self, way: Way) -> list[Reply]:
        return self._enter(self._target(way))

    def _enter(self, name: str) -> list[Reply]:
        """Go to a node, and on from it as far as no answer is needed."""
        replies: list[Reply] = []
        self._reprompts = self._interruptions = 0
        self._partial = ""
        for _ in range(MOST_NODES_A_TURN):
            self._node = name
            node = self._here
            text = self._filled(node.say)
            if node.then is not None:
                return [*replies, Say(text, interruptible=False), self._act(node.then)]
            replies.append(Say(text))
            if node.go is None:
                return replies
            name = self._target(node.go)
        return [*replies, *self._goodbye(Ending.REACHED_END)]

    async def _say(self, replies: list[Reply]) -> AsyncIterator[Reply]:
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
        self._partial = ""
        if self._reprompts < node.max_reprompts:
            self._reprompts += 1
            return [Say(self._filled(node.reprompts[min(self._reprompts, len(node.reprompts)) - 1]))]
        if node.otherwise is not None:
            return self._go(node.otherwise)
        return self._goodbye(ending)

    def _goodbye(self, ending: Ending) -> list[Reply]:
        return [Say(self._filled(self._flow.goodbye), interruptible=False), Finish(ending)]

    def _filled(self, text: str) -> str:
        """With the lead's variables and the answers; dictated numbers are read back digit by digit."""
        spoken = {}
        for name, value in self._answers.items():
            shown = shown_part(value) if name in self._sensitive else value
            spoken[name] = " ".join(shown) if name in self._dictated else shown
        return fill(text, {**self._variables, **spoken})

    def _act(self, action: Action) -> Reply:
        match action:
            case EndConversation():
                return Finish(Ending.REACHED_END, action.result)
            case ScheduleCallback():
                return Finish(Ending.REACHED_END, action.result, callback=self._promised(action))
            case DoNotCall():
                return Finish(Ending.REACHED_END, action.result, do_not_call=True)
            case TransferToAgent():
                return HandOver(self._filled(action.reason))
            case CollectDigits() | HttpRequest():
                raise AssertionError("these are no end")

    def _promised(self, action: ScheduleCallback) -> Callback:
        """The time that the caller said, as far as it was understood, or that of the flow."""
        said = spoken_time(self._answers.get(action.said, "")) if action.said is not None else None
        return said or action.callback
