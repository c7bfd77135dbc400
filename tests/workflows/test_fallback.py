"""An API that has no answer for Twilio: it comes to the fallback, and the call still gets a stream."""

from pathlib import Path

import pytest
from fastapi import HTTPException
from temporalio.testing import WorkflowEnvironment

from breeze_buddy.api.router import SmartRouter
from breeze_buddy.store.database import Database

from .rig import Rig, SkippedClock


async def test_without_an_answer_the_call_gets_the_static_stream(
    environment: WorkflowEnvironment, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: SmartRouter, call_id: str) -> None:
        raise HTTPException(503)

    monkeypatch.setattr(SmartRouter, "allocate", broken)
    clock = SkippedClock()
    await clock.look(environment)
    database = Database(sqlite_url, clock=clock)
    async with Rig(environment, database, clock, tmp_path).running(pod_isolation=True) as rig:
        phone = rig.person(talk_s=2)
        await rig.campaign([phone])

        async def offered() -> list[str]:
            return [stream.url for call in rig.calls_to(phone) for stream in call.streams]

        assert (await rig.until(offered))[0] == rig.settings.stream_url
        (call,) = rig.calls_to(phone)
        assert call.fallback_used
    await database.close()
