"""OpenAI's Realtime interface, as far as its published types tell: every event is checked against those of the client.

It understands sounds of Deepgram's fake, and gives its replies in order. What is asked word for word is said.
"""

import asyncio
import itertools
import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import WSMsgType, web
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from tests.media.vendors.deepgram import WORD_SAMPLES, Runs

WORD_BYTES = WORD_SAMPLES
_client_events: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
_server_events: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
Fault = Literal["none", "drops", "fails", "hangs", "garbage"]


@dataclass
class Says:
    """One response: words, and calls of functions."""

    words: str = ""
    calls: Sequence[tuple[str, Any]] = ()
    fault: Fault = "none"
    after_words: int = 0


@dataclass
class Realtime:
    replies: list[Says] = field(default_factory=list)
    key: str = "sk-test"
    refusals: list[int] = field(default_factory=list)
    drop_after_appends: list[int] = field(default_factory=list)
    words: dict[int, str] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    items: dict[str, str] = field(default_factory=dict)  # the conversation, as the model would see it
    asked: list[dict[str, Any]] = field(default_factory=list)
    cancelled: int = 0

    def sound_of(self, text: str) -> bytes:
        sound = b""
        for word in text.split():
            value = next((v for v, known in self.words.items() if known == word), len(self.words) + 1)
            self.words[value] = word
            sound += bytes([value]) * WORD_BYTES
        return sound

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._talk)
        return app

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        if self.refusals:
            return web.json_response({"error": {"message": "no"}}, status=self.refusals.pop(0))
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "Incorrect API key"}}, status=401)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.items.clear()
        await _Session(self, ws, request).run()
        return ws


class _Session:
    def __init__(self, vendor: Realtime, ws: web.WebSocketResponse, request: web.Request) -> None:
        self._vendor, self._ws, self._request = vendor, ws, request
        self._buffer = bytearray()
        self._appends = 0
        self._numbers = itertools.count(1)
        self._speaking: dict[str, asyncio.Task[None]] = {}
        self._has_session = False

    async def run(self) -> None:
        async for message in self._ws:
            if message.type is not WSMsgType.TEXT:
                break
            event = json.loads(message.data)
            _client_events.validate_python(event)
            if event["type"] != "input_audio_buffer.append":
                self._vendor.received.append(event)
            await self._take(event)
        for task in self._speaking.values():
            task.cancel()

    async def _take(self, event: dict[str, Any]) -> None:
        vendor = self._vendor
        match event["type"]:
            case "session.update":
                session = event["session"]
                for side in ("input", "output"):
                    assert session["audio"][side]["format"] == {"type": "audio/pcmu"}
                assert session["audio"]["input"]["turn_detection"] is None
                vendor.sessions.append(session)
                self._has_session = True
            case "input_audio_buffer.append":
                assert self._has_session
                self._buffer += b64decode(event["audio"])
                self._appends += 1
                if vendor.drop_after_appends and self._appends >= vendor.drop_after_appends[0]:
                    vendor.drop_after_appends.pop(0)
                    assert self._request.transport is not None
                    self._request.transport.abort()
            case "input_audio_buffer.clear":
                self._buffer.clear()
            case "input_audio_buffer.commit":
                await self._commit(event)
            case "conversation.item.create":
                item = event["item"]
                text = item.get("output") or item["content"][0]["text"]
                vendor.items[self._id("item")] = f"{item.get('role', 'result')}: {text}"
            case "conversation.item.delete":
                vendor.items.pop(event["item_id"], None)
            case "conversation.item.truncate":
                if event["item_id"] in vendor.items:
                    vendor.items[event["item_id"]] += f" [cut at {event['audio_end_ms']}]"
            case "response.create":
                await self._respond(event)
            case "response.cancel":
                vendor.cancelled += 1
                for task in self._speaking.values():
                    task.cancel()

    async def _commit(self, event: dict[str, Any]) -> None:
        if len(self._buffer) < 800:
            code = "input_audio_buffer_commit_empty"
            error = {
                "type": "invalid_request_error",
                "code": code,
                "message": "too small",
                "event_id": event["event_id"],
            }
            await self._send("error", error=error)
            return
        sound, self._buffer = bytes(self._buffer), bytearray()
        runs = Runs(self._vendor.words)
        values = [value for value, _ in runs.add(sound)] + runs.rest()
        text = " ".join(self._vendor.words[value] for value in values)
        item_id = self._id("item")
        self._vendor.items[item_id] = f"user: {text}"
        await self._send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        await self._send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=text,
            usage={"type": "duration", "seconds": 1.0},
        )

    async def _respond(self, event: dict[str, Any]) -> None:
        wanted = event["response"]
        response_id = self._id("resp")
        beside = wanted.get("conversation") == "none"
        if beside:
            says = Says(wanted["instructions"].rpartition("\n\n")[2])
        else:
            self._vendor.asked.append(wanted)
            says = self._vendor.replies.pop(0)
        described = {"id": response_id, "object": "realtime.response", "metadata": wanted.get("metadata")}
        await self._send("response.created", response={**described, "status": "in_progress", "output": []})
        task = asyncio.create_task(self._say(says, described, beside=beside))
        self._speaking[response_id] = task
        task.add_done_callback(lambda _: self._speaking.pop(response_id))

    async def _say(self, says: Says, described: dict[str, Any], *, beside: bool) -> None:
        place = {"response_id": described["id"], "item_id": self._id("item"), "output_index": 0}
        try:
            for number, word in enumerate(says.words.split()):
                if number == says.after_words and says.fault != "none":
                    break
                await self._send("response.output_audio_transcript.delta", **place, content_index=0, delta=f"{word} ")
                sound = b64encode(bytes([0x55]) * WORD_BYTES).decode()
                await self._send("response.output_audio.delta", **place, content_index=0, delta=sound)
            if says.words and not beside:
                self._vendor.items[place["item_id"]] = f"assistant: {says.words}"
            if says.fault == "hangs":
                await asyncio.Event().wait()
            if says.fault == "garbage":
                await self._ws.send_str("{oops")
            if says.fault == "drops":
                assert self._request.transport is not None
                self._request.transport.abort()
                return
            for name, arguments in says.calls:
                text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                call = {**place, "item_id": self._id("item"), "call_id": self._id("call"), "name": name}
                told = {name: value for name, value in call.items() if name != "name"}
                await self._send("response.function_call_arguments.delta", **told, delta=text)
                await self._send("response.function_call_arguments.done", **call, arguments=text)
        except asyncio.CancelledError:
            await self._done(described, "cancelled", {"type": "cancelled", "reason": "client_cancelled"})
            return
        if says.fault == "fails":
            error = {"type": "server_error", "code": "server_error", "message": "overloaded"}
            await self._done(described, "failed", {"type": "failed", "error": error})
        else:
            await self._done(described, "completed", None)

    async def _done(self, described: dict[str, Any], status: str, details: dict[str, Any] | None) -> None:
        await self._send(
            "response.done", response={**described, "status": status, "status_details": details, "output": []}
        )

    async def _send(self, kind: str, **more: Any) -> None:
        event = {"type": kind, "event_id": self._id("event"), **more}
        _server_events.validate_python(event)
        if not self._ws.closed:
            await self._ws.send_str(json.dumps(event))

    def _id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"
