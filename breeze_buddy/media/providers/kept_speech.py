"""What a provider has said once is kept: an agent says the same sentences in every call, and the next time they
are there at once and cost nothing."""

from collections import OrderedDict
from collections.abc import AsyncIterator

from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.media.engines import Speaker, SpokenChunk, closing

MOST_KEPT_BYTES = 16 * 1024 * 1024
"""Half an hour of speech, in the whole process."""

_Key = tuple[str, str, str | None, str | None, float]


class KeptSpeech:
    """Shared by all calls, for any number of speakers. Only what was spoken to its end is kept."""

    def __init__(self, *, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._kept: OrderedDict[_Key, tuple[SpokenChunk, ...]] = OrderedDict()
        self._bytes = 0
        self._most_bytes = most_bytes

    def of(self, speaker: Speaker) -> "KeepingSpeaker":
        return KeepingSpeaker(self, speaker)

    def get(self, key: _Key) -> tuple[SpokenChunk, ...] | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: _Key, chunks: tuple[SpokenChunk, ...]) -> None:
        if key in self._kept:
            return
        self._kept[key] = chunks
        self._bytes += _size(chunks)
        while self._bytes > self._most_bytes:
            self._bytes -= _size(self._kept.popitem(last=False)[1])


class KeepingSpeaker:
    """A speaker whose sentences are kept."""

    def __init__(self, kept: KeptSpeech, speaker: Speaker) -> None:
        self._kept = kept
        self._speaker = speaker

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        key = (text, voice.engine, voice.voice, voice.model, voice.speed)
        if (known := self._kept.get(key)) is not None:
            for chunk in known:
                yield chunk
            return
        spoken: list[SpokenChunk] = []
        async with closing(self._speaker.speak(text, voice)) as chunks:
            async for chunk in chunks:
                spoken.append(chunk)
                yield chunk
        self._kept.keep(key, tuple(spoken))


def _size(chunks: tuple[SpokenChunk, ...]) -> int:
    return sum(len(chunk.audio) for chunk in chunks)
