"""A webhook that does not answer keeps few places of its worker, and nobody else waiting."""

import asyncio

import pytest
from aiohttp import web

from breeze_buddy.activities import at_once
from tests.media.vendors.serving import serving

from .hook import Hook
from .rig import Rig

PLACES = 4
LEADS = 12


class SilentHook(Hook):
    """Takes reports, and answers them all when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def _take(self, request: web.Request) -> web.Response:
        answer = await super()._take(request)
        await self.answer.wait()
        return answer


async def test_who_waits_for_a_silent_webhook_keeps_nobody_else_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "MOST_AT_ONCE", PLACES)
    silent = SilentHook()
    async with serving(silent.app) as address:
        phones = [rig.person() for _ in range(LEADS)]
        await rig.campaign(phones, webhook_url=f"http://{address}/hook")

        async def all_asked() -> bool:
            return len(silent.told) >= LEADS

        await rig.until(all_asked)
        somebody_else = rig.person()
        await rig.campaign([somebody_else])
        await rig.result(await rig.lead_in(somebody_else, "FINISHED"))
        silent.answer.set()
        leads = [await rig.lead_in(phone, "FINISHED") for phone in phones]
        for lead in leads:
            await rig.result(lead)
    in_activities = [await rig.activities(lead) for lead in leads]
    assert sum("notify" in names for names in in_activities) >= LEADS - PLACES
