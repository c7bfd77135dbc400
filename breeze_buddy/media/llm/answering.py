"""Getting a reply in time: a word that one moment is needed, then another endpoint, then none.

asked ──filler_after_s──▶ Slow ──timeout_s──▶ the fallback is asked ──timeout_s──▶ ModelFailed
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from breeze_buddy.media.engines import closing
from breeze_buddy.media.llm.model import Model, Part, Request
from breeze_buddy.media.providers.failover import Candidate, in_order
from breeze_buddy.media.providers.failures import ProviderFailed


class ModelFailed(Exception):
    """No model gave a reply, or one broke off."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The first word takes its time. Comes at most once, before it."""


class Answering:
    """`timeout_s` is how long each endpoint has for its first part, and later for each next one."""

    def __init__(self, models: Sequence[Candidate[Model]], *, timeout_s: float, filler_after_s: float) -> None:
        self._models = models
        self._timeout_s = timeout_s
        self._filler_after_s = filler_after_s

    async def reply(self, request: Request) -> AsyncIterator[Part | Slow]:
        """The reply of the first model that begins one. Raises ModelFailed, also when it breaks off."""
        loop = asyncio.get_running_loop()
        slow_at_s: float | None = loop.time() + self._filler_after_s
        why = "there is no model"
        for candidate in in_order(self._models):
            parts = candidate.engine.reply(request)
            begun = False
            async with closing(parts):
                due_s = loop.time() + self._timeout_s
                next_part = asyncio.ensure_future(_next(parts))
                try:
                    if slow_at_s is not None and slow_at_s < due_s:
                        await asyncio.wait([next_part], timeout=max(0.0, slow_at_s - loop.time()))
                        if not next_part.done():
                            slow_at_s = None
                            yield Slow()
                    while True:
                        async with asyncio.timeout_at(due_s):
                            part = await next_part
                        if part is None:
                            return
                        begun = True
                        slow_at_s = None
                        next_part = asyncio.ensure_future(_next(parts))  # read on while this is spoken
                        yield part
                        due_s = loop.time() + self._timeout_s
                except (ProviderFailed, TimeoutError) as error:
                    candidate.health.failed(error)
                    why = str(error) or f"{candidate.engine.name}: nothing within {self._timeout_s} s"
                    if begun:
                        raise ModelFailed(why) from error
                finally:
                    await _settle(next_part)
        raise ModelFailed(why)


async def _next(parts: AsyncIterator[Part]) -> Part | None:
    return await anext(parts, None)


async def _settle(task: "asyncio.Future[Part | None]") -> None:
    """It is over, and nobody asks any more what came of it."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
