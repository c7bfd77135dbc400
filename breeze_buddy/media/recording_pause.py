"""The recording of one call, kept from hearing what the caller is about to say.

    begin ──pause asked, again and again──▶ paused        at most `PAUSE_S`; else False, and nothing may be asked
    end ──`TAIL_S`──▶ resume asked, with growing pauses ──▶ recorded again

A pause that did not come through is an answer that is not taken. A resume that did not come through is a recording
that stays silent to its end: both fail to the side on which nothing is heard.
"""

import asyncio
import logging
from collections.abc import Callable

from breeze_buddy.media.directory import CallDirectory, RecordingUnchanged

log = logging.getLogger(__name__)

PAUSE_S = 2.0
"""How long a caller waits, in the worst case, between "one moment" and the question."""
PAUSE_AGAIN_S = 0.25
TAIL_S = 0.5
"""The last key's tone, or the last word, is over by then; a second sensitive question has come by then."""
RESUME_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)


class RecordingPause:
    """For one stream. `recorded`: the call is recorded at all. `unsure`: another media server may have paused it.

    `background` takes the task that resumes: the stream can be over before it is through.
    """

    def __init__(
        self,
        directory: CallDirectory,
        call_id: str,
        *,
        recorded: bool,
        unsure: bool,
        background: Callable[["asyncio.Task[bool]"], None],
    ) -> None:
        self._directory = directory
        self._call_id = call_id
        self._recorded = recorded
        self._background = background
        self._paused: bool | None = None if unsure else False
        self._wanted = False
        # A resume that is on its way must not overtake a pause that is asked after it.
        self._asking = asyncio.Lock()

    @property
    def needed(self) -> bool:
        """Whether `begin` has to ask anybody."""
        return self._recorded and self._paused is not True

    async def begin(self) -> bool:
        """Pause. False when that is not certain within `PAUSE_S`; then the recording is told to go on."""
        if not self._recorded:
            return True
        self._wanted = True
        try:
            async with asyncio.timeout(PAUSE_S), self._asking:
                while self._paused is not True:
                    await self._pause_once()
        except TimeoutError:
            log.error("call %s: its recording could not be paused within %s s", self._call_id, PAUSE_S)
            self._paused = None
            self.end()
            return False
        return True

    def end(self) -> None:
        """Record again, a moment from now, unless `begin` is called before that."""
        self._wanted = False
        if self._recorded and self._paused is not False:
            self._background(asyncio.create_task(self._resume()))

    async def _pause_once(self) -> None:
        try:
            await self._directory.pause_recording(self._call_id)
        except RecordingUnchanged as error:
            log.warning("call %s: %s", self._call_id, error)
            await asyncio.sleep(PAUSE_AGAIN_S)
        else:
            self._paused = True

    async def _resume(self) -> bool:
        """False, and logged, when it was all in vain."""
        await asyncio.sleep(TAIL_S)
        for pause_s in (*RESUME_BACKOFF_S, None):
            async with self._asking:
                if self._wanted or self._paused is False:
                    return True
                try:
                    await self._directory.resume_recording(self._call_id)
                except RecordingUnchanged as error:
                    log.warning("call %s: %s", self._call_id, error)
                else:
                    self._paused = False
                    return True
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        log.error("call %s: its recording was paused and could not be resumed: the rest of it is silent", self._call_id)
        return False
