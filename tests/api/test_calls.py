"""Calls over REST: facts, transcript, and the recording with its ranges."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from breeze_buddy.activities.recording_store import RecordingStore
from breeze_buddy.domain.conversation import ConversationFigures, ConversationReport, Ending, TurnFigures, Utterance
from breeze_buddy.domain.recording import RecordingFacts, RecordingStatus
from breeze_buddy.settings import PREFIX
from breeze_buddy.store import conversations, recordings
from tests.api.house import House

# Longer than the pieces in which it is sent.
AUDIO = bytes(range(256)) * 1200
PATH = "2026/07/21/call.wav"


async def recorded(house: House, *, stored: bool = True) -> str:
    _, call_id = await house.dialled_call()
    facts = RecordingFacts(
        sid="RE1", call_sid="CA1", status=RecordingStatus.COMPLETED, duration_s=19, channels=2, url="https://x/RE1"
    )

    async def chunks() -> AsyncIterator[bytes]:
        yield AUDIO

    async with house.database.write() as tx:
        await recordings.note(tx, call_id, facts)
    if stored:
        size = await RecordingStore(house.settings.recordings_url).put(PATH, chunks())
        async with house.database.write() as tx:
            await recordings.mark_stored(tx, "RE1", stored_as=PATH, size_bytes=size, now=house.database.now())
    return call_id


async def listen(house: House, call_id: str, wanted: str | None = None) -> httpx.Response:
    return await house.get(f"/calls/{call_id}/recording", headers={"Range": wanted} if wanted else {})


async def test_a_stored_recording_is_sent_whole(house: House) -> None:
    call_id = await recorded(house)
    answer = await listen(house, call_id)
    assert (answer.status_code, answer.content) == (200, AUDIO)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(AUDIO))
    assert "content-range" not in answer.headers


LAST = len(AUDIO) - 1


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=300000-", 300_000, LAST),
        ("bytes=0-", 0, LAST),
        ("bytes=-5", LAST - 4, LAST),
        (f"bytes=-{10 * LAST}", 0, LAST),
        (f"bytes=5-{10 * LAST}", 5, LAST),
        (f"bytes={LAST}-{LAST}", LAST, LAST),
        ("BYTES=1-2", 1, 2),
    ],
)
async def test_a_range_of_it_is_sent(house: House, wanted: str, start: int, end: int) -> None:
    answer = await listen(house, await recorded(house), wanted)
    assert (answer.status_code, answer.content) == (206, AUDIO[start : end + 1])
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(AUDIO)}"
    assert answer.headers["content-length"] == str(end + 1 - start)


@pytest.mark.parametrize("wanted", [f"bytes={LAST + 1}-", f"bytes={LAST + 1}-{LAST + 9}", "bytes=-0"])
async def test_a_range_beyond_the_end_is_416(house: House, wanted: str) -> None:
    answer = await listen(house, await recorded(house), wanted)
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(AUDIO)}"


@pytest.mark.parametrize(
    "wanted",
    ["bytes=-", "bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes", f"bytes=0-{'9' * 5000}", "bytes=1-2x"],
)
async def test_a_range_that_is_none_or_several_is_ignored(house: House, wanted: str) -> None:
    answer = await listen(house, await recorded(house), wanted)
    assert (answer.status_code, len(answer.content)) == (200, len(AUDIO))


async def test_a_call_tells_where_its_recording_is(house: House) -> None:
    call_id = await recorded(house)
    recording = (await house.get(f"/calls/{call_id}")).json()["recording"]
    assert recording == {
        "sid": "RE1",
        "status": "completed",
        "duration_s": 19,
        "channels": 2,
        "stored": True,
        "url": f"{PREFIX}/calls/{call_id}/recording",
    }
    lead_id = (await house.get(f"/calls/{call_id}")).json()["lead_id"]
    assert (await house.lead(lead_id))["calls"][0]["recording"] == recording


async def test_a_recording_that_is_not_stored_yet_is_404(house: House) -> None:
    call_id = await recorded(house, stored=False)
    answer = await listen(house, call_id)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    recording = (await house.get(f"/calls/{call_id}")).json()["recording"]
    assert (recording["stored"], recording["url"]) == (False, None)


async def test_a_recording_that_somebody_removed_is_404(house: House) -> None:
    call_id = await recorded(house)
    elsewhere = House(
        house.settings.model_copy(update={"recordings_url": f"{house.settings.recordings_url}-moved"}),
        house.database,
        house.temporal,
    )
    answer = await listen(elsewhere, call_id, "bytes=0-1")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    await elsewhere.close()


async def test_a_transcript_is_there_once_the_conversation_has_ended(house: House) -> None:
    _, call_id = await house.dialled_call()
    assert (await house.get(f"/calls/{call_id}/transcript")).status_code == 404
    began = datetime(2026, 7, 21, 12, tzinfo=UTC)
    report = ConversationReport(
        call_id=call_id,
        began_at=began,
        ended_at=began,
        ending=Ending.REACHED_END,
        result="confirmed",
        answers={"order": "confirmed"},
        transcript=(
            Utterance(speaker="agent", text="Hello Ada.", at_s=0.2),
            Utterance(speaker="caller", text="1", at_s=3.5, digits=True),
        ),
        figures=ConversationFigures(
            first_word_ms=42, turns=(TurnFigures(at_s=1, waited_ms=700, transcript_ms=800, first_token_ms=1100),)
        ),
    )
    async with house.database.write() as tx:
        await conversations.save_report(tx, report, now=house.database.now())
    transcript = (await house.get(f"/calls/{call_id}/transcript")).json()
    assert transcript["began_at"] == "2026-07-21T12:00:00Z"
    assert (transcript["ending"], transcript["result"]) == ("reached_end", "confirmed")
    assert [(said["speaker"], said["text"], said["digits"]) for said in transcript["utterances"]] == [
        ("agent", "Hello Ada.", False),
        ("caller", "1", True),
    ]
    call = (await house.get(f"/calls/{call_id}")).json()
    figures = call["conversation"].pop("figures")
    assert figures["first_word_ms"] == 42
    assert figures["turns"][0]["first_token_ms"] == 1100
    described = (await house.get("/openapi.json")).json()["components"]["schemas"]["TurnFigures"]["properties"]
    assert all(described[name].get("description") for name in figures["turns"][0])
    assert call["conversation"] == {
        "ending": "reached_end",
        "result": "confirmed",
        "answers": {"order": "confirmed"},
        "callback_at": None,
        "analysis": None,
    }
