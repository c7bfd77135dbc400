"""A database with people to call, moved by hand from grant to decision, at times that the test sets."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from breeze_buddy.domain.call import CallFacts, CallStatus, FailureClass
from breeze_buddy.domain.campaign import Campaign, CampaignStatus, Pacing
from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.flow import EndConversation, Flow, Node
from breeze_buddy.domain.lead import Lead, LeadInput, LeadStatus, check_transition
from breeze_buddy.domain.messages import AttemptEnd, Grant
from breeze_buddy.domain.number import Number, NumberInput
from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.domain.template import Template
from breeze_buddy.store import (
    acceptance,
    attempts,
    backlog,
    callbacks,
    campaigns,
    cancelling,
    conversations,
    leads,
    numbers,
    schema,
    templates,
)
from breeze_buddy.store.acceptance import GrantAnswer
from breeze_buddy.store.callbacks import Delivery, Received
from breeze_buddy.store.database import Database, Transaction
from breeze_buddy.store.leads import NewLead

# A Tuesday.
NOON = datetime(2026, 7, 21, 12, tzinfo=UTC)
OUR_PHONE = "+14155550000"
LIVE = ("granted", "intended", "dialled")


def person(place: int) -> str:
    """The phone number of the person at that place."""
    return f"+1212555{1000 + place}"


def a_template(name: str = "greeting", **changes: Any) -> Template:
    flow = Flow(nodes={"start": Node(say="Hello. Goodbye.", then=EndConversation())})
    return Template.model_validate({"name": name, "flow": flow, **changes})


class Stage:
    """One database and the time of its world."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOON
        self.limits = AccountLimits(calls_per_second=1000)
        self._told = 0

    def pass_time(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now

    # Who is there

    async def number(self, phone: str = OUR_PHONE, *, channels: int = 1) -> Number:
        async with self.database.write() as tx:
            return await numbers.create(tx, NumberInput(phone=phone, channels=channels), now=self.now)

    async def campaign(
        self,
        name: str = "summer",
        *,
        template: Template | None = None,
        on: Sequence[str] | None = None,
        status: CampaignStatus = CampaignStatus.RUNNING,
        **pacing: Any,
    ) -> Campaign:
        """A campaign on the named numbers, or on all."""
        async with self.database.write() as tx:
            stored = await templates.register(tx, template or a_template(), now=self.now)
            known = await numbers.listed(tx)
            made = await campaigns.create(
                tx,
                name=name,
                template_id=stored.id,
                number_ids=[number.id for number in known if on is None or number.phone in on],
                pacing=Pacing(**pacing),
                now=self.now,
            )
            if status is CampaignStatus.CREATED:
                return made
            made = await campaigns.set_status(tx, made.id, CampaignStatus.RUNNING, now=self.now)
            return await campaigns.set_status(tx, made.id, status, now=self.now)

    async def set_status(self, campaign_id: str, status: CampaignStatus) -> Campaign:
        async with self.database.write() as tx:
            return await campaigns.set_status(tx, campaign_id, status, now=self.now)

    async def lead(
        self, campaign: Campaign, phone: str = person(0), *, due: datetime | None = None, **more: Any
    ) -> str:
        (lead_id,) = await self.leads(campaign, [phone], due=due, **more)
        return lead_id

    async def leads(
        self, campaign: Campaign, phones: Sequence[str], *, due: datetime | None = None, **more: Any
    ) -> list[str]:
        new = [NewLead(LeadInput(phone=phone, **more), due or self.now) for phone in phones]
        async with self.database.write() as tx:
            return (await leads.add(tx, campaign.id, new, now=self.now)).ids

    # What is done with them

    async def grant(self, *, limit: int = 100) -> list[Grant]:
        async with self.database.write() as tx:
            granted = await backlog.grant_lines(
                tx,
                now=self.now,
                limits=self.limits,
                limit=limit,
            )
        return [item.grant for item in granted]

    async def grant_one(self) -> Grant:
        (grant,) = await self.grant()
        return grant

    async def accept(self, call_id: str) -> GrantAnswer:
        async with self.database.write() as tx:
            return await acceptance.accept_grant(tx, call_id, limits=self.limits, now=self.now)

    async def record_dialled(self, call_id: str, sid: str) -> None:
        async with self.database.write() as tx:
            await attempts.record_dialled(tx, call_id, sid, now=self.now)

    async def dial(self, call_id: str) -> str:
        """Accept the grant and let Twilio make the call; returns its CallSid."""
        assert isinstance(await self.accept(call_id), acceptance.Accepted)
        sid = f"CA{call_id.replace('-', '')}"
        await self.record_dialled(call_id, sid)
        return sid

    async def refuse(self, call_id: str, failure: FailureClass, *, message: str = "refused") -> bool:
        async with self.database.write() as tx:
            return await attempts.record_refused(tx, call_id, failure, error_code=None, message=message)

    async def hear(self, call_id: str, facts: CallFacts, *, key: str | None = None) -> Delivery | None:
        """A callback about a call."""
        self._told += 1
        received = Received("status", key or f"{call_id}:{self._told}", call_id, {}, self.now)
        async with self.database.write() as tx:
            return await callbacks.take_call_facts(tx, received, facts)

    async def end(self, call_id: str, status: CallStatus, **facts: Any) -> Delivery | None:
        """The callback that ends a call."""
        return await self.hear(call_id, CallFacts(status=status, sequence=9, ended_at=self.now, **facts))

    async def report(
        self, call_id: str, ending: Ending = Ending.REACHED_END, *, stream_sid: str | None = None, **more: Any
    ) -> conversations.Reported:
        report = ConversationReport(call_id=call_id, began_at=self.now, ended_at=self.now, ending=ending, **more)
        async with self.database.write() as tx:
            return await conversations.save_report(tx, report, now=self.now, stream_sid=stream_sid)

    async def claim(
        self, call_id: str, *, token: str = "token", sid: str | None = None, stream_sid: str = "MZ1"
    ) -> conversations.ClaimedCall:
        async with self.database.write() as tx:
            return await conversations.claim_stream(
                tx,
                token_id=token,
                call_id=call_id,
                call_sid=sid or f"CA{call_id.replace('-', '')}",
                stream_sid=stream_sid,
                now=self.now,
            )

    async def finish(self, call_id: str, *, wait_for_conversation: bool = False) -> AttemptEnd:
        async with self.database.write() as tx:
            end, _ = await attempts.finish_attempt(
                tx, call_id, now=self.now, wait_for_conversation=wait_for_conversation
            )
            return end

    async def attempt(self, status: CallStatus, **facts: Any) -> AttemptEnd:
        """The next grant, to its decision."""
        grant = await self.grant_one()
        await self.dial(grant.call_id)
        await self.end(grant.call_id, status, **facts)
        return await self.finish(grant.call_id)

    async def rejoin(self, lead_id: str) -> LeadStatus:
        async with self.database.write() as tx:
            return await backlog.rejoin(tx, lead_id, now=self.now)

    async def cancel(self, lead_id: str, *, hang_up: bool = True) -> bool:
        async with self.database.write() as tx:
            return await cancelling.cancel_lead(tx, lead_id, hang_up=hang_up, now=self.now)

    async def cancel_campaign(self, campaign: Campaign, *, hang_up: bool = True, limit: int = 1000) -> list[int]:
        """Its leads, page by page; how many each page had."""
        await self.set_status(campaign.id, CampaignStatus.CANCELLED)
        pages: list[int] = []
        while not pages or pages[-1]:
            async with self.database.write() as tx:
                pages.append(await cancelling.cancel_page(tx, campaign.id, hang_up=hang_up, now=self.now, limit=limit))
        return pages[:-1]

    # What can be seen

    async def read_lead(self, lead_id: str) -> Lead:
        async with self.database.read() as tx:
            return await leads.get(tx, lead_id)

    async def read_campaign(self, campaign: Campaign) -> Campaign:
        async with self.database.read() as tx:
            return await campaigns.get(tx, campaign.id)

    async def statuses(self, lead_id: str) -> list[str]:
        async with self.database.read() as tx:
            return [str(change.status) for change in await leads.history(tx, lead_id)]

    async def row(self, table: str, key: str) -> dict[str, Any]:
        chosen = schema.metadata.tables[table]
        async with self.database.read() as tx:
            return (await tx.execute(select(chosen).where(next(iter(chosen.primary_key)) == key))).one()._asdict()

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables, to show that something changed nothing."""
        async with self.database.read() as tx:
            return {
                table.name: sorted((tuple(row) for row in await tx.execute(select(table))), key=repr)
                for table in schema.metadata.sorted_tables
            }

    async def leased(self) -> int:
        async with self.database.read() as tx:
            return await numbers.leased_count(tx)

    async def clear(self) -> None:
        """An empty world again, at noon."""
        async with self.database.write() as tx:
            for table in reversed(schema.metadata.sorted_tables):
                await tx.execute(table.delete())
        self.now = NOON

    async def check(self) -> None:
        """What is true at every moment."""
        async with self.database.read() as tx:
            await _check_lines(tx)
            await _check_leads(tx)


async def _check_lines(tx: Transaction) -> None:
    lines, calls = schema.lines, schema.calls
    leased = (await tx.execute(select(lines).where(lines.c.call_id.is_not(None)))).all()
    holders = [line.call_id for line in leased]
    assert len(holders) == len(set(holders)), "a call holds two lines"
    live = (await tx.execute(select(calls).where(calls.c.progress.in_(LIVE)))).all()
    refused = (calls.c.progress == "not_created") & calls.c.settled_at.is_(None)
    waiting = set(await tx.scalars(select(calls.c.id).where(refused)))
    assert {call.id for call in live} <= set(holders), "a live call without a line"
    assert set(holders) == {call.id for call in live} | waiting, "a line that nobody uses is not free"
    for attribute in ("lead_id", "to_phone"):
        busy = [getattr(call, attribute) for call in live]
        assert len(busy) == len(set(busy)), f"two live calls with one {attribute}"
    numbers_of_lines = {line.call_id: line.number_id for line in leased}
    assert all(numbers_of_lines[call.id] == call.number_id for call in live)
    # A line past the channels of its number is only there while a call is on it.
    stray = await tx.execute(
        select(lines.c.id)
        .join(schema.numbers)
        .where(lines.c.call_id.is_(None), lines.c.channel >= schema.numbers.c.channels)
    )
    assert stray.all() == []


async def _check_leads(tx: Transaction) -> None:
    every_lead = (await tx.execute(select(schema.leads))).all()
    for campaign in (await tx.execute(select(schema.campaigns))).all():
        own = [lead for lead in every_lead if lead.campaign_id == campaign.id]
        still_open = sum(lead.status != LeadStatus.FINISHED for lead in own)
        assert campaign.open_leads == still_open, "open_leads is not the count"
        assert campaign.total_leads == len(own)
    history = schema.lead_history
    changes = (await tx.execute(select(history.c.lead_id, history.c.status).order_by(history.c.id))).all()
    for lead in every_lead:
        statuses = [LeadStatus.BACKLOG, *(LeadStatus(status) for lead_id, status in changes if lead_id == lead.id)]
        for before, after in pairwise(statuses):
            check_transition(before, after)
        assert statuses[-1] == lead.status, "the history does not end with the status"
        finished = lead.status == LeadStatus.FINISHED
        assert (lead.outcome is not None) == finished == (lead.finished_at is not None)
        assert (lead.call_id is not None) == (lead.status == LeadStatus.PROCESSING)
