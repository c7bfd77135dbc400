"""Our copy, then Twilio's deletion, then the end of our copy's days: never the other way round."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from breeze_buddy.activities.recordings import DELETION_TRIES, RecordingActivities
from breeze_buddy.api.app import create_app
from breeze_buddy.domain.messages import CallEvent, RetentionResult
from breeze_buddy.domain.recording import RecordingFacts, RecordingStatus
from breeze_buddy.settings import PREFIX, Settings
from breeze_buddy.store import recordings, templates
from breeze_buddy.store.database import Database
from breeze_buddy.store.recordings import Recording
from breeze_buddy.telephony.client import Twilio
from breeze_buddy.telephony.errors import TelephonyError
from tests.activities.conftest import Kept, TwiliosRecordings, wav
from tests.store.stage import Stage, a_template, person

SOUND = wav()


class Archive:
    """Calls with recordings at Twilio, and the activities that take care of them."""

    def __init__(self, database: Database, kept: Kept, twilios: TwiliosRecordings, twilio: Twilio) -> None:
        self.stage = Stage(database)
        database.now = lambda: self.stage.now
        self.database = database
        self.kept = kept
        self.twilios = twilios
        self.activities = RecordingActivities(database, twilio, kept.store)
        self._calls = 0

    async def recorded(self, name: str = "greeting", **policy: Any) -> str:
        """A call of a template with this policy, recorded, at Twilio only; its id."""
        self._calls += 1
        number = await self.stage.number(f"+1415555{self._calls:04d}")
        campaign = await self.stage.campaign(name, template=a_template(name, **policy), on=[number.phone])
        await self.stage.lead(campaign, person(self._calls))
        (grant,) = await self.stage.grant()
        sid = await self.stage.dial(grant.call_id)
        recording_sid = f"RE{self._calls}"
        self.twilios.sounds[recording_sid] = SOUND
        facts = RecordingFacts(recording_sid, sid, RecordingStatus.COMPLETED, channels=2)
        async with self.database.write() as tx:
            await recordings.note(tx, grant.call_id, facts)
        return grant.call_id

    async def store(self, call_id: str, *, attempt: int = 1) -> int:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        return await environment.run(self.activities.store_recording, CallEvent(call_id=call_id))

    async def retain(self) -> RetentionResult:
        return await ActivityEnvironment().run(self.activities.delete_expired_recordings)

    async def of(self, call_id: str) -> Recording:
        async with self.database.read() as tx:
            (found,) = await recordings.of_call(tx, call_id)
        return found

    async def get(self, call_id: str, **headers: str) -> httpx.Response:
        """The recording over the API."""
        settings = Settings(recordings_url=self.kept.url, recordings_endpoint_url=self.kept.endpoint_url)
        app = create_app(settings, self.database, None)  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get(f"{PREFIX}/calls/{call_id}/recording", headers=headers)


@pytest.fixture
def archive(database: Database, kept: Kept, twilios: TwiliosRecordings, twilio: Twilio) -> Archive:
    return Archive(database, kept, twilios, twilio)


@pytest.fixture
def kind() -> str:
    """SQLite, but for the tests that ask for both databases."""
    return "sqlite"


async def test_the_copy_is_served_whole_and_in_part(archive: Archive) -> None:
    call_id = await archive.recorded()
    assert await archive.store(call_id) == 1
    assert (await archive.get(call_id)).content == SOUND
    part = await archive.get(call_id, Range="bytes=44-143")
    assert (part.status_code, part.content) == (206, SOUND[44:144])
    assert part.headers["Content-Range"] == f"bytes 44-143/{len(SOUND)}"
    assert archive.twilios.deleted == []


async def test_twilios_copy_is_deleted_when_ours_is_safe_and_only_once(archive: Archive) -> None:
    call_id = await archive.recorded(delete_recording_at_provider=True)
    assert await archive.store(call_id) == 1
    assert archive.twilios.deleted == ["RE1"]
    assert await archive.store(call_id) == 1
    assert archive.twilios.deleted == ["RE1"]
    assert (await archive.get(call_id)).content == SOUND


async def test_one_that_is_gone_at_twilio_already_is_as_good_as_deleted(archive: Archive) -> None:
    call_id = await archive.recorded(delete_recording_at_provider=True)
    archive.twilios.refusing_deletions = 1
    with pytest.raises(TelephonyError):
        await archive.store(call_id)
    archive.twilios.sounds.clear()
    assert await archive.store(call_id) == 1
    assert (await archive.retain()).deleted_at_provider == 0


async def test_a_download_that_breaks_off_is_never_followed_by_a_deletion(archive: Archive) -> None:
    call_id = await archive.recorded(delete_recording_at_provider=True)
    archive.twilios.cut_off = 1
    with pytest.raises(TelephonyError):
        await archive.store(call_id)
    assert archive.twilios.deleted == []
    assert archive.kept.names == []
    assert await archive.store(call_id) == 1
    assert archive.twilios.deleted == ["RE1"]


async def test_a_copy_that_was_damaged_meanwhile_keeps_twilios(archive: Archive) -> None:
    call_id = await archive.recorded(delete_recording_at_provider=True)
    archive.twilios.refusing_deletions = 1
    with pytest.raises(TelephonyError):
        await archive.store(call_id)
    stored_as = (await archive.of(call_id)).stored_as
    assert stored_as is not None

    async def half() -> Any:
        yield SOUND[:100]

    await archive.kept.store.put(stored_as, half())
    assert await archive.retain() == RetentionResult(deleted=0, deleted_at_provider=0, failed=1)
    assert archive.twilios.deleted == []


async def test_a_deletion_that_goes_on_failing_does_not_hold_up_the_lead_and_is_made_up_for(archive: Archive) -> None:
    call_id = await archive.recorded(delete_recording_at_provider=True)
    archive.twilios.refusing_deletions = 1000
    for attempt in range(1, DELETION_TRIES):
        with pytest.raises(TelephonyError):
            await archive.store(call_id, attempt=attempt)
    assert await archive.store(call_id, attempt=DELETION_TRIES) == 1
    assert (await archive.get(call_id)).content == SOUND
    assert (await archive.retain()).failed == 1
    archive.twilios.refusing_deletions = 0
    assert await archive.retain() == RetentionResult(deleted=0, deleted_at_provider=1, failed=0)
    assert archive.twilios.deleted == ["RE1"]


async def test_a_copy_whose_days_are_over_is_deleted_and_the_api_says_so(archive: Archive) -> None:
    old = await archive.recorded("month", recording_days=30)
    kept_for_good = await archive.recorded("for-good")
    await archive.store(old)
    await archive.store(kept_for_good)
    archive.stage.pass_time(days=29, hours=23)
    assert await archive.retain() == RetentionResult(deleted=0, deleted_at_provider=0, failed=0)
    archive.stage.pass_time(hours=1)
    young = await archive.recorded("week", recording_days=7)
    await archive.store(young)
    assert await archive.retain() == RetentionResult(deleted=1, deleted_at_provider=0, failed=0)
    assert await archive.retain() == RetentionResult(deleted=0, deleted_at_provider=0, failed=0)

    gone = await archive.get(old)
    assert gone.status_code == 410
    assert gone.json() == {
        "code": "recording_deleted",
        "message": "this recording was deleted on 2026-08-20: its template keeps recordings only for a while",
    }
    for there in (kept_for_good, young):
        assert (await archive.get(there)).status_code == 200
    assert len(archive.kept.names) == 2
    assert await archive.store(old) == 1, "it is not fetched again"
    assert len(archive.kept.names) == 2


async def test_a_template_that_changes_its_mind_is_heeded(archive: Archive) -> None:
    call_id = await archive.recorded()
    await archive.store(call_id)
    archive.stage.pass_time(days=3)
    async with archive.database.write() as tx:
        (stored,) = await templates.listed(tx)
        changed = stored.template.model_copy(update={"recording_days": 2, "delete_recording_at_provider": True})
        await templates.replace(tx, stored.id, changed, now=archive.stage.now)
    assert await archive.retain() == RetentionResult(deleted=1, deleted_at_provider=1, failed=0)


async def test_one_that_cannot_be_deleted_does_not_save_the_others(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [await archive.recorded(f"day-{place}", recording_days=1) for place in range(4)]
    for call_id in calls:
        await archive.store(call_id)
    archive.stage.pass_time(days=2)
    stuck = (await archive.of(calls[0])).stored_as
    delete: Callable[[str], Any] = archive.kept.store.delete

    async def refuse_one(path: str) -> None:
        if path == stuck:
            raise PermissionError("read-only")
        await delete(path)

    monkeypatch.setattr(archive.kept.store, "delete", refuse_one)
    assert await archive.retain() == RetentionResult(deleted=3, deleted_at_provider=0, failed=1)
    monkeypatch.undo()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_what_is_due_is_found_page_by_page_on_both_databases(archive: Archive) -> None:
    for place in range(5):
        call_id = await archive.recorded(f"template-{place}", recording_days=1, delete_recording_at_provider=True)
        async with archive.database.write() as tx:
            sid = f"RE{place + 1}"
            await recordings.mark_stored(tx, sid, stored_as=sid, size_bytes=1, now=archive.stage.now)
        assert (await archive.of(call_id)).stored_at == archive.stage.now
        archive.stage.pass_time(seconds=place // 2)
    archive.stage.pass_time(days=1)
    async with archive.database.read() as tx:
        for page in (recordings.to_delete_at_provider, recordings.expired):
            more = {"now": archive.stage.now} if page is recordings.expired else {}
            found: list[str] = []
            last: Recording | None = None
            while some := await page(tx, after=last, limit=2, **more):
                found += [one.sid for one in some]
                last = some[-1]
            assert found == ["RE1", "RE2", "RE3", "RE4", "RE5"]
