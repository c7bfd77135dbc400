"""The activity that keeps a copy of a call's recording, in a folder or a bucket by RECORDINGS_URL."""

import asyncio
import posixpath
from collections.abc import AsyncIterator
from typing import Any

import fsspec
from temporalio import activity
from temporalio.exceptions import ApplicationError

from breeze_buddy.domain.messages import CallEvent
from breeze_buddy.domain.recording import RecordingStatus
from breeze_buddy.store import attempts, recordings
from breeze_buddy.store.database import Database
from breeze_buddy.store.recordings import Recording
from breeze_buddy.telephony.client import Twilio


class RecordingStore:
    """Files under one fsspec URL. Paths are relative to it."""

    def __init__(self, url: str) -> None:
        self._files: Any
        self._files, self._root = fsspec.core.url_to_fs(url, auto_mkdir=True)

    async def put(self, path: str, chunks: AsyncIterator[bytes]) -> int:
        """Write a file and return its size in bytes. It appears under its name only when it is complete."""
        whole = posixpath.join(self._root, path)
        part = whole + ".part"
        size = 0
        await asyncio.to_thread(self._files.makedirs, posixpath.dirname(whole), exist_ok=True)
        file = await asyncio.to_thread(self._files.open, part, "wb")
        try:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
                size += len(chunk)
        finally:
            await asyncio.to_thread(file.close)
        await asyncio.to_thread(self._files.mv, part, whole)
        return size

    async def size(self, path: str) -> int:
        """Bytes of a stored file. Raises FileNotFoundError."""
        return int(await asyncio.to_thread(self._files.size, posixpath.join(self._root, path)))

    async def read(self, path: str, start: int, end: int) -> bytes:
        """Bytes from `start` up to but not including `end`. Raises FileNotFoundError."""
        whole = posixpath.join(self._root, path)
        return bytes(await asyncio.to_thread(self._files.cat_file, whole, start=start, end=end))


class RecordingActivities:
    """Bound to the clients of one worker process."""

    def __init__(self, database: Database, twilio: Twilio, files: RecordingStore) -> None:
        self._database = database
        self._twilio = twilio
        self._files = files

    @activity.defn
    async def store_recording(self, event: CallEvent) -> int:
        """Copy every finished recording of a call that we do not have yet; returns how many we hold.

        Asks Twilio when no callback came. Fails, to be tried again, while one is still being made.
        """
        found = await self._known(event.call_id)
        if not any(recording.status is RecordingStatus.COMPLETED for recording in found):
            found = await self._asked(event.call_id)
        held = 0
        for recording in found:
            if recording.status is RecordingStatus.COMPLETED:
                await self._copy(recording)
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

    async def _copy(self, recording: Recording) -> None:
        if recording.stored_as is not None:
            return
        now = self._database.now()
        path = f"{now:%Y/%m/%d}/{recording.call_id}-{recording.sid}.wav"

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in self._twilio.download_recording(recording.sid):
                activity.heartbeat()
                yield chunk

        size = await self._files.put(path, chunks())
        async with self._database.write() as tx:
            await recordings.mark_stored(tx, recording.sid, stored_as=path, size_bytes=size, now=now)
