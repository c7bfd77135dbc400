"""A webhook that does not answer keeps few places of its worker, and nobody else waiting."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from temporalio.api.enums.v1 import EventType

from breeze_buddy.activities import at_once
from tests.media.vendors.serving import serving

from .rig import Rig

PLACES = 4
LEADS = 12


class SilentHook:
    """Takes requests, and answers them all when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()

    @property
    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        return app

    async def _take(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.answer.wait()
        return web.Response()


async def test_who_waits_for_a_silent_webhook_keeps_nobody_else_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "MOST_AT_ONCE", PLACES)
    silent = SilentHook()
    async with serving(silent.app) as address:
        phones = [rig.person() for _ in range(LEADS)]
        await rig.campaign(phones, webhook_url=f"http://{address}/hook")

        async def all_asked() -> bool:
            return silent.asked >= LEADS

        await rig.until(all_asked)
        somebody_else = rig.person()
        await rig.campaign([somebody_else])
        await rig.result(await rig.lead_in(somebody_else, "FINISHED"))
        silent.answer.set()
        leads = [await rig.lead_in(phone, "FINISHED") for phone in phones]
        for lead in leads:
            await rig.result(lead)
    in_activities = [await scheduled(rig, lead) for lead in leads]
    assert sum("notify" in names for names in in_activities) >= LEADS - PLACES


async def scheduled(rig: Rig, lead: dict[str, Any]) -> set[str]:
    """The activities of a lead's workflow that were not done within its tasks."""
    history = await rig.workflow(lead).fetch_history()
    return {
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }
