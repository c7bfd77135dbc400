"""Deepgram's streaming recognition: `/v1/listen` as documented (binary µ-law in, `Results` out, Finalize, KeepAlive).

It understands `sound_of(words)`: each word is 0.3 s of a sample value of its own.
"""

import asyncio
import audioop
import json
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import WSMsgType, web

WORD_SAMPLES = 2400
Fault = Literal["none", "drops", "says_nothing", "garbage", "error", "binary", "no_finalize_answer"]


class Runs:
    """Words in the sound: each is a run of its value; a shorter run at the end counts from almost half."""

    def __init__(self, known: Container[int]) -> None:
        self._known = known
        self._value, self._length = -1, 0
        self.position = 0

    def add(self, sound: bytes) -> list[tuple[int, int]]:
        """Words, each with the sample at which it ended."""
        found = []
        for value in sound:
            if value != self._value:
                found += [(word, self.position) for word in self.rest()]
                self._value = value
            self._length += 1
            self.position += 1
            if self._length == WORD_SAMPLES and value in self._known:
                found.append((value, self.position))
                self._length = 0
        return found

    def rest(self) -> list[int]:
        length, self._length = self._length, 0
        return [self._value] if length > WORD_SAMPLES * 0.4 and self._value in self._known else []


@dataclass
class Deepgram:
    """`faults` are those of the first connections, `refusals` the HTTP answers before them; then all is well."""

    key: str = "dg-key"
    encoding: str = "mulaw"
    final_every_words: int = 100
    faults: list[tuple[Fault, int]] = field(default_factory=list)  # and after how many words
    refusals: list[int] = field(default_factory=list)
    words: dict[int, str] = field(default_factory=dict)
    queries: list[dict[str, str]] = field(default_factory=list)
    audio_words: list[list[str]] = field(default_factory=list)  # what each connection was sent
    keep_alives: int = 0
    closed: int = 0
    all_closed: asyncio.Event = field(default_factory=asyncio.Event)

    def sound_of(self, text: str) -> bytes:
        sound = b""
        for word in text.split():
            value = next((v for v, known in self.words.items() if known == word), len(self.words) + 1)
            self.words[value] = word
            sound += bytes([value]) * WORD_SAMPLES
        return sound

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/listen", self._listen)
        return app

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Token {self.key}":
            return web.json_response({"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}, status=401)
        if self.refusals:
            return web.json_response({"err_code": "NO", "err_msg": "refused"}, status=self.refusals.pop(0))
        assert request.query["encoding"] == self.encoding
        assert request.query["sample_rate"] == "8000"
        self.queries.append(dict(request.query))
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        fault, after_words = self.faults.pop(0) if self.faults else ("none", 0)
        heard: list[str] = []
        self.audio_words.append(heard)
        start = finalised = 0
        runs = Runs(self.words)
        async for message in ws:
            if message.type is WSMsgType.BINARY:
                sound = message.data if self.encoding == "mulaw" else audioop.lin2ulaw(message.data, 2)
                for word, samples in runs.add(sound):
                    heard.append(self.words[word])
                    if fault != "none" and len(heard) == after_words:
                        if fault == "drops":
                            assert request.transport is not None
                            request.transport.abort()
                            return ws
                        if fault == "garbage":
                            await ws.send_str("{not json")
                        if fault == "binary":
                            await ws.send_bytes(b"\x00\x01")
                        if fault == "error":
                            await ws.send_json({"type": "Error", "description": "overloaded"})
                    if fault == "says_nothing":
                        continue
                    final = len(heard) - finalised >= self.final_every_words
                    await ws.send_json(self._results(heard[finalised:], start, samples, is_final=final))
                    if final:
                        finalised, start = len(heard), samples
            elif message.type is WSMsgType.TEXT:
                match json.loads(message.data)["type"]:
                    case "Finalize" if fault not in {"says_nothing", "no_finalize_answer"}:
                        heard += [self.words[word] for word in runs.rest()]
                        end = runs.position
                        await ws.send_json(
                            self._results(heard[finalised:], start, end, is_final=True, from_finalize=True)
                        )
                        finalised, start = len(heard), end
                    case "KeepAlive":
                        self.keep_alives += 1
                    case "CloseStream":
                        await ws.send_json({"type": "Metadata", "request_id": "r", "duration": 0.0, "channels": 0})
                        self.closed += 1
                        self.all_closed.set()
                        await ws.close()
        return ws

    def _results(
        self, words: list[str], start: int, end: int, *, is_final: bool, from_finalize: bool = False
    ) -> dict[str, object]:
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": start / 8000,
            "duration": (end - start) / 8000,
            "is_final": is_final,
            "speech_final": False,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [{"transcript": " ".join(words), "confidence": 0.9, "words": []}]},
            "metadata": {"request_id": "r"},
        }
