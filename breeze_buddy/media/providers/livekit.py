"""LiveKit's plugins for recognition and speech, outside their framework (the extra `livekit`, and the plugin itself).

Their language models are adapted in `media/llm/livekit_model.py`. Recognisers and voices take and give PCM, so the
sound is brought from and to the telephone's. Plugins register themselves on the main thread when they are imported,
which takes seconds: `import_plugins` is called before the server listens.
"""

import asyncio
import importlib
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Any

from breeze_buddy.domain.providers import DialogueModel, TranscriberChoice, VoiceChoice
from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import EngineUnavailable, SpokenChunk, Transcript
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failures import ProviderFailed
from breeze_buddy.media.providers.spoken_words import SpokenWords

QUIET_S = 0.4
"""After the end of a turn and a final result, another one is waited for so long."""
LAST_RESULT_S = 3.0


def import_plugins(names: Iterable[str]) -> None:
    """On the main thread. Raises EngineUnavailable, which says what to install."""
    for name in sorted(names):
        try:
            importlib.import_module(f"livekit.plugins.{name}")
        except ImportError as error:
            package = f"livekit-plugins-{name.replace('_', '-')}"
            raise EngineUnavailable(
                f"LIVEKIT_PLUGINS names {name}, which is not installed ({error}); install it with: "
                f"pip install 'breeze-buddy[livekit]' {package}"
            ) from error


def make(
    kind: str,
    choice: TranscriberChoice | VoiceChoice | DialogueModel,
    connections: Connections,
    more: Mapping[str, Any] | None = None,
) -> Any:
    """The plugin's `STT`, `TTS` or `LLM`, made with what it knows of the choice, and of `more`."""
    made = getattr(importlib.import_module(f"livekit.plugins.{choice.plugin}"), kind)
    wanted: dict[str, Any] = {
        "http_session": connections.http,
        "sample_rate": mulaw.SAMPLE_RATE_HZ,
        "model": choice.model,
        **(more or {}),
    }
    if isinstance(choice, VoiceChoice):
        wanted |= {"voice": choice.voice, "speed": choice.speed if choice.speed != 1.0 else None}
    elif isinstance(choice, TranscriberChoice):
        wanted["language"] = choice.language
    known = inspect.signature(made).parameters
    given = {name: value for name, value in wanted.items() if value is not None and name in known}
    return made(**given, **choice.options)


class LivekitTranscriber:
    """Shared by all calls; `stt` is a plugin's. One that cannot stream hears whole turns."""

    def __init__(self, stt: Any) -> None:
        self._stt = stt
        self._name = f"livekit {type(stt).__module__.split('.')[2]}"
        self._api_error: type[Exception] = importlib.import_module("livekit.agents").APIError

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        try:
            if not self._stt.capabilities.streaming:
                audio = b"".join([piece async for piece in turn])
                event = await self._stt.recognize(_frame(mulaw.to_pcm(audio)))
                if event.alternatives and event.alternatives[0].text.strip():
                    yield Transcript(event.alternatives[0].text.strip())
                return
            async for transcript in self._streamed(turn):
                yield transcript
        except self._api_error as error:
            raise ProviderFailed(self._name, str(error)) from error

    async def close(self) -> None:
        await self._stt.aclose()

    async def _streamed(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        stream = self._stt.stream()
        over = asyncio.Event()

        async def feed() -> None:
            async for piece in turn:
                stream.push_frame(_frame(mulaw.to_pcm(piece)))
            stream.flush()
            over.set()

        feeding = asyncio.create_task(feed())
        event: asyncio.Future[Any] | None = None
        final = False
        try:
            while True:
                event = event or asyncio.ensure_future(anext(stream, None))
                waiting = [event] if over.is_set() else [event, asyncio.ensure_future(over.wait())]
                limit_s = (QUIET_S if final else LAST_RESULT_S) if over.is_set() else None
                done, _ = await asyncio.wait(waiting, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
                for other in waiting[1:]:
                    other.cancel()
                if event not in done:
                    if not done and over.is_set():
                        if not final:
                            raise ProviderFailed(self._name, f"no result within {LAST_RESULT_S} s of the turn's end")
                        return
                    continue
                news, event = event.result(), None
                if news is None:
                    return
                text = news.alternatives[0].text.strip() if news.alternatives else ""
                if news.type in {"final_transcript", "interim_transcript"} and text:
                    final = news.type == "final_transcript"
                    yield Transcript(text, final=final)
        finally:
            feeding.cancel()
            if event is not None:
                event.cancel()
            await stream.aclose()


class LivekitSpeaker:
    """Shared by all calls; `tts` is a plugin's."""

    def __init__(self, tts: Any) -> None:
        self._tts = tts
        self._name = f"livekit {type(tts).__module__.split('.')[2]}"
        self._api_error: type[Exception] = importlib.import_module("livekit.agents").APIError

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        rtc = importlib.import_module("livekit.rtc")
        words = SpokenWords(text, speed=voice.speed)
        resampler = None
        try:
            async with self._tts.synthesize(text) as stream:
                async for piece in stream:
                    frames = [piece.frame]
                    if piece.frame.sample_rate != mulaw.SAMPLE_RATE_HZ:
                        resampler = resampler or rtc.AudioResampler(piece.frame.sample_rate, mulaw.SAMPLE_RATE_HZ)
                        frames = resampler.push(piece.frame)
                    for frame in frames:
                        if chunk := words.add(mulaw.from_pcm(bytes(frame.data))):
                            yield chunk
        except self._api_error as error:
            raise ProviderFailed(self._name, str(error)) from error
        for frame in resampler.flush() if resampler is not None else ():
            if chunk := words.add(mulaw.from_pcm(bytes(frame.data))):
                yield chunk
        if words.silent:
            raise ProviderFailed(self._name, "an answer without sound")
        if chunk := words.finish():
            yield chunk

    async def close(self) -> None:
        await self._tts.aclose()


def _frame(pcm: bytes) -> Any:
    rtc = importlib.import_module("livekit.rtc")
    return rtc.AudioFrame(pcm, mulaw.SAMPLE_RATE_HZ, 1, len(pcm) // 2)
