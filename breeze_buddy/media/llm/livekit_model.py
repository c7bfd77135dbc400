"""A language model of a LiveKit plugin, outside their framework (the extra `livekit`, and the plugin itself).

The plugin tells of a call when it is whole, so the first token of a reply that is only a call is told late.
"""

import importlib
from collections.abc import AsyncIterator
from typing import Any

from breeze_buddy.media.llm.model import Call, Message, Offer, Part, Request, Usage, Words
from breeze_buddy.media.providers.connections import READ_S
from breeze_buddy.media.providers.failures import ProviderFailed

_ROLES = {"system": "system", "caller": "user", "agent": "assistant"}


class LivekitModel:
    """Shared by all calls; `llm` is a plugin's."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._agents = importlib.import_module("livekit.agents")
        self.name = f"{llm.model} of livekit {type(llm).__module__.split('.')[2]}"

    async def reply(self, request: Request) -> AsyncIterator[Part]:
        choice = {"tool_choice": "auto" if request.may_call else "none"} if request.offers else {}
        stream = self._llm.chat(
            chat_ctx=self._context(request),
            tools=[self._tool(one) for one in request.offers],
            conn_options=self._agents.APIConnectOptions(max_retry=0, timeout=READ_S),
            **choice,
        )
        try:
            async with stream:
                async for chunk in stream:
                    for part in _parts(chunk):
                        yield part
        except self._agents.APIError as error:
            raise ProviderFailed(self.name, str(error)) from error
        except (OSError, ValueError) as error:  # what a plugin makes of an answer that is none
            raise ProviderFailed(self.name, f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        await self._llm.aclose()

    def _context(self, request: Request) -> Any:
        items: list[Any] = []
        call_id = ""
        for place, message in enumerate(request.messages):
            if message.answers is not None:
                output = {"name": message.answers.name, "call_id": call_id, "output": message.text, "is_error": False}
                items.append(self._agents.llm.FunctionCallOutput(**output))
                continue
            group = f"item_{place}"
            if message.text:
                items.append(self._message(group, message))
            if message.call is not None:
                call_id = f"{message.call.id}_{place}"  # a model may give the same one to each of its replies
                items.append(self._call(group, message.call, call_id))
        return self._agents.llm.ChatContext(items)

    def _message(self, group: str, message: Message) -> Any:
        return self._agents.llm.ChatMessage(id=group, role=_ROLES[message.role], content=[message.text])

    def _call(self, group: str, call: Call, call_id: str) -> Any:
        return self._agents.llm.FunctionCall(
            name=call.name, arguments=call.arguments, call_id=call_id, group_id=group, extra=dict(call.extra)
        )

    def _tool(self, offer: Offer) -> Any:
        schema = {"name": offer.name, "description": offer.description, "parameters": offer.parameters}
        return self._agents.llm.function_tool(_never_run, raw_schema=schema)


async def _never_run(raw_arguments: dict[str, object]) -> None:
    """Tools are taken by the flow."""


def _parts(chunk: Any) -> list[Part]:
    parts: list[Part] = []
    if chunk.delta is not None:
        if chunk.delta.content:
            parts.append(Words(chunk.delta.content))
        parts += [Call(one.name, one.arguments, one.call_id, one.extra or {}) for one in chunk.delta.tool_calls]
    if chunk.usage is not None:
        parts.append(Usage(chunk.usage.total_tokens))
    return parts
