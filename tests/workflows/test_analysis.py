"""After the call a language model reads the transcript, where the template asks for it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from breeze_buddy.activities.analysis import read_analysis
from breeze_buddy.domain.conversation import CallAnalysis, ConversationReport, Ending, Utterance
from breeze_buddy.domain.providers import Analysis
from breeze_buddy.store import conversations
from breeze_buddy.store.database import Database
from tests.media.vendors.openai_chat import OpenAiChat, Reply
from tests.media.vendors.serving import serving

from .hook import Hook
from .rig import Rig, SkippedClock

ANALYSIS: dict[str, Any] = {
    "model": "m",
    "instructions": "Look for the day.",
    "variables": [{"name": "day", "type": "date", "from_days": 0}, {"name": "lamps", "type": "integer"}],
}
REPORT = {
    "summary": "They want it on Friday.",
    "sentiment": "positive",
    "variables": {"day": "2199-11-27", "lamps": "x"},
}


@pytest.fixture
def chat() -> OpenAiChat:
    return OpenAiChat()


@pytest_asyncio.fixture
async def rig(
    environment: WorkflowEnvironment, migrated_sqlite: Path, tmp_path: Path, chat: OpenAiChat
) -> AsyncIterator[Rig]:
    file = tmp_path / "breeze.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    clock = SkippedClock()
    await clock.look(environment)
    database = Database(f"sqlite+aiosqlite:///{file}", clock=clock)
    async with serving(chat.app) as address:
        models = {"openai_base_url": f"http://{address}/v1", "openai_api_key": "sk-test"}
        async with Rig(environment, database, clock, tmp_path).running(**models) as running:
            yield running
    await database.close()


async def talked(rig: Rig, phone: str, *, transcript: bool = True) -> dict[str, Any]:
    """What the media server does while the lead is on the phone; the call."""

    async def on_the_phone() -> Any:
        calls = (await rig.lead(phone))["calls"]
        return calls[0] if calls and calls[0]["sid"] else None

    call: dict[str, Any] = await rig.until(on_the_phone)
    now = rig.database.now()
    said = (
        Utterance(speaker="agent", text="Is your order correct?", at_s=0),
        Utterance(speaker="caller", text="On Friday please.", at_s=2),
    )
    async with rig.database.write() as tx:
        await conversations.claim_stream(
            tx, token_id="t", call_id=call["id"], call_sid=call["sid"], stream_sid="MZ1", now=now
        )
        report = ConversationReport(
            call_id=call["id"],
            began_at=now,
            ended_at=now,
            ending=Ending.REACHED_END,
            transcript=said if transcript else (),
        )
        await conversations.save_report(tx, report, now=now)
    return call


async def test_summary_sentiment_and_variables_are_part_of_the_call_and_what_is_of_no_type_is_left_out(
    rig: Rig, chat: OpenAiChat
) -> None:
    chat.replies = [Reply(status=503), Reply(calls=[("report_call", REPORT)])]
    phone = rig.person(talk_s=1.5)
    await rig.campaign([phone], analysis=ANALYSIS)
    await talked(rig, phone)
    lead = await rig.lead_in(phone, "FINISHED")
    await rig.skip(timedelta(seconds=5))  # the model was away, and is asked again
    await rig.result(lead)
    (call,) = (await rig.lead(phone))["calls"]
    assert call["conversation"]["analysis"] == {
        "model": "m",
        "summary": "They want it on Friday.",
        "sentiment": "positive",
        "variables": {"day": "2199-11-27"},
    }
    request = chat.requests[1]
    assert request["messages"][1]["content"] == (
        "<transcript>\nagent: Is your order correct?\ncaller: On Friday please.\n</transcript>"
    )
    assert "Look for the day." in request["messages"][0]["content"]
    (tool,) = request["tools"]
    assert tool["function"]["parameters"]["properties"]["variables"]["properties"]["day"]["format"] == "date"


def heard(hook: Hook) -> list[tuple[str, str | None]]:
    """Each event with the summary of its call."""
    found = []
    for one in hook.told:
        (call,) = one["calls"]
        analysis = call["conversation"]["analysis"]
        found.append((one["event"], analysis["summary"] if analysis else None))
    return found


async def test_the_webhook_tells_the_analysis_with_the_end_of_the_lead(rig: Rig, chat: OpenAiChat) -> None:
    chat.replies = [Reply(calls=[("report_call", REPORT)])]
    hook = Hook()
    async with serving(hook.app) as address:
        phone = rig.person(talk_s=1.5)
        await rig.campaign([phone], analysis=ANALYSIS, webhook_url=f"http://{address}/hook")
        await talked(rig, phone)
        lead = await rig.lead_in(phone, "FINISHED")
        await rig.result(lead)
        await rig.save_lead("analysed", lead)
    assert heard(hook) == [("lead.finished", "They want it on Friday.")]
    (call,) = hook.told[0]["calls"]
    assert call["conversation"]["analysis"]["sentiment"] == "positive"
    assert call["conversation"]["analysis"]["variables"] == {"day": "2199-11-27"}


@pytest.mark.parametrize("answers", [True, False], ids=["answers at last", "refuses at last"])
async def test_a_model_that_is_away_does_not_hold_up_the_webhook_which_hears_of_the_analysis_when_it_is_there(
    rig: Rig, chat: OpenAiChat, answers: bool
) -> None:
    away = [Reply(status=503)] * 5
    chat.replies = [*away, Reply(calls=[("report_call", REPORT)]) if answers else Reply(status=401)]
    hook = Hook()

    async def asked(times: int) -> None:
        async def so_often() -> bool:
            return len(chat.requests) == times

        await rig.until(so_often)

    async def told() -> bool:
        return bool(hook.told)

    async with serving(hook.app) as address:
        phone = rig.person(talk_s=1.5)
        await rig.campaign([phone], analysis=ANALYSIS, webhook_url=f"http://{address}/hook")
        await talked(rig, phone)
        lead = await rig.lead_in(phone, "FINISHED")
        for times, pause_s in enumerate((2, 6, 18, 54), 1):
            await asked(times)
            await rig.skip(timedelta(seconds=pause_s + 1))
        await asked(5)
        assert not hook.told
        await rig.skip(timedelta(seconds=60))
        await rig.until(told)
        await rig.skip(timedelta(seconds=120))
        await rig.result(lead)
        if answers:
            await rig.save_lead("late_analysis", lead)
    later = [("analysis.completed", "They want it on Friday.")] if answers else []
    assert heard(hook) == [("lead.finished", None), *later]


async def test_what_is_private_is_not_read(rig: Rig, chat: OpenAiChat) -> None:
    chat.replies = [Reply(calls=[("report_call", REPORT)])]
    phone = rig.person(talk_s=1.5)
    person = {"phone": phone, "variables": {"when": "Friday", "what": "order"}}
    await rig.campaign([person], analysis=ANALYSIS, variables=["what", "when"], private_variables=["when"])  # type: ignore[list-item]
    await talked(rig, phone)
    lead = await rig.lead_in(phone, "FINISHED")
    await rig.result(lead)
    assert chat.requests[0]["messages"][1]["content"] == (
        "<transcript>\nagent: Is your order correct?\ncaller: On [when] please.\n</transcript>"
    )


async def test_a_model_that_refuses_holds_no_lead_up(rig: Rig, chat: OpenAiChat) -> None:
    chat.replies = [Reply(status=401)]
    phone = rig.person(talk_s=1.5)
    await rig.campaign([phone], analysis=ANALYSIS)
    await talked(rig, phone)
    lead = await rig.lead_in(phone, "FINISHED")
    await rig.result(lead)
    (call,) = (await rig.lead(phone))["calls"]
    assert call["conversation"]["analysis"] is None


@pytest.mark.parametrize(("analysis", "transcript"), [(None, True), (ANALYSIS, False)], ids=["not asked", "no word"])
async def test_nothing_is_read_where_nothing_is_asked_or_said(
    rig: Rig, chat: OpenAiChat, analysis: Any, transcript: bool
) -> None:
    phone = rig.person(talk_s=1.5)
    await rig.campaign([phone], analysis=analysis)
    await talked(rig, phone, transcript=transcript)
    lead = await rig.lead_in(phone, "FINISHED")
    await rig.result(lead)
    assert chat.requests == []
    assert "analyse_call" not in await rig.activities(lead)


def test_a_report_that_is_none_is_refused_and_what_was_not_asked_is_not_kept() -> None:
    wanted = Analysis(model="m", summary=False, sentiment=True)
    began_at = SkippedClock()()
    for answer in ("oops", "[]"):
        with pytest.raises(ApplicationError):
            read_analysis(wanted, answer, began_at)
    found = read_analysis(wanted, '{"summary": "x", "sentiment": "furious", "variables": []}', began_at)
    assert found == CallAnalysis(model="m")
