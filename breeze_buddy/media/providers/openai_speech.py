"""Speech by OpenAI's interface, or one like it (`/audio/speech`): PCM at 24 kHz, brought to the telephone's 8 kHz."""

from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import soxr

from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import SpokenChunk
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failures import ProviderFailed, refused
from breeze_buddy.media.providers.spoken_words import SpokenWords

NAME = "openai speech"
ADDRESS = "https://api.openai.com/v1"
MODEL = "gpt-4o-mini-tts"
VOICE = "alloy"
RATE_HZ = 24_000


class OpenAiSpeaker:
    """Shared by all calls. The interface tells no times: which words are in a piece of sound is guessed."""

    def __init__(self, connections: Connections, *, key: str | None, address: str | None = None) -> None:
        self._connections = connections
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = f"{(address or ADDRESS).rstrip('/')}/audio/speech"

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        words = SpokenWords(text, speed=voice.speed)
        to_telephone = _Telephone()
        body = {
            "model": voice.model or MODEL,
            "voice": voice.voice or VOICE,
            "input": text,
            "response_format": "pcm",
            "speed": voice.speed,
        }
        try:
            async with self._connections.http.post(self._url, headers=self._headers, json=body) as response:
                if response.status != 200:
                    raise refused(NAME, response.status, await response.text(), key="OPENAI_API_KEY")
                if "json" in response.content_type or "html" in response.content_type:
                    raise ProviderFailed(NAME, f"an answer of type {response.content_type} instead of sound")
                async for pcm in response.content.iter_any():
                    if chunk := words.add(to_telephone.take(pcm)):
                        yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderFailed(NAME, f"the connection failed ({error or type(error).__name__})") from error
        if chunk := words.add(to_telephone.take(b"", last=True)):
            yield chunk
        if words.silent:
            raise ProviderFailed(NAME, "an answer without sound")
        if chunk := words.finish():
            yield chunk


class _Telephone:
    """24 kHz, 16 bit, in pieces of any length, to µ-law at 8 kHz."""

    def __init__(self) -> None:
        self._resampler = soxr.ResampleStream(RATE_HZ, mulaw.SAMPLE_RATE_HZ, 1, dtype="int16")
        self._half = b""  # of a sample

    def take(self, pcm: bytes, *, last: bool = False) -> bytes:
        pcm = self._half + pcm
        whole = len(pcm) - len(pcm) % 2
        self._half = pcm[whole:]
        samples = self._resampler.resample_chunk(np.frombuffer(pcm[:whole], "<i2"), last=last)
        return mulaw.from_pcm(samples.astype("<i2").tobytes())
