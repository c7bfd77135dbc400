"""Speech by ElevenLabs, as µ-law straight to the wire, with the letters that each piece of sound holds
(`/v1/text-to-speech/{voice}/stream/with-timestamps`, one JSON document a line)."""

from base64 import b64decode
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.media.engines import SpokenChunk
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failures import ProviderFailed, refused
from breeze_buddy.media.providers.spoken_words import SpokenWords

NAME = "elevenlabs"
ADDRESS = "https://api.elevenlabs.io"
MODEL = "eleven_flash_v2_5"
LONGEST_LINE = 4_000_000


class _Alignment(msgspec.Struct):
    characters: list[str] = []


class _Piece(msgspec.Struct):
    audio_base64: str | None = None
    alignment: _Alignment | None = None


_piece = msgspec.json.Decoder(_Piece)


class ElevenLabsSpeaker:
    """Shared by all calls."""

    def __init__(self, connections: Connections, *, key: str, address: str | None = None) -> None:
        self._connections = connections
        self._key = key
        self._address = (address or ADDRESS).rstrip("/")

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        words = SpokenWords(text, speed=voice.speed)
        body: dict[str, object] = {"text": text, "model_id": voice.model or MODEL}
        if voice.speed != 1.0:
            body["voice_settings"] = {"speed": voice.speed}
        try:
            async with self._connections.http.post(
                f"{self._address}/v1/text-to-speech/{voice.voice}/stream/with-timestamps",
                params={"output_format": "ulaw_8000"},
                headers={"xi-api-key": self._key},
                json=body,
            ) as response:
                if response.status != 200:
                    raise refused(NAME, response.status, await response.text(), key="ELEVENLABS_API_KEY")
                async for line in _lines(response):
                    piece = _piece.decode(line)
                    letters = None if piece.alignment is None else sum(map(len, piece.alignment.characters))
                    if chunk := words.add(b64decode(piece.audio_base64 or ""), letters):
                        yield chunk
        except (msgspec.DecodeError, ValueError) as error:
            raise ProviderFailed(NAME, f"a line that is no piece of speech: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderFailed(NAME, f"the connection failed ({error or type(error).__name__})") from error
        if words.silent:
            raise ProviderFailed(NAME, "an answer without sound")
        if chunk := words.finish():
            yield chunk


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length that a piece of speech may have."""
    rest = b""
    async for data in response.content.iter_any():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > LONGEST_LINE:
            raise ProviderFailed(NAME, f"a line of more than {LONGEST_LINE} bytes")
    if rest.strip():
        yield rest
