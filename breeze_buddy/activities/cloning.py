"""Copies: a campaign with its leads as another one, and finished leads to be called again.

Leads are copied page by page, each page a transaction. What was interrupted goes on where it ended when it is
asked for again with the same request_id; a copy starts only when it is complete.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio import activity

from breeze_buddy.activities.enrolment import check_leads
from breeze_buddy.domain.campaign import Campaign, CampaignStatus, CloneRequest, Pacing
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import campaigns, copies, leads, templates
from breeze_buddy.store.copies import Page
from breeze_buddy.store.database import Database, Transaction, serialise_enrolment
from breeze_buddy.store.errors import Conflict

logger = logging.getLogger(__name__)

# Read many at a time, because what is before a page is looked at for each; written a few at a time, because others
# wait for the transaction.
_READ_AT_ONCE = 5000
_WRITTEN_AT_ONCE = 500


async def clone(
    database: Database, source_id: str, wanted: CloneRequest, *, workflow_id: str | None = None
) -> Campaign:
    """A copy of a campaign that has not been started; its leads are new ones. Raises NotFound."""
    async with database.write() as tx:
        source = await campaigns.get(tx, source_id)
        copy = await _shell(tx, source, wanted, workflow_id, database.now())
    if copy.status is not CampaignStatus.CREATED:
        return copy  # asked for again, and started since
    if wanted.leads != "none":
        outcomes = None if wanted.leads == "all" else wanted.leads
        await _copy_leads(
            database,
            copy.id,
            lambda tx, after: copies.to_clone(
                tx, source_id, outcomes, now=database.now(), after=after, limit=_READ_AT_ONCE
            ),
        )
    if wanted.start_at is None:
        async with database.read() as tx:
            return await campaigns.get(tx, copy.id)
    async with database.write() as tx:
        return await campaigns.set_times(tx, copy.id, start_at=wanted.start_at, recurrence=None)


async def _shell(
    tx: Transaction, source: Campaign, wanted: CloneRequest, workflow_id: str | None, now: datetime
) -> Campaign:
    """The copy without its leads and its start."""
    await serialise_enrolment(tx)
    there = await campaigns.by_request(tx, wanted.request_id) if wanted.request_id is not None else None
    if there is not None:
        if there.cloned_from != source.id:
            raise Conflict("there is a campaign with this request_id that is no copy of this one")
        return there
    return await campaigns.create(
        tx,
        name=wanted.name or f"{source.name[:190]} (copy)",
        template_id=source.template_id,
        number_ids=await copies.numbers_of(tx, source.id),
        pacing=Pacing.model_validate({name: getattr(source, name) for name in Pacing.model_fields}),
        pool=source.pool,
        circuit_breaker=source.circuit_breaker,
        cloned_from=source.id,
        request_id=wanted.request_id,
        workflow_id=workflow_id,
        now=now,
    )


async def redial(database: Database, campaign_id: str, outcomes: tuple[Outcome, ...]) -> int:
    """Put finished leads with these outcomes into the backlog again, as new leads; how many there were.

    A lead is redialled once; its redial, when that has finished, can be redialled in turn. Raises NotFound, and
    Conflict for a cancelled campaign.
    """
    asked_at = database.now()  # a redial that is over before the last page is not redialled in turn
    async with database.read() as tx:
        campaign = await campaigns.get(tx, campaign_id)
    if campaign.status is CampaignStatus.CANCELLED:
        raise Conflict("the campaign was cancelled: clone it with the leads of these outcomes")
    return await _copy_leads(
        database,
        campaign_id,
        lambda tx, after: copies.to_redial(
            tx, campaign_id, outcomes, finished_by=asked_at, now=database.now(), after=after, limit=_READ_AT_ONCE
        ),
    )


async def _copy_leads(
    database: Database,
    target_id: str,
    page_after: Callable[[Transaction, tuple[datetime, str] | None], Awaitable[Page]],
) -> int:
    copied = refused = 0
    after: tuple[datetime, str] | None = None
    while True:
        async with database.read() as tx:
            page = await page_after(tx, after)
            target = await campaigns.without_numbers(tx, target_id)
            template = (await templates.get(tx, target.template_id)).template
        for start in range(0, len(page.leads), _WRITTEN_AT_ONCE):
            async with database.write() as tx:
                some = page.leads[start : start + _WRITTEN_AT_ONCE]
                checked = await check_leads(tx, template, some, now=database.now())
                added = await leads.add(tx, target_id, checked.ready, now=database.now())
            copied, refused = copied + len(added.ids), refused + len(checked.refused)
            if activity.in_activity():
                activity.heartbeat()
        if page.after is None:
            break
        after = page.after
    if refused:
        logger.warning(
            "%d leads were not copied: on the do-not-call list, or without variables that the template wants now",
            refused,
            extra={"campaign_id": target_id},
        )
    return copied
