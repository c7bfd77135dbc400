"""Where recordings are kept: whether they can be."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

from breeze_buddy.activities.recording_store import RecordingDamaged, RecordingStore, RecordingsUnavailable
from breeze_buddy.cli.doctor.finding import Area, Finding
from breeze_buddy.settings import Settings

AREA = Area("recordings")
_LIMIT_S = 30.0


async def look(settings: Settings) -> list[Finding]:
    """Writes a small file, reads it back and removes it."""
    url = settings.recordings_url
    advice = "check RECORDINGS_URL, its rights and its credentials; the API and the workers need the same"
    path = f"breeze-doctor-{uuid4().hex}.txt"
    try:
        store = RecordingStore(url, settings.recordings_endpoint_url)
        async with asyncio.timeout(_LIMIT_S):
            await store.put(path, _content())
            await store.delete(path)
    except (RecordingsUnavailable, RecordingDamaged) as error:
        return [AREA.failed("writable", str(error), advice)]
    except TimeoutError:
        return [AREA.failed("writable", f"{url}: no answer within {_LIMIT_S:g} s", advice)]
    except OSError as error:
        return [AREA.failed("writable", f"{url}: {error.strerror or error}", advice)]
    return [AREA.ok("writable", url)]


async def _content() -> AsyncIterator[bytes]:
    yield b"written by breeze doctor\n"
