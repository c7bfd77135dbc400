"""What Twilio says and what becomes of the lead: every row of the table, through the real stack."""

import io
import wave
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONCE = ["BACKLOG", "PROCESSING", "FINISHED"]
TWICE = ["BACKLOG", "PROCESSING", "RETRY", "BACKLOG", "PROCESSING", "FINISHED"]

# person → outcome, statuses of the calls in order, statuses of the lead in order
ROWS: dict[str, tuple[dict[str, Any], str, list[str], list[str]]] = {
    "completed": ({"script": ["Yes, that is correct."]}, "COMPLETED", ["completed"], ONCE),
    "no-answer": ({"attempts": ["no_answer"]}, "COMPLETED", ["no-answer", "completed"], TWICE),
    "busy": ({"attempts": ["busy"]}, "COMPLETED", ["busy", "completed"], TWICE),
    "failed": ({"attempts": ["failed"]}, "COMPLETED", ["failed", "completed"], TWICE),
    "canceled": ({"attempts": ["canceled"]}, "COMPLETED", ["canceled", "completed"], TWICE),
    "no-answer to the end": ({"behaviour": "no_answer"}, "NO_ANSWER", ["no-answer"] * 2, TWICE),
    "busy to the end": ({"behaviour": "busy"}, "BUSY", ["busy"] * 2, TWICE),
    "failed to the end": ({"behaviour": "failed"}, "FAILED", ["failed"] * 2, TWICE),
    "canceled to the end": ({"behaviour": "canceled"}, "CALL_CANCELED", ["canceled"] * 2, TWICE),
    "hung up": ({"behaviour": "hangs_up_early", "after_s": 1}, "HUNG_UP", ["completed"], ONCE),
    "keypad": ({"script": [{"press": "2"}]}, "COMPLETED", ["completed"], ONCE),
    "voicemail": ({"behaviour": "voicemail"}, "VOICEMAIL", ["completed"] * 2, TWICE),
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def leads(stack: Stack) -> dict[str, dict[str, Any]]:
    """One campaign of all these people, run to its end; its leads by row."""
    phones = {row: await stack.person(**person) for row, (person, *_) in ROWS.items()}
    finished = await stack.finished(await stack.campaign(list(phones.values()), channels=5))
    return {row: finished[phone] for row, phone in phones.items()}


@pytest.mark.parametrize("row", ROWS)
async def test_each_row_of_the_status_table(stack: Stack, leads: dict[str, dict[str, Any]], row: str) -> None:
    _, outcome, statuses, states = ROWS[row]
    lead = leads[row]
    assert [call["status"] for call in lead["calls"]] == statuses
    assert [change["status"] for change in lead["history"]] == states
    assert lead["outcome"] == outcome
    assert lead["attempts"] == len(statuses)
    assert [call["sid"] for call in await stack.witness(lead["phone"])] == [call["sid"] for call in lead["calls"]]
    for call in lead["calls"]:
        stored = call["recording"] is not None and call["recording"]["stored"]
        assert stored == (call["status"] == "completed")


async def test_failed_calls_are_logged_with_their_sip_code(leads: dict[str, dict[str, Any]]) -> None:
    first = leads["failed"]["calls"][0]
    assert first["sip_code"] is not None
    assert str(first["sip_code"]) in leads["failed"]["history"][2]["reason"]


async def test_a_recording_holds_sound_on_both_channels(stack: Stack, leads: dict[str, dict[str, Any]]) -> None:
    call = leads["completed"]["calls"][0]
    answer = await stack.api.get(f"/calls/{call['id']}/recording")
    assert answer.headers["content-type"] == "audio/wav"
    with wave.open(io.BytesIO(answer.content)) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        seconds = recording.getnframes() / 8000
        sound = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").reshape(-1, 2)
    assert seconds == pytest.approx(call["duration_s"], abs=1.5)
    for channel in range(2):
        loud = np.abs(sound[:, channel].astype(np.int32)) > 1000
        assert loud.sum() > 800, f"channel {channel} holds less than a tenth of a second of speech"


async def test_a_part_of_a_recording_can_be_asked_for(stack: Stack, leads: dict[str, dict[str, Any]]) -> None:
    path = f"/calls/{leads['completed']['calls'][0]['id']}/recording"
    whole = (await stack.api.get(path)).content
    part = await stack.api.get(path, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole[100:200]


async def test_the_transcript_says_what_was_said(stack: Stack, leads: dict[str, dict[str, Any]]) -> None:
    transcript = await stack.get(f"/calls/{leads['completed']['calls'][0]['id']}/transcript")
    said = {who: [u["text"] for u in transcript["utterances"] if u["speaker"] == who] for who in ("agent", "caller")}
    assert said["agent"][0] == "Hello Ada. You ordered a lamp. Is that correct?"
    assert [text.lower().strip(".!").replace(",", "") for text in said["caller"]] == ["yes that is correct"]
    assert said["agent"][-1] == "Thank you. Goodbye."
    assert transcript["answers"] == {"order": "confirmed"}
    assert transcript["result"] == "confirmed"
    assert transcript["ending"] == "reached_end"


async def test_digits_choose_as_words_do(stack: Stack, leads: dict[str, dict[str, Any]]) -> None:
    transcript = await stack.get(f"/calls/{leads['keypad']['calls'][0]['id']}/transcript")
    pressed = [utterance for utterance in transcript["utterances"] if utterance["digits"]]
    assert [utterance["text"] for utterance in pressed] == ["2"]
    assert transcript["result"] == "to_change"


async def test_nobody_was_called_twice_at_once(stack: Stack, leads: dict[str, dict[str, Any]]) -> None:
    assert [await stack.most_calls_at_once(lead["phone"]) for lead in leads.values()] == [1] * len(leads)
