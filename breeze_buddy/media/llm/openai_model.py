"""A model behind OpenAI's chat interface, at any address, by the official client."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import openai
from openai import AsyncOpenAI

from breeze_buddy.media.llm.model import Call, Message, Part, Request, Usage, Words
from breeze_buddy.media.providers.connections import CONNECT_S, READ_S
from breeze_buddy.media.providers.failures import ProviderFailed, refused

_ROLES = {"system": "system", "caller": "user", "agent": "assistant", "result": "tool"}


def open_client(key: str | None, address: str | None) -> AsyncOpenAI:
    """One client an endpoint; it takes some 50 ms to make. Without a key a server that wants none is asked."""
    timeout = openai.Timeout(READ_S, connect=CONNECT_S)
    return AsyncOpenAI(api_key=key or "none", base_url=address, max_retries=0, timeout=timeout)


class OpenAiModel:
    """`setting` is the name of the key's setting, for whoever reads the log."""

    def __init__(self, client: AsyncOpenAI, model: str, *, setting: str = "OPENAI_API_KEY") -> None:
        self._client = client
        self._model = model
        self._setting = setting
        self.name = f"{model} at {client.base_url.host}"
        # OpenAI's own newer models know only the one word, most other servers only the other.
        is_openai = (urlsplit(str(client.base_url)).hostname or "").endswith("openai.com")
        self._limit = "max_completion_tokens" if is_openai else "max_tokens"

    async def reply(self, request: Request) -> AsyncIterator[Part]:
        asked: dict[str, Any] = {
            "model": self._model,
            "messages": [_message(one) for one in request.messages],
            self._limit: request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.temperature is not None:
            asked["temperature"] = request.temperature
        if request.offers:
            asked["tools"] = [
                {
                    "type": "function",
                    "function": {"name": one.name, "description": one.description, "parameters": one.parameters},
                }
                for one in request.offers
            ]
            asked["tool_choice"] = "auto" if request.may_call else "none"
        try:
            stream = await self._client.chat.completions.create(**asked)
            try:
                async for part in _parts(stream, request.begun):
                    yield part
            finally:
                await stream.close()
        except openai.APIStatusError as error:
            raise refused(self.name, error.status_code, error.message, key=self._setting) from error
        except openai.OpenAIError as error:
            raise ProviderFailed(self.name, str(error) or type(error).__name__) from error
        except (OSError, ValueError) as error:  # JSON that is none
            raise ProviderFailed(self.name, f"an answer that is none: {error}") from error
        except _transport_errors() as error:
            raise ProviderFailed(self.name, f"the connection failed ({error or type(error).__name__})") from error


async def _parts(stream: Any, begun: Callable[[], None]) -> AsyncIterator[Part]:
    """Words at once; a call when it is whole, which is when the next one begins, or at the end."""
    name = arguments = call_id = ""
    index: int | None = None
    tokens: int | None = None
    async for chunk in stream:
        if chunk.usage is not None:
            tokens = chunk.usage.total_tokens
        if not chunk.choices:
            continue
        delta = chunk.choices[0].delta
        if delta is None:
            continue
        if delta.content or delta.tool_calls:
            begun()
        if delta.content:
            yield Words(delta.content)
        for piece in delta.tool_calls or ():
            if index is not None and piece.index != index:
                yield Call(name, arguments, call_id or f"call_{index}")
                name = arguments = call_id = ""
            index = piece.index
            call_id = piece.id or call_id
            if piece.function is not None:
                name += piece.function.name or ""
                arguments += piece.function.arguments or ""
    if index is not None:
        yield Call(name, arguments, call_id or f"call_{index}")
    if tokens is not None:
        yield Usage(tokens)


def _message(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": _ROLES[message.role], "content": message.text}
    if message.call is not None:
        call = message.call
        made["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        ]
    if message.answers is not None:
        made["tool_call_id"] = message.answers.id
    return made


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the client's own transport raises while a reply is read."""
    import httpx

    return (httpx.HTTPError, httpx.StreamError)
