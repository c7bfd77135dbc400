"""A conversation in which a language model chooses by meaning, and finds words where the flow has none.

The flow itself is run by the scripted engine, which also answers what needs no model: keys, silence, what may be kept
nowhere, hand-overs and messages, a phrase of the flow as it stands there, a number dictated; and what no model
answered in time. The model's history is the transcript, so it knows what the caller heard, and of a sentence that was
interrupted only the beginning.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from breeze_buddy.domain.conversation import Utterance
from breeze_buddy.domain.flow import NotAValue, fill
from breeze_buddy.domain.providers import Llm
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import CallerTurn, Heard, Privacy, Reply, Say, closing
from breeze_buddy.media.llm import prompt
from breeze_buddy.media.llm.answering import Answering, ModelFailed, Slow
from breeze_buddy.media.llm.fronted_flow import FrontedFlow
from breeze_buddy.media.llm.guided_flow import GuidedDialogue, GuidedFlow
from breeze_buddy.media.llm.model import Call, Message, Model, Request, Usage, Words
from breeze_buddy.media.llm.sentences import Sentences
from breeze_buddy.media.providers.failover import Candidate

log = logging.getLogger(__name__)

MOST_CALLS_A_TURN = 3
"""A call with arguments that are none is explained to the model; then the scripted engine decides."""


@dataclass(frozen=True, slots=True)
class _Filler(Say):
    """Words that say nothing but that others will come."""


class LlmDialogue:
    """Makes a conversation for each call. `models` are asked in their order."""

    def __init__(
        self,
        flows: GuidedDialogue,
        models: Sequence[Candidate[Model]],
        llm: Llm,
    ) -> None:
        self._flows = flows
        self._answering = Answering(models, timeout_s=llm.timeout_s, filler_after_s=llm.filler_after_s)
        self._llm = llm

    def converse(self, call: StreamCall, privacy: Privacy) -> "LlmConversation":
        flow = self._flows.converse(call, privacy)
        return LlmConversation(flow, call, self._answering, self._llm)


class LlmConversation(FrontedFlow):
    """The scripted conversation with a model before it."""

    def __init__(
        self,
        flow: GuidedFlow,
        call: StreamCall,
        answering: Answering,
        llm: Llm,
    ) -> None:
        super().__init__(flow)
        self._answering = answering
        self._llm = llm
        self._call_id = call.call_id
        self._instructions = llm.instructions
        self._heard: list[Utterance] = list(call.resume.transcript) if call.resume is not None else []
        self._tokens = prompt.about_tokens(one.text for one in self._heard)
        self._stood_at = flow.node
        self._turns_here = 0
        self._first_token_s: float | None = None

    @property
    def first_token_s(self) -> float | None:
        return self._first_token_s

    def come_back(self, ending: TransferEnding) -> AsyncIterator[Reply]:
        return self._flow.come_back(ending)

    def overhear(self, utterance: Utterance) -> None:
        """This was heard: by the caller, of the agent; or of the caller."""
        self._heard.append(utterance)

    # --- a turn ------------------------------------------------------------------------------------------------

    def answer(self, turn: CallerTurn) -> AsyncIterator[Reply]:
        self._first_token_s = None
        if not isinstance(turn, Heard) or not self._needs_a_model(turn.text):
            return self._flow.answer(turn)
        return self._answer(turn)

    def _needs_a_model(self, text: str) -> bool:
        flow = self._flow
        if not flow.waits or self._tokens >= self._llm.max_call_tokens:
            return False
        return not flow.understands(text)

    async def _answer(self, turn: Heard) -> AsyncIterator[Reply]:
        if self._flow.node != self._stood_at:
            self._stood_at, self._turns_here = self._flow.node, 0
        self._turns_here += 1
        if self._turns_here > self._llm.max_turns:
            self._turns_here = 0
            async for reply in self._flow.give_up():
                yield reply
            return
        spoke = False
        try:
            async with closing(self._by_model(turn)) as replies:
                async for reply in replies:
                    spoke = spoke or not isinstance(reply, _Filler)
                    yield reply
        except ModelFailed as error:
            log.warning("call %s: the scripted line, for no model answered: %s", self._call_id, error)
            # Words that broke off are followed by the question; what was not answered at all, by the script.
            async for reply in self._flow.ask_again() if spoke else self._flow.answer(turn):
                yield reply

    async def _by_model(self, turn: Heard) -> AsyncIterator[Reply]:
        """What the model says, and what follows from its call. Raises ModelFailed."""
        messages = self._messages(turn)
        for _ in range(MOST_CALLS_A_TURN):
            spoken: list[str] = []
            call = None
            request = Request(
                messages,
                prompt.offers(self._flow.offered, self._flow.asked),
                max_tokens=self._llm.max_tokens,
                temperature=self._llm.temperature,
                on_first_token=self._note_first_token,
            )
            async with closing(self._spoken(request)) as parts:
                async for part in parts:
                    if isinstance(part, Call):
                        call = call or part  # one at a time: the second one would be taken somewhere else
                        continue
                    if not isinstance(part, _Filler):
                        spoken.append(part.text)
                    yield part
            if call is None:
                if not spoken:
                    raise ModelFailed("a reply without words")
                return
            messages = [*messages, Message("agent", " ".join(spoken), call=call)]
            try:
                replies = self._flow.call(call.name, call.arguments)
            except NotAValue as error:
                messages.append(Message("result", f"Not taken. {error}", answers=call))
                continue
            async with closing(replies):
                async for reply in self._worded(replies, messages, call):
                    yield reply
            return
        raise ModelFailed(f"{MOST_CALLS_A_TURN} calls that could not be taken")

    async def _spoken(self, request: Request) -> AsyncIterator[Say | Call]:
        """The reply as sentences, and its calls. Counts what it costs."""
        sentences = Sentences()
        written = 0
        told: int | None = None
        try:
            async with closing(self._answering.reply(request)) as parts:
                async for part in parts:
                    match part:
                        case Slow() if self._llm.filler:
                            yield _Filler(self._llm.filler, interruptible=False)
                        case Words(text):
                            request.begun()
                            written += len(text)
                            for sentence in sentences.add(text):
                                yield self._flow.saying(sentence)
                        case Call():
                            request.begun()
                            written += len(part.arguments)
                            if rest := sentences.rest():
                                yield self._flow.saying(rest)
                            yield part
                        case Usage(tokens):
                            told = tokens
            if rest := sentences.rest():
                yield self._flow.saying(rest)
        finally:
            asked = prompt.about_tokens(message.text for message in request.messages)
            self._tokens += told if told is not None else asked + written // prompt.LETTERS_A_TOKEN

    async def _worded(
        self, replies: AsyncIterator[Reply], messages: Sequence[Message], call: Call
    ) -> AsyncIterator[Reply]:
        """The flow's replies; with free wording, its next question in the model's words."""
        if self._llm.wording == "exact":
            async for reply in replies:
                yield reply
            return
        last: Reply | None = None
        async for reply in replies:
            if last is not None:
                yield last
            last = reply
        if last is None:
            return
        private = self._flow.private_values
        if not isinstance(last, Say) or not last.text or not self._flow.waits or private.are_in(last.text):
            yield last
            return
        asking = f'Done. Now put this into your own words, for this caller, with all that it says: "{last.text}"'
        request = Request(
            [*messages, Message("result", asking, answers=call)],
            prompt.offers(self._flow.offered, self._flow.asked),
            may_call=False,
            max_tokens=self._llm.max_tokens,
            temperature=self._llm.temperature,
        )
        said = False
        try:
            async with closing(self._spoken(request)) as parts:
                async for part in parts:
                    if isinstance(part, Say):
                        said = said or not isinstance(part, _Filler)
                        yield part
        except ModelFailed as error:
            log.warning("call %s: the question as it is written, for no model worded it: %s", self._call_id, error)
            said = False
        if not said:
            yield last

    def _note_first_token(self) -> None:
        if self._first_token_s is None:
            self._first_token_s = asyncio.get_running_loop().time()

    def _messages(self, turn: Heard) -> list[Message]:
        """The conversation until now, which ends with what the caller said."""
        known, private = self._flow.known, self._flow.private_values
        system = prompt.system_text(
            instructions=fill(self._instructions, known),
            question=self._flow.question,
            known=known,
            now=self._flow.now(),
        )
        history = prompt.heard(private.hide_all(self._heard), most_tokens=self._llm.history_tokens)
        if not history or history[-1].role != "caller":
            history.append(Message("caller", private.hide(turn.text)))
        return [Message("system", system), *history]
