"""OpenAI's chat interface with streaming, as documented: server-sent events, calls in pieces, usage at the end."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web


@dataclass
class Reply:
    """`words` come piece by piece, then the calls. `fault` sets in after `after` pieces."""

    words: Sequence[str] = ()
    calls: Sequence[tuple[str, Any]] = ()
    status: int = 200
    fault: Literal["none", "drops", "hangs", "garbage", "error"] = "none"
    after: int = 0
    usage: int | None = 100


@dataclass
class OpenAiChat:
    """Gives its replies in order."""

    replies: list[Reply] = field(default_factory=list)
    key: str = "sk-test"
    requests: list[dict[str, Any]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # the client went in the middle of a reply
    go_on: asyncio.Event | None = None  # waited for after the first piece

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        _check(body)
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, "Incorrect API key provided")
        self.requests.append(body)
        reply = self.replies.pop(0)
        if reply.status != 200:
            return _error(reply.status, "no")
        if not body.get("stream"):
            return web.json_response(_whole(reply))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            for place, delta in enumerate(_deltas(reply)):
                if reply.fault != "none" and place == reply.after:
                    if reply.fault == "hangs":
                        await asyncio.Event().wait()
                    if reply.fault == "garbage":
                        await response.write(b"data: {oops\n\n")
                    if reply.fault == "error":
                        await response.write(b'data: {"error": {"message": "overloaded", "code": 500}}\n\n')
                    if reply.fault == "drops":
                        assert request.transport is not None
                        request.transport.abort()
                        return response
                await response.write(_event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
                if self.go_on is not None and place == 1:
                    await self.go_on.wait()
            why = "tool_calls" if reply.calls else "stop"
            await response.write(_event({"choices": [{"index": 0, "delta": {}, "finish_reason": why}]}))
            if reply.usage is not None:
                usage = {"prompt_tokens": reply.usage - 10, "completion_tokens": 10, "total_tokens": reply.usage}
                await response.write(_event({"choices": [], "usage": usage}))
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response


def _deltas(reply: Reply) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in reply.words]
    for index, (name, arguments) in enumerate(reply.calls):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        begin = {"name": name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": f"c{index}", "type": "function", "function": begin}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": text[at : at + 5]}}]}
            for at in range(0, len(text), 5)
        ]
    return deltas


def _whole(reply: Reply) -> dict[str, Any]:
    calls = [
        {
            "id": f"c{index}",
            "type": "function",
            "function": {"name": name, "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)},
        }
        for index, (name, arguments) in enumerate(reply.calls)
    ]
    message = {"role": "assistant", "content": "".join(reply.words) or None, "tool_calls": calls or None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def _event(more: dict[str, Any]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "x", "code": None}}, status=status)


def _check(body: dict[str, Any]) -> None:
    """What the documentation asks of a request."""
    if body.get("stream"):
        assert body["stream_options"] == {"include_usage": True}
    else:
        assert body["tool_choice"]["function"]["name"] in {tool["function"]["name"] for tool in body["tools"]}
    called: set[str] = set()
    for message in body["messages"]:
        assert message["role"] in {"system", "user", "assistant", "tool"}
        assert isinstance(message.get("content"), str) or message["tool_calls"]
        if message["role"] == "tool":
            assert message["tool_call_id"] in called
        called = {call["id"] for call in message.get("tool_calls", ())} or called
    for tool in body.get("tools", ()):
        assert set(tool["function"]) == {"name", "description", "parameters"}
        assert tool["function"]["parameters"]["type"] == "object"
