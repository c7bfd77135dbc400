"""The conversation of a call whose model hears and speaks by itself, on the flow."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

from breeze_buddy.domain.conversation import Utterance
from breeze_buddy.domain.flow import NotAValue
from breeze_buddy.domain.providers import Realtime
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import CallerTurn, Heard, Privacy, Reply, Say, closing
from breeze_buddy.media.llm.fronted_flow import FrontedFlow
from breeze_buddy.media.providers.failures import ProviderFailed
from breeze_buddy.media.realtime.call import LiveText, Pending, RealtimeCall
from breeze_buddy.media.realtime.heard_words import Spoken
from breeze_buddy.media.realtime.link import FunctionCall, Link, Response

log = logging.getLogger(__name__)

MOST_CALLS_A_TURN = 3


class RealtimeDialogue:
    """Makes the one conversation of its call."""

    def __init__(self, engine: RealtimeCall, realtime: Realtime) -> None:
        self._engine = engine
        self._realtime = realtime

    def converse(self, call: StreamCall, privacy: Privacy) -> "RealtimeConversation":
        return RealtimeConversation(self._engine, self._realtime, call, privacy)


class RealtimeConversation(FrontedFlow):
    """The scripted conversation with the model before it; what the model fails at, the script does."""

    def __init__(self, engine: RealtimeCall, realtime: Realtime, call: StreamCall, privacy: Privacy) -> None:
        self._engine = engine
        self._realtime = realtime
        super().__init__(engine.begin(call, privacy))
        self._call_id = call.call_id
        self._stood_at = self._flow.node
        self._turns_here = 0
        self._response: Response | None = None  # the first one to the latest turn

    @property
    def first_token_s(self) -> float | None:
        return self._response.first_token_s if self._response is not None else None

    def come_back(self, ending: TransferEnding) -> AsyncIterator[Reply]:
        return self._by_script(self._flow.come_back(ending))

    def overhear(self, utterance: Utterance) -> None:
        self._engine.overhear(utterance)

    def answer(self, turn: CallerTurn) -> AsyncIterator[Reply]:
        self._response = None
        if self._flow.node != self._stood_at:
            self._stood_at, self._turns_here = self._flow.node, 0
        if not isinstance(turn, Heard) or not self._flow.waits or self._flow.understands(turn.text):
            return self._by_script(self._flow.answer(turn))
        self._turns_here += 1
        if self._turns_here > self._realtime.max_turns:
            self._turns_here = 0
            return self._by_script(self._flow.give_up())
        return self._answer(turn)

    async def _by_script(self, replies: AsyncIterator[Reply]) -> AsyncIterator[Reply]:
        await self._engine.drop_pending()
        async with closing(replies):
            async for reply in replies:
                yield reply

    async def _answer(self, turn: Heard) -> AsyncIterator[Reply]:
        pending, self._engine.pending = self._engine.pending, None
        spoke = False
        try:
            async with closing(self._by_model(turn, pending)) as replies:
                async for reply in replies:
                    spoke = True
                    yield reply
        except (ProviderFailed, TimeoutError) as error:
            log.warning("call %s: the scripted line: %s", self._call_id, error or "no sound in time")
            async for reply in self._flow.ask_again() if spoke else self._flow.answer(turn):
                yield reply

    async def _by_model(self, turn: Heard, pending: Pending | None) -> AsyncIterator[Reply]:
        link = await self._engine.linked()
        await self._engine.cut(link)
        await self._engine.tell(link)
        response = pending.response if pending is not None and pending.link is link else None
        if pending is None or pending.link is not link:  # somebody else understood the turn
            await link.add_message(agent=False, text=self._flow.private_values.hide(turn.text))
        if response is None:
            response = await self._engine.ask(link)
        self._response = response
        for _ in range(MOST_CALLS_A_TURN):
            async with closing(self._said(link, response)) as replies:
                async for reply in replies:
                    yield reply
            if not response.calls:
                if not response.has_sound:
                    raise ProviderFailed("openai realtime", "a response without sound")
                return
            call, *others = response.calls
            for other in others:
                await link.add_result(other, "Not taken. One call at a time.")
            try:
                following = self._flow.call(call.name, call.arguments)
            except NotAValue as error:
                await link.add_result(call, f"Not taken. {error}")
                response = await self._engine.ask(link)
                continue
            async with closing(self._worded(link, call, following)) as replies:
                async for reply in replies:
                    yield reply
            return
        raise ProviderFailed("openai realtime", f"{MOST_CALLS_A_TURN} calls that could not be taken")

    async def _said(self, link: Link, response: Response) -> AsyncIterator[Reply]:
        """Its sound, as one reply; it is over after that. Raises ProviderFailed, TimeoutError."""
        try:
            async with asyncio.timeout(self._realtime.timeout_s):
                await response.begun.wait()
            if response.has_sound:
                yield replace(self._flow.saying(""), text=LiveText.of(Spoken(response)))
            async with asyncio.timeout(self._realtime.timeout_s):
                await response.over.wait()
            if response.error is not None:
                raise response.error
        finally:
            if not response.over.is_set() and not link.failed:
                await link.cancel(response)

    async def _worded(self, link: Link, call: FunctionCall, replies: AsyncIterator[Reply]) -> AsyncIterator[Reply]:
        """What the flow says now; with free wording its next question in the model's words."""
        if self._realtime.wording == "exact":
            await link.add_result(call, "Done. What follows from it is being said to the caller.")
            async with closing(replies):
                async for reply in replies:
                    yield reply
            return
        last: Reply | None = None
        async with closing(replies):
            async for reply in replies:
                if last is not None:
                    yield last
                last = reply
        private = self._flow.private_values
        if not isinstance(last, Say) or not last.text or not self._flow.waits or private.are_in(last.text):
            await link.add_result(call, "Done.")
            if last is not None:
                yield last
            return
        await link.add_result(
            call, f'Done. Now put this into your own words, for this caller, with all that it says: "{last.text}"'
        )
        response = await self._engine.ask(link, may_call=False)
        said = False
        try:
            async with closing(self._said(link, response)) as spoken:
                async for reply in spoken:
                    said = True
                    yield reply
        except (ProviderFailed, TimeoutError) as error:
            log.warning("call %s: the question as it is written: %s", self._call_id, error or "no sound in time")
            said = False
        if not said:
            yield last
