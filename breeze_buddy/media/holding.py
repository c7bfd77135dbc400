"""Waiting for a human on behalf of one caller: ask for one, then look until the transfer is over.

    ask ──▶ look every `LOOK_EVERY_S` ──ended──▶ handed back          (moved: Twilio ends the stream, and this with it)

The socket is not closed here: Twilio closes it when the caller has been moved.
"""

import asyncio
import logging
from collections.abc import Callable

from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import CallDirectory, TransferRefused

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
LONGER_THAN_THE_WAIT_S = 30.0
"""A human who accepts in the last moment is still being connected."""


class Hold:
    """For one call. `longest_s` bounds the wait; `handed_back` is called once, unless `close` came before."""

    def __init__(
        self,
        directory: CallDirectory,
        call_id: str,
        *,
        longest_s: float,
        handed_back: Callable[[TransferEnding], None],
    ) -> None:
        self._directory = directory
        self._call_id = call_id
        self._longest_s = longest_s
        self._handed_back = handed_back
        self._task: asyncio.Task[None] | None = None

    def begin(self, reason: str | None) -> None:
        """Ask for a human because of `reason`; None: somebody has asked already."""
        self.close()
        self._task = asyncio.create_task(self._wait(reason))

    def close(self) -> None:
        """The stream is over."""
        if self._task is not None:
            self._task.cancel()

    async def is_open(self) -> bool:
        """Whether somebody has asked for a human. False, and logged, when that cannot be found out."""
        try:
            return await self._directory.transfer_is_open(self._call_id)
        except Exception:  # a conversation that is over must end, whatever this is
            log.exception("call %s: whether it is being transferred is unknown", self._call_id)
            return False

    async def _wait(self, reason: str | None) -> None:
        self._handed_back(await self._ending(reason))

    async def _ending(self, reason: str | None) -> TransferEnding:
        try:
            async with asyncio.timeout(self._longest_s + LONGER_THAN_THE_WAIT_S):
                if reason is not None:
                    await self._directory.request_transfer(self._call_id, reason)
                return await self._ended()
        except TransferRefused as error:
            log.warning("call %s: no transfer: %s", self._call_id, error)
        except TimeoutError:
            log.error("call %s: its transfer was not heard of for %s s", self._call_id, self._longest_s)
            return TransferEnding.NOBODY
        except Exception:  # the caller must not be left in silence, whatever this is
            log.exception("call %s: its transfer could not be asked for", self._call_id)
        return TransferEnding.PROVIDER_ERROR

    async def _ended(self) -> TransferEnding:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                ending = await self._directory.transfer_ending(self._call_id)
            except Exception:  # looked for again in a moment
                log.warning("call %s: how its transfer stands is unknown", self._call_id, exc_info=True)
                continue
            if ending is not None:
                return ending
