"""OpenAI's `/v1/audio/speech` and `/v1/audio/transcriptions`."""

import io
import wave
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web

LETTER_SAMPLES = 1600
"""At 24 kHz: 66 ms, fifteen letters a second."""


@dataclass
class OpenAiAudio:
    """Speech is a tone of 440 Hz. Transcriptions are `text`, whatever is heard."""

    key: str = "sk-test"
    text: str = "yes please"
    refusals: list[int] = field(default_factory=list)
    drops_after_pieces: int | None = None
    content_type: str = "audio/pcm"
    spoken: list[dict[str, Any]] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    raw_answer: bytes | None = None

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/audio/speech", self._speak)
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        return app

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "Incorrect API key"}}, status=401)
        if self.refusals:
            return web.json_response({"error": {"message": "no"}}, status=self.refusals.pop(0))
        return None

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        body = await request.json()
        assert body["response_format"] == "pcm"
        self.spoken.append(body)
        count = LETTER_SAMPLES * len(body["input"])
        tone = (np.sin(np.arange(count) * 2 * np.pi * 440 / 24_000) * 8000).astype("<i2").tobytes()
        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await response.prepare(request)
        for place, at in enumerate(range(0, len(tone), 4801)):  # odd, so that samples are cut in two
            if place == self.drops_after_pieces:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(tone[at : at + 4801])
        await response.write_eof()
        return response

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        with wave.open(io.BytesIO(file.file.read())) as sound:
            seconds = sound.getnframes() / sound.getframerate()
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        self.heard.append({"seconds": seconds, **{name: form[name] for name in form if name != "file"}})
        if self.raw_answer is not None:
            return web.Response(body=self.raw_answer)
        return web.json_response({"text": self.text})
