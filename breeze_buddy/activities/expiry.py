"""Waiting leads whose time is over are finished: as soon as their campaign looks, and by the hourly sweep."""

import asyncio

from temporalio import activity

from breeze_buddy.activities.calls import tell_campaign
from breeze_buddy.activities.signals import Signals
from breeze_buddy.domain import messages
from breeze_buddy.domain.messages import CancelRequest
from breeze_buddy.store import expiry, leads
from breeze_buddy.store.database import Database
from breeze_buddy.store.standing import withdraw

_PAGE = 500
_AT_ONCE = 20


async def expire(database: Database, signals: Signals, campaign_id: str, *, at_most: int | None = None) -> int:
    """Finish the expired leads of a campaign: in bulk those that never had a line, and tell the workflows of the
    others. `at_most` bounds it, about. Returns how many there were. Called inside an activity."""
    total, after = 0, ""
    while at_most is None or total < at_most:
        now = database.now()
        async with database.write() as tx:
            finished = await expiry.finish_expired(tx, campaign_id, now=now, limit=_PAGE)
        async with database.read() as tx:
            known = await expiry.expired_with_workflow(tx, campaign_id, now=now, after=after, limit=_PAGE)
        await _withdraw_all(database, signals, known)
        if finished:
            await tell_campaign(database, signals, campaign_id)
        total += finished + len(known)
        if finished < _PAGE and len(known) < _PAGE:
            break
        after = known[-1] if known else after
        activity.heartbeat()
    return total


async def _withdraw_all(database: Database, signals: Signals, lead_ids: list[str]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(lead_id: str) -> None:
        async with gate:
            await _withdraw(database, signals, lead_id)

    await asyncio.gather(*(one(lead_id) for lead_id in lead_ids))


async def _withdraw(database: Database, signals: Signals, lead_id: str) -> None:
    """Its workflow finishes it; without one it is finished here."""
    request = CancelRequest(hang_up=False, reason=expiry.OVER)
    if await signals.to_lead(lead_id, messages.CANCEL, request):
        return
    async with database.write() as tx:
        await withdraw(tx, lead_id, now=database.now(), reason=expiry.OVER)
        campaign_id = (await leads.get(tx, lead_id)).campaign_id
    await tell_campaign(database, signals, campaign_id)
