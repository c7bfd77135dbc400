"""The engine of one call: it hears, decides by the flow, and speaks, over one connection.

The response to a turn is asked for as soon as the turn is over, and its sound comes while the turn is still being
transcribed; the transcript says whether there were words at all. Only when the agent was interrupted is the transcript
waited for: by then it is known what was heard of the agent, which is all that the model is to know.

Lines of the flow are spoken by the same voice, beside the model's own conversation, and are kept; those with a value
that no model is told, by the voice behind. Turns in which nothing may be kept go to the transcriber behind, as do those
for which there is no connection; the flow's script answers them.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from breeze_buddy.domain.conversation import Utterance
from breeze_buddy.domain.flow import fill
from breeze_buddy.domain.providers import Realtime, VoiceChoice
from breeze_buddy.media import mulaw
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import Privacy, Speaker, SpokenChunk, Transcriber, Transcript, closing
from breeze_buddy.media.llm import prompt
from breeze_buddy.media.llm.guided_flow import GuidedDialogue, GuidedFlow
from breeze_buddy.media.phrases import normal_words
from breeze_buddy.media.providers.failures import ProviderFailed
from breeze_buddy.media.providers.kept_speech import KeptSpeech
from breeze_buddy.media.providers.spoken_words import LETTERS_A_SECOND, PIECE_S, SpokenWords
from breeze_buddy.media.providers.turn_tape import TurnTape
from breeze_buddy.media.realtime.heard_words import HeardWords, Spoken
from breeze_buddy.media.realtime.link import Link, Response

log = logging.getLogger(__name__)

TRANSCRIPT_S = 3.0
REST_S = 10.0
"""After a connection could not be had, another is not tried for so long."""
HISTORY_TOKENS = 4000
_EXACTLY = "Say exactly the following to the caller, word for word, and nothing before or after it:\n\n"


class LiveText(str):
    """Stands for what a response says, which nobody knows yet."""

    spoken: Spoken

    @classmethod
    def of(cls, spoken: Spoken) -> "LiveText":
        made = cls("…")
        made.spoken = spoken
        return made


@dataclass(slots=True)
class Pending:
    """A turn that the model has heard, and perhaps is answering already."""

    link: Link
    response: Response | None


class RealtimeCall:
    """A transcriber and a speaker, and what the conversation needs. `open_link` raises ProviderFailed.

    `transcriber` and `speaker` are those behind it.
    """

    def __init__(
        self,
        realtime: Realtime,
        *,
        open_link: Callable[[], Awaitable[Link]],
        flows: GuidedDialogue,
        transcriber: Transcriber,
        speaker: Speaker,
        kept: KeptSpeech,
    ) -> None:
        self._realtime = realtime
        self._open_link = open_link
        self._flows = flows
        self._behind = transcriber
        self._voice_behind = speaker
        self._kept = kept
        self._link: Link | None = None
        self._linking = asyncio.Lock()
        self._rest_until_s = float("-inf")
        self._early: asyncio.Task[None] | None = None
        self._heard: list[Utterance] = []
        self._words = HeardWords()
        self._untold: list[str] = []  # what the agent said beside the model's conversation
        self._half_a_turn = False
        self.pending: Pending | None = None
        self.flow: GuidedFlow

    def begin(self, call: StreamCall, privacy: Privacy) -> GuidedFlow:
        """The call is there: connect while the greeting is on its way."""
        self.flow = self._flows.converse(call, privacy)
        self._heard = list(call.resume.transcript) if call.resume is not None else []
        self._early = asyncio.create_task(self._connect_early())
        return self.flow

    async def release(self) -> None:
        """The call is over."""
        if self._early is not None:
            self._early.cancel()
        if self._link is not None:
            await self._link.close()

    # --- the connection ----------------------------------------------------------------------------------------

    async def linked(self) -> Link:
        """The connection; a new one, which knows what was said, if that has failed. Raises ProviderFailed."""
        async with self._linking:
            if self._link is not None and not self._link.failed:
                return self._link
            if time.monotonic() < self._rest_until_s:
                raise ProviderFailed("openai realtime", "there was no connection a moment ago")
            try:
                link = await self._open_link()
                await link.update(self._session())
                for message in prompt.heard(self.flow.private_values.hide_all(self._heard), most_tokens=HISTORY_TOKENS):
                    await link.add_message(agent=message.role == "agent", text=message.text)
            except ProviderFailed:
                self._rest_until_s = time.monotonic() + REST_S
                raise
            self._untold.clear()
            self._words.take_cut()
            self._link = link
            return link

    async def ask(self, link: Link, *, may_call: bool = True) -> Response:
        """The model's response to what it has heard, where the flow stands now."""
        offers = prompt.offers(self.flow.offered, self.flow.asked)
        tools = [
            {"type": "function", "name": one.name, "description": one.description, "parameters": one.parameters}
            for one in offers
        ]
        return await link.respond(
            {
                "instructions": self._instructions(),
                "tools": tools,
                "tool_choice": "auto" if may_call and tools else "none",
                "max_output_tokens": self._realtime.max_tokens,
            }
        )

    async def drop_pending(self) -> None:
        """Nobody wants the response that was asked for early."""
        pending, self.pending = self.pending, None
        if pending is not None and pending.response is not None:
            try:
                await pending.link.cancel(pending.response)
                if pending.response.item_id is not None:
                    await pending.link.delete(pending.response.item_id)
            except ProviderFailed as error:
                log.info("%s", error)

    def overhear(self, utterance: Utterance) -> None:
        """This was heard: by the caller, of the agent; or of the caller."""
        self._heard.append(utterance)
        if utterance.speaker == "agent" and (unknown := self._words.heard(utterance.text)):
            self._untold.append(unknown)

    async def tell(self, link: Link) -> None:
        """Let the model know what was said beside it."""
        untold, self._untold = self._untold, []
        for text in untold:
            await link.add_message(agent=True, text=self.flow.private_values.hide(text, cut=True))

    async def cut(self, link: Link) -> None:
        """What was not heard of its own words, the model is not to have said."""
        for spoken in self._words.take_cut():
            item_id = spoken.response.item_id
            if item_id is None:
                continue
            if spoken.heard:
                await link.truncate(item_id, spoken.heard_ms)
            else:
                await link.delete(item_id)

    async def _connect_early(self) -> None:
        try:
            await self.linked()
        except ProviderFailed as error:
            log.warning("%s", error)

    def _session(self) -> dict[str, Any]:
        transcription = {"model": self._realtime.transcription_model}
        if self._realtime.language is not None:
            transcription["language"] = self._realtime.language
        return {
            "audio": {
                "input": {"transcription": transcription},
                "output": {"voice": self._realtime.voice, "speed": self._realtime.speed},
            },
            "instructions": self._instructions(),
        }

    def _instructions(self) -> str:
        known = self.flow.known
        return prompt.system_text(
            instructions=fill(self._realtime.instructions, known),
            question=self.flow.question,
            known=known,
            now=self.flow.now(),
        )

    # --- Transcriber -------------------------------------------------------------------------------------------

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        async with TurnTape(turn) as tape:
            await self.drop_pending()
            for _ in range(2 if self.flow.waits else 0):
                try:
                    async with closing(self._understood(tape)) as transcripts:
                        async for transcript in transcripts:
                            yield transcript
                    return
                except (ProviderFailed, TimeoutError) as error:
                    log.warning("a turn is heard again: %s", error or "no transcript in time")
                    await self.drop_pending()
            async with closing(self._behind.transcribe(tape.play())) as transcripts:
                async for transcript in transcripts:
                    yield transcript

    async def _understood(self, tape: TurnTape) -> AsyncIterator[Transcript]:
        link = await self.linked()
        if self._half_a_turn:
            await link.send("input_audio_buffer.clear")
        self._half_a_turn = True
        async with closing(tape.play()) as pieces:
            async for piece in pieces:
                await link.append(piece)
        await self.tell(link)
        async with asyncio.timeout(TRANSCRIPT_S):
            item_id = await link.commit()
            self._half_a_turn = False
            early = None if self._words.waiting else await self.ask(link)
            pending = self.pending = Pending(link, early)
            text = await link.transcript(item_id)
        if text:
            yield Transcript(text)
            return
        if self.pending is pending:
            await self.drop_pending()
        await link.delete(item_id)

    # --- Speaker -----------------------------------------------------------------------------------------------

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        """A line of the flow; or what a response says, as it comes. Raises ProviderFailed."""
        if isinstance(text, LiveText):
            chunks = self._live(text.spoken)
        elif self.flow.private_values.are_in(text):
            chunks = self._line_of_another(text, voice)
        else:
            chunks = self._line(text)
        async with closing(chunks):
            async for chunk in chunks:
                yield chunk

    async def _live(self, spoken: Spoken) -> AsyncIterator[SpokenChunk]:
        """A response whose sound has begun. One that breaks off ends: whoever asked for it will see."""
        response = spoken.response
        told = heard_bytes = 0
        waiting = b""
        while True:
            audio = await response.next_sound()
            waiting += audio or b""
            heard_bytes += len(audio or b"")
            if audio is not None and len(waiting) < PIECE_S * mulaw.SAMPLE_RATE_HZ and heard_bytes != len(waiting):
                continue
            # Some sound is kept for the last words.
            whole = len(waiting) if audio is None else (len(waiting) - 1) // mulaw.FRAME_BYTES * mulaw.FRAME_BYTES
            piece, waiting = waiting[:whole], waiting[whole:]
            written = response.words.split()
            letters = int(heard_bytes / mulaw.SAMPLE_RATE_HZ * LETTERS_A_SECOND)
            upto = len(written) if audio is None else min(len(response.words[:letters].split()), len(written) - 1)
            words = written[told:upto]
            told = max(told, upto)
            if piece or words:
                spoken.add(len(words), round(mulaw.duration_s(piece) * 1000))
                self._words.handed_over(spoken, len(words))
                yield SpokenChunk(" ".join(words), piece)
            if audio is None:
                return

    async def _line_of_another(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        """A line that the model is not told."""
        async with closing(self._voice_behind.speak(text, voice)) as chunks:
            async for chunk in chunks:
                self._words.handed_over(None, len(chunk.text.split()))
                yield chunk

    async def _line(self, text: str) -> AsyncIterator[SpokenChunk]:
        """Beside the conversation, so that nothing but what was heard of it gets there."""
        key = (text, "realtime", self._realtime.voice, self._realtime.model, self._realtime.speed)
        if (known := self._kept.get(key)) is not None:
            for one in known:
                self._words.handed_over(None, len(one.text.split()))
                yield one
            return
        link = await self.linked()
        response = await link.respond(
            {"conversation": "none", "input": [], "instructions": _EXACTLY + text, "tools": [], "tool_choice": "none"}
        )
        words = SpokenWords(text, speed=self._realtime.speed)
        spoken: list[SpokenChunk] = []
        try:
            while (audio := await response.next_sound()) is not None:
                if chunk := words.add(audio):
                    self._words.handed_over(None, len(chunk.text.split()))
                    spoken.append(chunk)
                    yield chunk
            if response.error is not None or words.silent:
                raise response.error or ProviderFailed("openai realtime", "a line without sound")
            if chunk := words.finish():
                self._words.handed_over(None, len(chunk.text.split()))
                spoken.append(chunk)
                yield chunk
            if normal_words(response.words) == normal_words(text):
                self._kept.keep(key, tuple(spoken))
            else:
                log.info("the model said %r instead of %r", response.words, text)
        finally:
            if not response.over.is_set() and not link.failed:
                await link.cancel(response)
