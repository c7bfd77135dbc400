"""A recording is there whole or not at all, in a folder and in S3."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from breeze_buddy.activities import recording_store
from breeze_buddy.activities.recording_store import RecordingDamaged, RecordingStore, RecordingsUnavailable
from tests.activities.conftest import Kept

PATH = "2026/07/21/call-RE1.wav"
MEBIBYTE = 1024 * 1024


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for one in data:
        yield one


async def test_what_was_written_is_read_whole_and_in_part(kept: Kept) -> None:
    assert await kept.store.put(PATH, pieces(b"RIFF", b"", b"0123456789")) == 14
    assert kept.names == [PATH]
    assert await kept.store.size(PATH) == 14
    assert await kept.store.read(PATH, 0, 14) == b"RIFF0123456789"
    assert await kept.store.read(PATH, 4, 8) == b"0123"
    await kept.store.check(PATH, 14)
    with pytest.raises(RecordingDamaged, match="14 bytes, and should have 15"):
        await kept.store.check(PATH, 15)


async def test_a_long_one_goes_in_several_parts(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_store, "BLOCK_BYTES", 5 * MEBIBYTE)
    data = random.Random(1).randbytes(11 * MEBIBYTE)
    parts = [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
    assert await kept.store.put(PATH, pieces(*parts)) == len(data)
    assert await kept.store.read(PATH, 0, len(data)) == data
    assert await kept.store.read(PATH, 6 * MEBIBYTE, 6 * MEBIBYTE + 9) == data[6 * MEBIBYTE : 6 * MEBIBYTE + 9]


@pytest.mark.parametrize("before", [1000, 6 * MEBIBYTE])
async def test_a_download_that_breaks_off_leaves_nothing(
    kept: Kept, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_store, "BLOCK_BYTES", 5 * MEBIBYTE)

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(before)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await kept.store.put(PATH, broken())
    assert kept.names == []


async def test_nothing_shows_under_its_name_before_it_is_complete(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_store, "BLOCK_BYTES", 5 * MEBIBYTE)

    async def watched() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield bytes(6 * MEBIBYTE)
            with pytest.raises(FileNotFoundError):
                await kept.store.size(PATH)

    await kept.store.put(PATH, watched())
    assert await kept.store.size(PATH) == 12 * MEBIBYTE


async def test_a_second_try_takes_the_place_of_the_first(kept: Kept) -> None:
    await kept.store.put(PATH, pieces(b"the first, which is longer"))
    await kept.store.put(PATH, pieces(b"the second"))
    assert await kept.store.read(PATH, 0, 100) == b"the second"
    assert kept.names == [PATH]


async def test_what_others_delete_is_gone_at_once(kept: Kept) -> None:
    await kept.store.put(PATH, pieces(b"sound"))
    assert await kept.store.size(PATH) == 5
    other = RecordingStore(kept.url, kept.endpoint_url)
    await other.delete(PATH)
    await other.delete(PATH)
    assert kept.names == []
    with pytest.raises(FileNotFoundError):
        await kept.store.size(PATH)


async def test_a_copy_that_reads_back_differently_is_not_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.store, "_digest", lambda whole: (5, b"something else"))
    with pytest.raises(RecordingDamaged, match="not stored as it was received"):
        await kept.store.put(PATH, pieces(b"sound"))
    assert kept.names == []


def test_a_place_that_cannot_be_used_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordingsUnavailable, match="RECORDINGS_URL nowhere://x"):
        RecordingStore("nowhere://x")
