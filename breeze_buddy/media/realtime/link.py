"""One WebSocket of OpenAI's Realtime interface: events out, and what comes back of each.

Responses are told apart by metadata that we give them, refusals by the id of the event that is refused.
"""

import asyncio
import itertools
import json
import logging
from base64 import b64decode, b64encode
from typing import Any

import aiohttp

from breeze_buddy.media.providers.connections import CONNECT_S, Connections
from breeze_buddy.media.providers.failures import ProviderFailed, refused

log = logging.getLogger(__name__)

NAME = "openai realtime"
ADDRESS = "https://api.openai.com/v1"
_MULAW = {"type": "audio/pcmu"}
# Refusals of what had become needless: the response was over, or had not begun.
_HARMLESS = frozenset({"response_cancel_not_active", "item_truncate_invalid_item_id", "item_delete_invalid_item_id"})


class FunctionCall:
    """The model calls a function; `arguments` is JSON as it was written."""

    def __init__(self, name: str, arguments: str, call_id: str) -> None:
        self.name, self.arguments, self.call_id = name, arguments, call_id


class Response:
    """What the model says to one request, as it comes. `begun` is set by its first sound, or its end."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.item_id: str | None = None
        self.words = ""
        self.calls: list[FunctionCall] = []
        self.begun = asyncio.Event()
        self.over = asyncio.Event()
        self.error: ProviderFailed | None = None
        self.has_sound = False
        self.first_token_s: float | None = None  # by the loop's clock
        self._sound: asyncio.Queue[bytes | None] = asyncio.Queue()

    def write(self) -> None:
        """The model has written something of it: words, sound, or a part of a call."""
        if self.first_token_s is None:
            self.first_token_s = asyncio.get_running_loop().time()

    async def next_sound(self) -> bytes | None:
        """The next piece of it, in µ-law; None when there is no more."""
        if self.over.is_set() and self._sound.empty():
            return None
        return await self._sound.get()

    def add_sound(self, audio: bytes) -> None:
        self.has_sound = True
        self._sound.put_nowait(audio)
        self.begun.set()

    def end(self, error: ProviderFailed | None = None) -> None:
        if not self.over.is_set():
            self.error = error
            self._sound.put_nowait(None)
            self.begun.set()
            self.over.set()


class Link:
    """An open connection. After it has failed every method raises ProviderFailed, as do those that waited."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._numbers = itertools.count(1)
        self._responses: dict[str, Response] = {}  # by our number, until they have an id; then by that
        self._commits: dict[str, asyncio.Future[str]] = {}  # by event, in their order
        self._transcripts: dict[str, asyncio.Future[str]] = {}  # by item
        self._failure: ProviderFailed | None = None
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, connections: Connections, *, key: str | None, address: str | None, model: str) -> "Link":
        """Raises ProviderFailed."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            async with asyncio.timeout(CONNECT_S):
                ws = await connections.http.ws_connect(
                    f"{(address or ADDRESS).rstrip('/')}/realtime", params={"model": model}, headers=headers
                )
        except aiohttp.WSServerHandshakeError as error:
            raise refused(NAME, error.status, error.message, key="OPENAI_API_KEY") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderFailed(NAME, f"no connection ({error or type(error).__name__})") from error
        return cls(ws)

    @property
    def failed(self) -> bool:
        return self._failure is not None

    async def update(self, session: dict[str, Any]) -> None:
        """The session: µ-law both ways, and turns that are ours."""
        audio = session.pop("audio")
        await self.send(
            "session.update",
            session={
                "type": "realtime",
                "output_modalities": ["audio"],
                "audio": {
                    "input": {"format": _MULAW, "turn_detection": None, **audio["input"]},
                    "output": {"format": _MULAW, **audio["output"]},
                },
                **session,
            },
        )

    async def append(self, mulaw: bytes) -> None:
        await self.send("input_audio_buffer.append", audio=b64encode(mulaw).decode())

    async def commit(self) -> str:
        """The turn is over; the id of its item."""
        number = self._number()
        committed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._commits[number] = committed
        try:
            await self.send("input_audio_buffer.commit", event_id=number)
            return await committed
        finally:
            self._commits.pop(number, None)

    async def transcript(self, item_id: str) -> str:
        """What was understood of the turn that is this item. Raises ProviderFailed."""
        try:
            return await asyncio.shield(self._transcript(item_id))
        finally:
            self._transcripts.pop(item_id, None)

    async def respond(self, response: dict[str, Any]) -> Response:
        """Ask for a response; it comes by itself."""
        number = self._number()
        made = self._responses[number] = Response()
        await self.send("response.create", event_id=number, response={**response, "metadata": {"number": number}})
        return made

    async def cancel(self, response: Response) -> None:
        """It is not wanted any more."""
        if not response.over.is_set():
            wanted = {} if response.id is None else {"response_id": response.id}
            response.end(ProviderFailed(NAME, "cancelled"))
            await self.send("response.cancel", **wanted)

    async def add_message(self, *, agent: bool, text: str) -> None:
        """A message that was said before, or in another way."""
        kind = "output_text" if agent else "input_text"
        content = [{"type": kind, "text": text}]
        await self._add_item({"type": "message", "role": "assistant" if agent else "user", "content": content})

    async def add_result(self, call: FunctionCall, text: str) -> None:
        await self._add_item({"type": "function_call_output", "call_id": call.call_id, "output": text})

    async def delete(self, item_id: str) -> None:
        await self.send("conversation.item.delete", item_id=item_id)

    async def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Of what the agent said only so much was heard."""
        await self.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=audio_end_ms)

    async def send(self, kind: str, *, event_id: str | None = None, **more: Any) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            await self._ws.send_str(json.dumps({"type": kind, "event_id": event_id or self._number(), **more}))
        except (ConnectionError, RuntimeError) as error:
            raise ProviderFailed(NAME, f"the socket was lost ({error or type(error).__name__})") from error

    async def close(self) -> None:
        self._reader.cancel()
        self._fail(ProviderFailed(NAME, "closed"))
        await self._ws.close()

    # --- what comes --------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        why = "the socket was closed"
        try:
            async for message in self._ws:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    why = f"a {message.type.name} message"
                    break
                event = json.loads(message.data)
                self._take(event["type"], event)
        except (ValueError, KeyError, TypeError) as error:
            why = f"a message that is none: {type(error).__name__} {error}"
        self._fail(ProviderFailed(NAME, why))
        await self._ws.close()

    def _take(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "response.created":
                number = (event["response"].get("metadata") or {}).get("number", "")
                if (made := self._responses.pop(number, None)) is not None:
                    made.id = event["response"]["id"]
                    self._responses[event["response"]["id"]] = made
            case "response.output_audio.delta":
                if made := self._responses.get(event["response_id"]):
                    made.write()
                    made.item_id = event["item_id"]
                    made.add_sound(b64decode(event["delta"]))
            case "response.output_audio_transcript.delta":
                if made := self._responses.get(event["response_id"]):
                    made.write()
                    made.words += event["delta"]
            case "response.function_call_arguments.delta":
                if made := self._responses.get(event["response_id"]):
                    made.write()
            case "response.function_call_arguments.done":
                if made := self._responses.get(event["response_id"]):
                    made.write()
                    made.calls.append(FunctionCall(event["name"], event["arguments"], event["call_id"]))
            case "response.done":
                self._done(event["response"])
            case "input_audio_buffer.committed":
                if self._commits:
                    committed = self._commits.pop(next(iter(self._commits)))
                    self._transcript(event["item_id"])
                    _settle(committed, event["item_id"])
            case "conversation.item.input_audio_transcription.completed":
                if event["item_id"] in self._transcripts:
                    _settle(self._transcripts[event["item_id"]], event["transcript"].strip())
            case "conversation.item.input_audio_transcription.failed":
                if event["item_id"] in self._transcripts:
                    _settle(self._transcripts[event["item_id"]], ProviderFailed(NAME, "a turn was not transcribed"))
            case "error":
                self._refused(event["error"])

    def _done(self, response: dict[str, Any]) -> None:
        made = self._responses.pop(response["id"], None)
        if made is None:
            return
        status = response.get("status")
        failed = None
        if status in {"failed", "cancelled"}:
            details = response.get("status_details") or {}
            why = (details.get("error") or {}).get("message") or details.get("reason") or ""
            failed = ProviderFailed(NAME, f"a response that {status}: {why}")
        made.end(failed)

    def _refused(self, error: dict[str, Any]) -> None:
        if error.get("code") in _HARMLESS:
            return
        number = error.get("event_id") or ""
        failed = ProviderFailed(NAME, f"{error.get('code') or error.get('type')}: {error.get('message')}")
        if (made := self._responses.pop(number, None)) is not None:
            made.end(failed)
        elif (committed := self._commits.pop(number, None)) is not None:
            _settle(committed, failed)
        else:
            log.warning("%s", failed)

    def _fail(self, failure: ProviderFailed) -> None:
        if self._failure is not None:
            return
        self._failure = failure
        for made in self._responses.values():
            made.end(failure)
        for waiting in (*self._commits.values(), *self._transcripts.values()):
            _settle(waiting, failure)

    def _transcript(self, item_id: str) -> "asyncio.Future[str]":
        if item_id not in self._transcripts:
            self._transcripts[item_id] = asyncio.get_running_loop().create_future()
            # Nobody may come for it: the caller may have hung up.
            self._transcripts[item_id].add_done_callback(lambda done: done.cancelled() or done.exception())
            if self._failure is not None:
                _settle(self._transcripts[item_id], self._failure)
        return self._transcripts[item_id]

    async def _add_item(self, item: dict[str, Any]) -> None:
        await self.send("conversation.item.create", item=item)

    def _number(self) -> str:
        return f"breeze_{next(self._numbers)}"


def _settle(waiting: "asyncio.Future[str]", result: str | ProviderFailed) -> None:
    if waiting.done():
        return
    if isinstance(result, ProviderFailed):
        waiting.set_exception(result)
    else:
        waiting.set_result(result)
