"""Taking down what happens in a call, without holding up its audio."""

import asyncio
import logging
from collections.abc import Callable

from breeze_buddy.domain.conversation import ConversationReport, ConversationState
from breeze_buddy.media.directory import CallDirectory, StreamReplaced

log = logging.getLogger(__name__)

LAST_SAVE_S = 2.0
REPORT_BACKOFF_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class StateKeeper:
    """Saves the latest state of one conversation in the background; states that are overtaken are skipped.

    `replaced` is called, once, when the directory says that another stream has the conversation.
    """

    def __init__(
        self, directory: CallDirectory, call_id: str, *, stream_sid: str, replaced: Callable[[StreamReplaced], None]
    ) -> None:
        self._directory = directory
        self._call_id = call_id
        self._stream_sid = stream_sid
        self._replaced: Callable[[StreamReplaced], None] | None = replaced
        self._latest: ConversationState | None = None
        self._saved: ConversationState | None = None
        self._task: asyncio.Task[None] | None = None

    def keep(self, state: ConversationState) -> None:
        """Save `state` as soon as the one before it is saved."""
        self._latest = state
        if self._task is None:
            self._task = asyncio.create_task(self._save())
            self._task.add_done_callback(self._done)

    def drop(self) -> None:
        """Start no more saves."""
        self._latest = None

    async def settle(self) -> None:
        """Wait a moment for a save that is under way, and start no more: the report follows."""
        self.drop()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=LAST_SAVE_S)

    async def _save(self) -> None:
        while self._latest is not None and self._latest != self._saved:
            state = self._latest
            await self._directory.save(self._call_id, state, stream_sid=self._stream_sid)
            self._saved = state

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StreamReplaced):
            self.drop()
            if self._replaced is not None:
                self._replaced(error)
                self._replaced = None
        elif error is not None:
            # The next turn tries again; until then a resumed call would begin one turn earlier.
            log.warning("call %s: its state could not be saved", self._call_id, exc_info=error)


async def deliver(directory: CallDirectory, report: ConversationReport, *, stream_sid: str) -> bool:
    """Hand in the report, again and again with growing pauses. False, and logged, when all of it was in vain, or
    another stream has the conversation by now."""
    for pause_s in (*REPORT_BACKOFF_S, None):
        try:
            await directory.report(report, stream_sid=stream_sid)
        except StreamReplaced as error:
            log.warning("call %s: its report (%s) is not taken: %s", report.call_id, report.ending, error)
            return False
        except Exception as error:  # whatever it is, the report must not be lost to it
            if pause_s is None:
                log.exception("call %s: its report is lost: %s", report.call_id, report.model_dump_json())
                return False
            log.warning("call %s: its report was not taken (%s); again in %s s", report.call_id, error, pause_s)
            await asyncio.sleep(pause_s)
        else:
            return True
    return False
