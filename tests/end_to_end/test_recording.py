"""Card numbers on the whole stack: the recording holds silence while they are given, and they are kept nowhere; and
recordings that are deleted, at Twilio and here."""

import array
import asyncio
import base64
import io
import json
import re
import sqlite3
import wave
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

from breeze_buddy.domain.messages import RETENTION_SCHEDULE_ID

from .stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRESSED = "4000056655665556"
SPOKEN = "seven one nine three five two eight four six"
CONTROL = "5105105105105100"
RATE_HZ = 8000


def card_flow(*, sensitive: bool = True) -> dict[str, Any]:
    return {
        "start": "ask",
        "nodes": {
            "ask": {
                "say": "Hello {name}. Do you want to pay for {item} by card?",
                "functions": [{"name": "yes", "phrases": ["yes"], "digits": "1", "go": "card"}],
            },
            "card": {
                "say": "What is your card number?",
                "sensitive": sensitive,
                "capture": {"name": "card", "kind": "digits", "go": "confirm"},
            },
            "confirm": {
                "say": "Thank you. Shall we send you a receipt?",
                "functions": [
                    {"name": "yes", "phrases": ["yes"], "digits": "1", "go": "bye"},
                    {"name": "no", "phrases": ["no"], "digits": "2", "go": "bye"},
                ],
            },
            "bye": {"say": "Thank you. Goodbye.", "then": {"action": "end_conversation", "result": "paid"}},
        },
    }


class Sound:
    """A recording with the callee left and what they heard right."""

    def __init__(self, data: bytes) -> None:
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, RATE_HZ)
            samples = array.array("h", file.readframes(file.getnframes()))
        self.left, self.right = samples[0::2], samples[1::2]
        self.length_s = len(self.left) / RATE_HZ

    def loudest(self, from_s: float, to_s: float) -> tuple[int, int]:
        """Left, right."""
        there = slice(round(from_s * RATE_HZ), round(to_s * RATE_HZ))
        return max(map(abs, self.left[there]), default=0), max(map(abs, self.right[there]), default=0)


async def one_call(stack: Stack, script: list[Any], **changes: Any) -> tuple[dict[str, Any], dict[str, Any], Sound]:
    """Call somebody who does this: the call over the API, in the simulator's record, and its recording."""
    phone = await stack.person(script=script)
    leads = await stack.finished(await stack.campaign([phone], **changes))
    (call,) = leads[phone]["calls"]
    (seen,) = await stack.witness(phone)
    answer = await stack.api.get(f"/calls/{call['id']}/recording")
    assert answer.status_code == 200, answer.text
    return call, seen, Sound(answer.content)


async def histories(client: Client) -> AsyncIterator[bytes]:
    """Every event of every workflow that ever ran, its payloads decoded."""
    async for execution in client.list_workflows():
        history = await client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
        text = history.to_json()
        yield text.encode()
        for coded in re.findall(r'"data": ?"([^"]*)"', text):
            yield base64.b64decode(coded)


def traces(digits: str) -> re.Pattern[bytes]:
    """Eight of these digits in a row, however they are set apart, but for the last four alone."""
    windows = [digits[at : at + 8] for at in range(len(digits) - 7)]
    return re.compile("|".join(r"\W{0,2}".join(window) for window in windows).encode())


async def found_in_stack(stack: Stack, *patterns: re.Pattern[bytes]) -> list[list[str]]:
    """For each pattern, the places in databases, logs and histories that hold it."""

    def files() -> list[tuple[str, bytes]]:
        there = [path for path in stack.folder.rglob("*") if path.is_file() and path.suffix != ".wav"]
        return [(str(path.relative_to(stack.folder)), path.read_bytes()) for path in there]

    texts = await asyncio.to_thread(files)
    assert {"breeze.db", "temporal.db", "logs/media.log", "logs/api.log"} <= {name for name, _ in texts}
    texts += [("history", text) async for text in histories(stack.temporal)]
    return [[name for name, text in texts if pattern.search(text)] for pattern in patterns]


async def test_a_card_number_leaves_no_trace_in_sound_or_writing(stack: Stack) -> None:
    yes, no = "Yes, please.", "No, thank you."
    pressing, speaking, control = await asyncio.gather(
        one_call(stack, [yes, {"press": PRESSED + "#"}, no], flow=card_flow(), delete_recording_at_provider=True),
        one_call(stack, [yes, f"{SPOKEN}.", no], flow=card_flow()),
        one_call(stack, [yes, {"press": CONTROL + "#"}, no], flow=card_flow(sensitive=False)),
    )
    for call, seen, sound in (pressing, speaking):
        first, given, last = (one["at_s"] for one in seen["said"])
        silent_until_s = given + (16 * 0.2 if call is pressing[0] else 3.0)
        assert sound.loudest(given - 0.5, silent_until_s) == (0, 0), "both channels, from before it was given"
        heard_before, heard_after = sound.loudest(0, first + 1.5), sound.loudest(last - 1.5, sound.length_s)
        assert min(*heard_before, *heard_after) > 500, "sound on both channels before and after"
        assert call["conversation"]["result"] == "paid"
        transcript = await stack.get(f"/calls/{call['id']}/transcript")
        said = [one["text"] for one in transcript["utterances"] if one["speaker"] == "caller"]
        assert said[1] == "•••"
        assert len(said) == 3
    assert pressing[0]["conversation"]["answers"] == {"card": f"•••{PRESSED[-4:]}"}
    assert speaking[0]["conversation"]["answers"] == {"card": "•••"}

    call, seen, sound = control
    given = seen["said"][1]["at_s"]
    assert sound.loudest(given - 1.5, given)[1] > 500, "what is not sensitive is recorded"
    assert call["conversation"]["answers"] == {"card": CONTROL}

    spoken_digits = "719352846"
    in_words = re.compile(rb"(?i)seven\W+one\W+nine")
    pressed, spoken, words, kept = await found_in_stack(
        stack, traces(PRESSED), traces(spoken_digits), in_words, traces(CONTROL)
    )
    assert (pressed, spoken, words) == ([], [], [])
    assert kept, "the search finds what is there"

    # Ours is safe, so Twilio's is gone where the template says so, and only there.
    for (call, *_), status in ((pressing, 404), (speaking, 200)):
        assert await at_twilio(stack, call["recording"]["sid"]) == status


async def at_twilio(stack: Stack, sid: str) -> int:
    secrets = json.loads((stack.folder / "secrets.json").read_text())
    account = secrets["account_sid"]
    path = f"/2010-04-01/Accounts/{account}/Recordings/{sid}.json"
    return (await stack.simulator.get(path, auth=(account, secrets["auth_token"]))).status_code


async def test_without_a_pause_at_twilio_nobody_is_asked_for_a_card(stack: Stack) -> None:
    flow = card_flow()
    flow["nodes"]["card"]["otherwise"] = "bye"
    # Somebody else stopped the recording: there is nothing that could be paused.
    phone = await stack.person(script=[{"wait": 1}, {"press": "1"}])
    campaign_id = await stack.campaign([phone], flow=flow, max_call_s=40)

    async def talking() -> Any:
        return [call for call in await stack.witness(phone) if call["status"] == "in-progress"]

    (call,) = await stack.until(talking)
    secrets = json.loads((stack.folder / "secrets.json").read_text())
    account = secrets["account_sid"]
    stopped = await stack.simulator.post(
        f"/2010-04-01/Accounts/{account}/Calls/{call['sid']}/Recordings/Twilio.CURRENT.json",
        data={"Status": "stopped"},
        auth=(account, secrets["auth_token"]),
    )
    assert stopped.status_code == 200, stopped.text
    leads = await stack.finished(campaign_id)
    (ended,) = leads[phone]["calls"]
    transcript = await stack.get(f"/calls/{ended['id']}/transcript")
    said = [one["text"] for one in transcript["utterances"] if one["speaker"] == "agent"]
    assert said[-1] == "One moment, please. I am sorry, I cannot take that safely at the moment. Thank you. Goodbye."
    assert "card" not in ended["conversation"]["answers"]


async def test_the_daily_schedule_deletes_recordings_whose_days_are_over(stack: Stack) -> None:
    call, _, _ = await one_call(stack, [{"press": "1"}], recording_days=2)
    schedule = stack.temporal.get_schedule_handle(RETENTION_SCHEDULE_ID)
    assert (await schedule.describe()).info.next_action_times

    async def runs() -> list[Any]:
        return [
            await stack.temporal.get_workflow_handle(run.action.workflow_id).result()  # type: ignore[union-attr]
            for run in (await schedule.describe()).info.recent_actions
        ]

    before = len(await runs())
    await schedule.trigger()
    await stack.until(lambda: _at_least(runs, before + 1))
    assert (await stack.api.get(f"/calls/{call['id']}/recording")).status_code == 200

    three_days_ago = (datetime.now(UTC) - timedelta(days=3)).replace(tzinfo=None)
    with sqlite3.connect(stack.folder / "breeze.db", timeout=30) as database:
        changed = database.execute(
            "UPDATE recordings SET stored_at = ? WHERE call_id = ?",
            (three_days_ago.isoformat(" "), call["id"]),
        )
        assert changed.rowcount == 1
    await schedule.trigger()
    results = await stack.until(lambda: _at_least(runs, before + 2))
    assert results[-1]["deleted"] == 1
    gone = await stack.api.get(f"/calls/{call['id']}/recording")
    assert (gone.status_code, gone.json()["code"]) == (410, "recording_deleted")
    assert (await stack.get(f"/calls/{call['id']}"))["recording"]["stored"] is False


async def _at_least(asked: Any, count: int) -> Any:
    found = await asked()
    return found if len(found) >= count else None
