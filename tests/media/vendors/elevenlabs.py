"""ElevenLabs' streaming speech with timestamps: one JSON document a line, µ-law in base64, and the letters in it."""

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

LETTER_SAMPLES = 480
Fault = Literal["none", "drops", "slow", "garbage", "empty"]


@dataclass
class ElevenLabs:
    """Every letter sounds for 60 ms. `fault` sets in after `after` lines of eight letters."""

    key: str = "el-key"
    refusals: list[int] = field(default_factory=list)
    fault: Fault = "none"
    after: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event | None = None  # after the first line, wait for this

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/text-to-speech/{voice}/stream/with-timestamps", self._speak)
        return app

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("xi-api-key") != self.key:
            return web.json_response({"detail": {"status": "invalid_api_key"}}, status=401)
        if self.refusals:
            return web.json_response({"detail": {"status": "no"}}, status=self.refusals.pop(0))
        body = await request.json()
        assert request.query["output_format"] == "ulaw_8000"
        self.requests.append({"voice": request.match_info["voice"], **body})
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        text = body["text"]
        try:
            for place, at in enumerate(range(0, len(text), 8)):
                if self.fault != "none" and place == self.after:
                    if self.fault == "drops":
                        assert request.transport is not None
                        request.transport.abort()
                        return response
                    if self.fault == "slow":
                        await asyncio.Event().wait()
                    if self.fault == "empty":
                        break
                    await response.write(b"<html>oops</html>\n")
                letters = list(text[at : at + 8])
                line = {
                    "audio_base64": b64encode(b"\x33" * (LETTER_SAMPLES * len(letters))).decode(),
                    "alignment": {
                        "characters": letters,
                        "character_start_times_seconds": [(at + i) * 0.06 for i in range(len(letters))],
                        "character_end_times_seconds": [(at + i + 1) * 0.06 for i in range(len(letters))],
                    },
                    "normalized_alignment": None,
                }
                await response.write(json.dumps(line).encode() + b"\n")
                if self.go_on is not None and place == 0:
                    await self.go_on.wait()
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self.aborted.set()
            raise
        return response
