"""What the caller says in a turn, kept while it lasts, so that it can be played again to whoever missed it."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from types import TracebackType
from typing import Self


class TurnTape:
    """Takes the turn as it comes, whether anybody listens or not. At most some 25 s: 200 kB. One listener at a time."""

    def __init__(self, turn: AsyncIterable[bytes]) -> None:
        self._turn = turn
        self._audio = bytearray()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.ended = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._take())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()

    def __len__(self) -> int:
        """Bytes so far, which are samples."""
        return len(self._audio)

    async def play(self, at: int = 0) -> AsyncIterator[bytes]:
        """From that byte on: what there is at once, then as it comes, to the end of the turn."""
        while True:
            if at < len(self._audio):
                audio = bytes(self._audio[at:])
                at += len(audio)
                yield audio
            elif self.ended:
                return
            else:
                self._more.clear()
                await self._more.wait()

    async def _take(self) -> None:
        try:
            async for audio in self._turn:
                self._audio += audio
                self._more.set()
        finally:
            self.ended = True
            self._more.set()
