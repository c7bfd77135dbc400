"""Where recordings are kept: files in a folder or objects in a bucket, by RECORDINGS_URL.

A file is there whole or not at all. In a folder it is written beside its name and renamed; in an object store nothing
shows before the upload is completed, and an upload that fails is taken back.
"""

import asyncio
import hashlib
import os
import posixpath
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

BLOCK_BYTES = 8 * 1024 * 1024
"""What is held in memory, and the part size of an upload in several parts (S3 takes none below 5 MiB)."""

_SMALL_BYTES = 512 * 1024
"""What is written to a folder at once, in one go: half a minute of both sides of a call."""


class RecordingsUnavailable(ValueError):
    """RECORDINGS_URL names a place that this installation cannot use; the message says what to do."""


class RecordingDamaged(Exception):
    """What was read back is not what was written."""


class RecordingStore:
    """Files under one fsspec URL. Paths are relative to it. `endpoint_url`: of an S3 service that is not Amazon's."""

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        """Raises RecordingsUnavailable."""
        self._files: Any
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, **_options(url, endpoint_url))
        except ImportError as error:
            how = "pip install 'breeze-buddy[s3]'" if url.startswith("s3") else str(error)
            raise RecordingsUnavailable(f"RECORDINGS_URL {url}: a package is not installed: {how}") from error
        except ValueError as error:
            raise RecordingsUnavailable(f"RECORDINGS_URL {url} cannot be used: {error}") from error
        self._in_folder = isinstance(self._files, LocalFileSystem)

    async def put(self, path: str, chunks: AsyncIterator[bytes]) -> int:
        """Write a file, read it back, and return its size in bytes. It appears only when it is complete.

        Raises RecordingDamaged, when nothing is left of it, and whatever `chunks` raises.
        """
        whole = self._whole(path)
        head = bytearray()
        async for chunk in chunks:
            head += chunk
            if len(head) > _SMALL_BYTES:
                break
        else:
            if self._in_folder:
                written = await asyncio.to_thread(self._put_whole, whole, bytes(head))
                return await self._kept(path, whole, *written)
        return await self._kept(path, whole, *await self._put_parts(whole, bytes(head), chunks))

    def _put_whole(self, whole: str, data: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
        """What was to be written to a file in a folder, and what can be read of it: (bytes, digest) each."""
        name = whole + ".part"
        self._files.makedirs(posixpath.dirname(whole), exist_ok=True)
        file = self._files.open(name, "wb", block_size=BLOCK_BYTES)
        try:
            file.write(data)
            self._finish(file, name, whole)
        except BaseException:
            self._discard(file, name)
            raise
        return (len(data), hashlib.sha256(data).digest()), self._digest(whole)

    async def _put_parts(
        self, whole: str, head: bytes, chunks: AsyncIterator[bytes]
    ) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
        """The same for what comes bit by bit, after `head`, and to wherever files are."""
        size, digest = len(head), hashlib.sha256(head)
        async with self._appearing(whole) as file:
            await asyncio.to_thread(file.write, head)
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
                digest.update(chunk)
                size += len(chunk)
        return (size, digest.digest()), await asyncio.to_thread(self._digest, whole)

    async def _kept(self, path: str, whole: str, written: tuple[int, bytes], read: tuple[int, bytes]) -> int:
        if read != written:
            await asyncio.to_thread(self._files.rm_file, whole)
            raise RecordingDamaged(f"{path} was not stored as it was received")
        return written[0]

    async def size(self, path: str) -> int:
        """Bytes of a stored file. Raises FileNotFoundError."""
        return int(await asyncio.to_thread(self._files.size, self._whole(path)))

    async def read(self, path: str, start: int, end: int) -> bytes:
        """Bytes from `start` up to but not including `end`. Raises FileNotFoundError."""
        return bytes(await asyncio.to_thread(self._files.cat_file, self._whole(path), start=start, end=end))

    async def check(self, path: str, size: int) -> None:
        """Read a file to its end. Raises RecordingDamaged unless it has `size` bytes, FileNotFoundError."""
        found, _ = await asyncio.to_thread(self._digest, self._whole(path))
        if found != size:
            raise RecordingDamaged(f"{path} has {found} bytes, and should have {size}")

    async def delete(self, path: str) -> None:
        """Remove a file; one that is gone is no error."""
        try:
            await asyncio.to_thread(self._files.rm_file, self._whole(path))
        except FileNotFoundError:
            return

    def _whole(self, path: str) -> str:
        return posixpath.join(self._root, path)

    @asynccontextmanager
    async def _appearing(self, whole: str) -> AsyncIterator[Any]:
        """A file to write to, that is there when the block ends well and leaves nothing when it does not."""
        if self._in_folder:
            await asyncio.to_thread(self._files.makedirs, posixpath.dirname(whole), exist_ok=True)
        name = whole + ".part" if self._in_folder else whole
        later = {} if self._in_folder else {"autocommit": False}
        file = await asyncio.to_thread(self._files.open, name, "wb", block_size=BLOCK_BYTES, **later)
        try:
            yield file
            await asyncio.to_thread(self._finish, file, name, whole)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._discard, file, name))
            raise

    def _finish(self, file: Any, name: str, whole: str) -> None:
        if not self._in_folder:
            file.close()
            file.commit()
            return
        # On the disk, not only on its way: the original may be deleted next.
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(name, whole)
        folder = os.open(posixpath.dirname(whole), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _discard(self, file: Any, name: str) -> None:
        if self._in_folder:
            file.close()
            with suppress(FileNotFoundError):
                os.unlink(name)
        else:
            file.discard()
            file.closed = True  # so that nothing of it is sent when it is collected

    def _digest(self, whole: str) -> tuple[int, bytes]:
        size, digest = 0, hashlib.sha256()
        with self._files.open(whole, "rb", block_size=BLOCK_BYTES) as file:
            while chunk := file.read(BLOCK_BYTES):
                digest.update(chunk)
                size += len(chunk)
        return size, digest.digest()


def _options(url: str, endpoint_url: str | None) -> dict[str, Any]:
    # What others write and delete is seen at once.
    options: dict[str, Any] = {"use_listings_cache": False}
    if endpoint_url is not None and url.startswith(("s3://", "s3a://")):
        options["endpoint_url"] = endpoint_url
    return options
