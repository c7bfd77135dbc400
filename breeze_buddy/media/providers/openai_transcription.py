"""Recognition by OpenAI's interface, or one like it (`/audio/transcriptions`): whole utterances, after their end."""

import io
import wave
from collections.abc import AsyncIterable, AsyncIterator

import aiohttp
import msgspec

from breeze_buddy.domain.providers import TranscriberChoice
from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import Transcript
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failures import ProviderFailed, refused

NAME = "openai transcription"
ADDRESS = "https://api.openai.com/v1"
MODEL = "gpt-4o-mini-transcribe"
ANSWER_S = 4.0
SHORTEST_S = 0.1


class _Answer(msgspec.Struct):
    text: str


_answer = msgspec.json.Decoder(_Answer)


class OpenAiTranscriber:
    """Shared by all calls that choose the same model, language and keywords."""

    def __init__(
        self, connections: Connections, *, key: str | None, address: str | None = None, choice: TranscriberChoice
    ) -> None:
        self._connections = connections
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = f"{(address or ADDRESS).rstrip('/')}/audio/transcriptions"
        self._fields = {"model": choice.model or MODEL, "response_format": "json"}
        if choice.language != "multi":
            self._fields["language"] = choice.language.partition("-")[0]
        if choice.keywords:
            self._fields["prompt"] = ", ".join(choice.keywords)

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        """One final transcript; none for an utterance without words."""
        audio = b"".join([piece async for piece in turn])
        if mulaw.duration_s(audio) < SHORTEST_S:
            return
        form = aiohttp.FormData(self._fields)
        form.add_field("file", _wav(audio), filename="turn.wav", content_type="audio/wav")
        try:
            async with self._connections.http.post(
                self._url, headers=self._headers, data=form, timeout=aiohttp.ClientTimeout(total=ANSWER_S)
            ) as response:
                body = await response.read()
                if response.status != 200:
                    raise refused(NAME, response.status, body.decode(errors="replace"), key="OPENAI_API_KEY")
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderFailed(NAME, f"the connection failed ({error or type(error).__name__})") from error
        try:
            text = _answer.decode(body).text.strip()
        except msgspec.DecodeError as error:
            raise ProviderFailed(NAME, f"an answer that is no transcript: {error}") from error
        if text:
            yield Transcript(text)


def _wav(audio: bytes) -> bytes:
    """µ-law as a WAV file that everybody reads."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(mulaw.SAMPLE_RATE_HZ)
        writer.writeframes(mulaw.to_pcm(audio))
    return file.getvalue()
