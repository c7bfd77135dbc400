"""The activities that keep copies of recordings, delete Twilio's when ours is safe, and ours when its days are over."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from temporalio import activity
from temporalio.exceptions import ApplicationError

from breeze_buddy.activities.recording_store import RecordingDamaged, RecordingStore
from breeze_buddy.domain.messages import CallEvent, RetentionResult
from breeze_buddy.domain.recording import RecordingStatus
from breeze_buddy.store import attempts, recordings
from breeze_buddy.store.database import Database
from breeze_buddy.store.recordings import Recording
from breeze_buddy.telephony.client import Twilio
from breeze_buddy.telephony.errors import TelephonyError

logger = logging.getLogger(__name__)

DELETION_TRIES = 6
"""Runs of `store_recording` that insist on Twilio's copy being deleted: about a minute. What is left is deleted by the
daily retention, so that a lead's end does not wait for it."""


class RecordingActivities:
    """Bound to the clients of one worker process."""

    def __init__(self, database: Database, twilio: Twilio, files: RecordingStore) -> None:
        self._database = database
        self._twilio = twilio
        self._files = files

    @activity.defn
    async def store_recording(self, event: CallEvent) -> int:
        """Copy every finished recording of a call that we do not have yet; returns how many we hold.

        Asks Twilio when no callback came. Fails, to be tried again, while one is still being made. Deletes Twilio's
        recording when the template says so, once our copy was read back.
        """
        found = await self._known(event.call_id)
        if not any(recording.status is RecordingStatus.COMPLETED for recording in found):
            found = await self._asked(event.call_id)
        held = 0
        for recording in found:
            if recording.status is RecordingStatus.COMPLETED:
                await self._delete_originals(await self._copy(recording))
                held += 1
            elif recording.status is None or not recording.status.is_final:
                raise ApplicationError(f"recording {recording.sid} is not finished yet", type="RecordingNotReady")
        return held

    async def _known(self, call_id: str) -> list[Recording]:
        async with self._database.read() as tx:
            return await recordings.of_call(tx, call_id)

    async def _asked(self, call_id: str) -> list[Recording]:
        async with self._database.read() as tx:
            sid = await attempts.known_sid(tx, call_id)
        if sid is not None:
            facts = await self._twilio.recordings_of(sid)
            async with self._database.write() as tx:
                for fact in facts:
                    await recordings.note(tx, call_id, fact)
        return await self._known(call_id)

    async def _copy(self, recording: Recording) -> list[Recording]:
        """Have a copy of our own; the recording, if Twilio's is to be deleted now."""
        if recording.stored_as is not None:
            async with self._database.read() as tx:
                return await recordings.to_delete_at_provider(tx, sid=recording.sid)
        now = self._database.now()
        path = f"{now:%Y/%m/%d}/{recording.call_id}-{recording.sid}.wav"

        # Within a workflow task nobody listens for it, and the worker's log would say so at each chunk.
        lives = not activity.info().is_local

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in self._twilio.download_recording(recording.sid):
                if lives:
                    activity.heartbeat()
                yield chunk

        size = await self._files.put(path, chunks())
        async with self._database.write() as tx:
            await recordings.mark_stored(tx, recording.sid, stored_as=path, size_bytes=size, now=now)
            return await recordings.to_delete_at_provider(tx, sid=recording.sid)

    async def _delete_originals(self, doomed: list[Recording]) -> None:
        for recording in doomed:
            try:
                await self._delete_at_provider(recording)
            except TelephonyError as error:
                if activity.info().attempt < DELETION_TRIES:
                    raise
                logger.error("recording %s stays at Twilio until the next retention: %s", recording.sid, error)

    async def _delete_at_provider(self, recording: Recording) -> None:
        """Only when our copy can be read, or had its days."""
        if recording.deleted_at is None and recording.stored_as is not None and recording.size_bytes is not None:
            await self._files.check(recording.stored_as, recording.size_bytes)
        await self._twilio.delete_recording(recording.sid)
        async with self._database.write() as tx:
            await recordings.mark_deleted_at_provider(tx, recording.sid, now=self._database.now())

    async def _delete_copy(self, recording: Recording) -> None:
        if recording.stored_as is not None:
            await self._files.delete(recording.stored_as)
        async with self._database.write() as tx:
            await recordings.mark_deleted(tx, recording.sid, now=self._database.now())

    @activity.defn
    async def delete_expired_recordings(self) -> RetentionResult:
        """Delete our copies whose days are over, and at Twilio what should have been deleted there already.

        One that cannot be deleted is logged and left for the next run; the others are deleted.
        """
        now = self._database.now()
        deleted, failed = await self._each(partial(recordings.expired, now=now), self._delete_copy)
        at_provider, failed_there = await self._each(recordings.to_delete_at_provider, self._delete_at_provider)
        return RetentionResult(deleted=deleted, deleted_at_provider=at_provider, failed=failed + failed_there)

    async def _each(
        self, page: Callable[..., Awaitable[list[Recording]]], delete: Callable[[Recording], Awaitable[None]]
    ) -> tuple[int, int]:
        """How many were deleted, and how many could not be."""
        deleted = failed = 0
        last: Recording | None = None
        while True:
            async with self._database.read() as tx:
                doomed = await page(tx, after=last)
            for recording in doomed:
                activity.heartbeat()
                try:
                    await delete(recording)
                    deleted += 1
                except (OSError, RecordingDamaged, TelephonyError) as error:
                    failed += 1
                    logger.error("recording %s was not deleted: %s", recording.sid, error)
            if not doomed:
                return deleted, failed
            last = doomed[-1]
