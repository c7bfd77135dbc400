"""A second provider steps in when the first one fails, in the middle of a turn or of a sentence.

Whoever failed is left alone for a while, in all calls; then it is tried again. Nobody is left out when all have failed.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.media.engines import Speaker, SpokenChunk, Transcriber, Transcript, closing
from breeze_buddy.media.providers.failures import ProviderFailed
from breeze_buddy.media.providers.turn_tape import TurnTape

log = logging.getLogger(__name__)

REST_S = 20.0
CHUNK_S = 3.0
"""A voice that is this late with its next sound has failed."""

_Engine = TypeVar("_Engine")


@dataclass(slots=True)
class Health:
    """Of one provider, shared by all calls."""

    name: str
    rests_until_s: float = float("-inf")

    def failed(self, error: BaseException) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self.rests_until_s:
            log.warning("%s failed, and is left alone for %s s: %s", self.name, REST_S, error or type(error).__name__)
        self.rests_until_s = now_s + REST_S


@dataclass(frozen=True, slots=True)
class Candidate(Generic[_Engine]):
    """An engine, how it fares, and what it is to be told (the voice, of a speaker)."""

    engine: _Engine
    health: Health = field(compare=False)
    voice: VoiceChoice | None = None


def in_order(candidates: Sequence[Candidate[_Engine]]) -> list[Candidate[_Engine]]:
    """Those that rest come last; otherwise as the template names them."""
    now_s = asyncio.get_running_loop().time()
    return sorted(candidates, key=lambda one: one.health.rests_until_s > now_s)


class FailoverTranscriber:
    """`candidates` are asked one after the other, each from the beginning of the turn."""

    def __init__(self, candidates: Sequence[Candidate[Transcriber]]) -> None:
        self._candidates = candidates

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        """The turn as one final transcript: what one understood of it is not mixed with another's words."""
        async with TurnTape(turn) as tape:
            *others, last = in_order(self._candidates)
            for one in others:
                try:
                    async with closing(self._understood(one.engine, tape)) as transcripts:
                        async for transcript in transcripts:
                            yield transcript
                    return
                except (ProviderFailed, TimeoutError) as error:
                    one.health.failed(error)
            async with closing(self._understood(last.engine, tape)) as transcripts:
                async for transcript in transcripts:
                    yield transcript

    async def _understood(self, engine: Transcriber, tape: TurnTape) -> AsyncIterator[Transcript]:
        finals: list[str] = []
        async with closing(engine.transcribe(tape.play())) as transcripts:
            async for transcript in transcripts:
                so_far = " ".join([*finals, transcript.text])
                if transcript.final:
                    finals.append(transcript.text)
                yield Transcript(so_far, final=False)
        if finals:
            yield Transcript(" ".join(finals))


class FailoverSpeaker:
    """`candidates` speak one after the other, each what was not said by those before."""

    def __init__(self, candidates: Sequence[Candidate[Speaker]]) -> None:
        self._candidates = candidates

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        said = 0  # words
        order = in_order(self._candidates)
        for place, one in enumerate(order):
            left = " ".join(text.split()[said:]) if said else text
            if said and not left:  # the last of the sound is missing, and no word of it
                return
            is_last = place == len(order) - 1
            try:
                async with closing(one.engine.speak(left, one.voice or voice)) as chunks:
                    async for chunk in _in_time(chunks, None if is_last else CHUNK_S):
                        yield chunk
                        said += len(chunk.text.split())
                return
            except (ProviderFailed, TimeoutError) as error:
                if is_last:
                    raise
                one.health.failed(error)


async def _in_time(chunks: AsyncIterator[SpokenChunk], limit_s: float | None) -> AsyncIterator[SpokenChunk]:
    """The same, each of them within that time; what the listener does meanwhile does not count."""
    while True:
        async with asyncio.timeout(limit_s):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        yield chunk
