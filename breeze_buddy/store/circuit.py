"""The circuit breaker of a campaign, looked at in the transaction that settles a failed attempt."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, select

from breeze_buddy.domain.campaign import Campaign, CampaignStatus
from breeze_buddy.domain.circuit_breaker import failed
from breeze_buddy.domain.outcome import Attempt
from breeze_buddy.store import campaigns as campaign_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.facts import last_attempts
from breeze_buddy.store.schema import campaigns

_LOCKED = select(campaigns.c.status).where(campaigns.c.id == bindparam("campaign_id")).with_for_update(key_share=True)


async def look(tx: Transaction, campaign: Campaign, attempt: Attempt, *, why: str, now: datetime) -> None:
    """Pause a running campaign if `attempt`, which was settled in this transaction and ended with `why`, opens its
    circuit breaker. An attempt that did not fail costs nothing."""
    if campaign.circuit_breaker is None or campaign.status is not CampaignStatus.RUNNING or not failed(attempt):
        return
    breaker = campaign.circuit_breaker
    # One failed call after the other, so that each sees those before it: together they may be too many.
    if await tx.scalar(_LOCKED, {"campaign_id": campaign.id}) != CampaignStatus.RUNNING:
        return
    since = now - timedelta(minutes=breaker.window_minutes)
    last = await last_attempts(
        tx, campaign.id, settled_after=max(since, campaign.resumed_at or since), limit=breaker.window_calls
    )
    reason = breaker.opens(last)
    if reason is not None:
        said = f"paused by its circuit breaker: {reason}. The last one: {why}. Mend the cause, then resume"
        await campaign_rows.set_status(tx, campaign.id, CampaignStatus.PAUSED, now=now, reason=said)
