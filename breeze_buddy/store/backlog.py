"""Who gets the next free line: due leads of running campaigns meet free lines, in one transaction.

Between campaigns by weighted fair share (store/sharing.py); inside a campaign by priority, then retries before
fresh leads, then due time, among the leads whose calling window is open now on every clock they may have
(store/candidates.py). Which number calls is chosen in store/line_pool.py. No number is called while a call to it or
from it is live, whichever campaign asks. Lines are granted no further ahead than the rates allow (domain/pacing.py):
what is held back is granted when a call has been placed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    Row,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)

from breeze_buddy.domain.call import Direction, Progress
from breeze_buddy.domain.lead import LeadStatus, before_all, check_transition
from breeze_buddy.domain.pacing import HORIZON, AccountLimits, slot, spacing
from breeze_buddy.domain.window import zones_of_text
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store import pacing, phone_limit
from breeze_buddy.store.backlog_indexes import EXPIRING, READY, STILL_READY, WAITING
from breeze_buddy.store.candidates import (
    IN_FLIGHT,
    LEADS_A_LOOK,
    MORE_THAN_LINES,
    best_leads,
    candidates,
    make_ready,
    window_of,
)
from breeze_buddy.store.database import Transaction, serialise_dispatch
from breeze_buddy.store.grants import Granted, granted
from breeze_buddy.store.line_pool import LinePool, NumberLines, day_after, has_daily_cap, line_pool
from breeze_buddy.store.schema import (
    calls,
    campaign_zones,
    campaigns,
    lead_history,
    leads,
    templates,
)
from breeze_buddy.store.sharing import Candidate, Sharing

_MOST_PASSED_OVER = 100

_CALLS = insert(calls)
_PROCESSING = (
    update(leads)
    .where(leads.c.id == bindparam("of_lead"))
    .values(status=LeadStatus.PROCESSING, call_id=bindparam("of_call"), grants=leads.c.grants + 1)
)
_NOTED = insert(lead_history)
_READY_STILL = (
    select(leads.c.id)
    .where(leads.c.id == bindparam("lead_id"), STILL_READY, leads.c.cancel_requested_at.is_(None))
    .with_for_update(skip_locked=True)
)
_TAGGED = update(campaigns).where(campaigns.c.id == bindparam("of_campaign"))


@dataclass(frozen=True, slots=True)
class ToWake:
    """A campaign whose workflow waits for a later moment than it should."""

    campaign_id: str
    workflow_id: str
    name: str
    template_name: str


async def grant_lines(
    tx: Transaction, *, now: datetime, limits: AccountLimits, limit: int = 100, to_wake: list[ToWake] | None = None
) -> list[Granted]:
    """Lease up to `limit` free lines to due leads, and say which to whom. Campaigns that have to be woken, because
    leads of theirs are due before their workflows know, are added to `to_wake`."""
    await serialise_dispatch(tx)
    pool = await line_pool(tx, now=now)
    if pool.empty:
        return []
    decision = await _Decision.begin(tx, pool, limits, now)
    made: list[Granted] = []
    while len(made) < limit:
        grant = await decision.next_grant()
        if grant is None:
            break
        made.append(grant)
    await decision.end()
    if to_wake is not None:
        to_wake += decision.to_wake
    return made


class _Decision:
    """One look at campaigns, leads and lines, and what it grants."""

    def __init__(
        self,
        tx: Transaction,
        pool: LinePool,
        sharing: Sharing,
        account: Row[Any],
        in_flight: Sequence[tuple[str, datetime]],
        limits: AccountLimits,
        now: datetime,
    ) -> None:
        self._tx = tx
        self._pool = pool
        self._sharing = sharing
        self._all = tuple(sharing.candidates)
        self._account = account
        self._limits = limits
        self._now = now
        # A call that waits for the turn of its own slow campaign takes no turn of the account's from the others.
        self._near = slot(now, account.next_dial_at) + HORIZON
        self._in_flight = sum(dial_at <= self._near for _, dial_at in in_flight)
        self._held = False
        self._served: dict[str, float] = {}
        self._phones: set[str] = set()
        self._passed_over = 0
        self._put_off = 0
        self._to_wake: set[str] = set()
        self._calls: list[dict[str, Any]] = []

    @classmethod
    async def begin(cls, tx: Transaction, pool: LinePool, limits: AccountLimits, now: datetime) -> "_Decision":
        # Locked: a call that takes its turn meanwhile is not in flight any more, or hears from us that others wait.
        account = await pacing.account_clock(tx)
        in_flight = [(row.campaign_id, row.dial_at) for row in await tx.execute(IN_FLIGHT)]
        found = await candidates(tx, Counter(campaign_id for campaign_id, _ in in_flight), now)
        await make_ready(tx, [candidate.id for candidate in found if candidate.row.somebody_due], now)
        able = [c for c in found if c.may_call and pool.usable(c.number_ids)]
        sharing = Sharing(able, pool.channels, account.virtual_time)
        return cls(tx, pool, sharing, account, in_flight, limits, now)

    async def next_grant(self) -> Granted | None:
        """The next line to the next lead; None when there is no more to grant."""
        while not self._pool.empty and (candidate := self._sharing.next()) is not None:
            if not candidate.may_call:
                self._sharing.withdraw(candidate)
                continue
            lead = await self._next_lead(candidate)
            number = self._pool.choose(candidate.number_ids, lead.phone) if lead is not None else None
            if lead is None or number is None:
                self._sharing.withdraw(candidate)
                continue
            # Only now, so that nothing counts as held back that has nobody to call.
            dial_at = self._dial_at(candidate)
            if dial_at is None:
                self._held = True
                self._sharing.withdraw(candidate)
                continue
            candidate.leads.popleft()
            if not await _still_waits(self._tx, lead.id):
                self._phones.add(lead.phone)  # nor looked for again in this decision
                self._passed_over += 1
                continue
            return self._lease(candidate, lead, number, dial_at)
        return None

    async def _write(self) -> None:
        """What was granted since the last time: calls, their lines, and the leads' new status."""
        if not self._calls:
            return
        tx, now, granted_calls = self._tx, self._now, self._calls
        self._calls = []
        await tx.execute(_CALLS, granted_calls)
        await self._pool.lease(tx, granted_calls, now)
        await tx.execute(_PROCESSING, [{"of_lead": call["lead_id"], "of_call": call["id"]} for call in granted_calls])
        await tx.execute(
            _NOTED,
            [
                {
                    "lead_id": call["lead_id"],
                    "status": LeadStatus.PROCESSING,
                    "reason": f"line granted for attempt {call['attempt']}",
                    "at": now,
                }
                for call in granted_calls
            ],
        )

    async def end(self) -> None:
        """Write down what was given to whom, and whether something was held back."""
        await self._write()
        for campaign_id, tag in self._served.items():
            await self._tx.execute(_TAGGED, {"of_campaign": campaign_id, "finish_tag": tag})
        if self._served or self._held != self._account.held:
            await pacing.set_account_clock(self._tx, held=self._held, virtual_time=self._sharing.virtual_time)

    @property
    def to_wake(self) -> list[ToWake]:
        """Campaigns whose workflows are to look at the time again."""
        rows = [candidate.row for candidate in self._all if candidate.id in self._to_wake]
        return [ToWake(row.id, row.workflow_id, row.name, row.template_name) for row in rows]

    def _dial_at(self, candidate: Candidate) -> datetime | None:
        """When its call may be placed as things stand; None when others are to be placed before that is decided."""
        of_all = spacing(self._limits.calls_per_second) * self._in_flight
        at = slot(self._now, self._account.next_dial_at) + of_all
        rate = candidate.row.calls_per_second
        own = self._now
        if rate is not None:
            own = slot(self._now, candidate.row.next_dial_at) + spacing(rate) * candidate.in_flight
        if self._in_flight and at > self._now + HORIZON:
            return None
        if candidate.in_flight and own > self._now + HORIZON:
            return None
        return max(at, own)

    async def _next_lead(self, candidate: Candidate) -> Row[Any] | None:
        """The best lead that is left; nobody is granted two lines in one decision."""
        while True:
            while candidate.leads and candidate.leads[0].phone in self._phones:
                candidate.leads.popleft()
            if candidate.leads:
                return candidate.leads[0]
            if candidate.exhausted:
                return None
            await self._write()  # so that nobody is found who was granted a line
            # Further than those that somebody else holds in this moment.
            look = min(self._pool.free + MORE_THAN_LINES, LEADS_A_LOOK) + self._passed_over + self._put_off
            found = await best_leads(self._tx, candidate, self._now, self._limits, look)
            candidate.exhausted = len(found) < look or self._passed_over > _MOST_PASSED_OVER
            had_enough = [lead for lead in found if lead.had_enough_since is not None]
            if had_enough:
                found = [lead for lead in found if lead.had_enough_since is None]
                await self._put_them_off(candidate, had_enough)
            candidate.leads.extend(found)
            if found and all(lead.phone in self._phones for lead in found):
                candidate.exhausted = True

    async def _put_them_off(self, candidate: Candidate, had_enough: Sequence[Row[Any]]) -> None:
        """Leads whose numbers have had their calls wait until they may be called again."""
        put_off = await phone_limit.put_off(self._tx, candidate.id, had_enough, self._limits, now=self._now)
        self._put_off += put_off.count
        if put_off.count < len(had_enough):
            self._phones.update(lead.phone for lead in had_enough)
            self._passed_over += len(had_enough) - put_off.count
        if self._put_off >= phone_limit.MOST_AT_ONCE and not candidate.exhausted:
            candidate.exhausted = True  # others wait for this transaction; the campaign's workflow looks further
            self._to_wake.add(candidate.id)
        elif put_off.wakes_earlier:
            self._to_wake.add(candidate.id)

    def _lease(self, candidate: Candidate, lead: Row[Any], number: NumberLines, dial_at: datetime) -> Granted:
        check_transition(LeadStatus(lead.status), LeadStatus.PROCESSING)
        campaign = candidate.row
        call_id, attempt = str(uuid4()), lead.attempts + 1
        self._calls.append(
            {
                "id": call_id,
                "direction": Direction.OUTBOUND,
                "lead_id": lead.id,
                "campaign_id": campaign.id,
                "number_id": number.id,
                "attempt": attempt,
                "from_phone": number.phone,
                "to_phone": lead.phone,
                "progress": Progress.GRANTED,
                "granted_at": self._now,
                "dial_at": dial_at,
                "no_media": False,
                "cancelled_by_us": False,
                "streams": 0,
                "sequence": -1,
            }
        )
        self._pool.take(number)
        self._phones.add(lead.phone)
        self._sharing.served(candidate)
        self._served[campaign.id] = candidate.tag
        self._in_flight += dial_at <= self._near
        return granted(
            call_id,
            dial_at,
            attempt,
            lead,
            campaign_id=campaign.id,
            name=campaign.name,
            template=campaign.template_name,
        )


async def _still_waits(tx: Transaction, lead_id: str) -> bool:
    """Lock a lead that was read; one that somebody else changes in this moment is left to them."""
    if tx.dialect.name == "sqlite":
        return True  # a write is alone there
    return (await tx.execute(_READY_STILL, {"lead_id": lead_id})).first() is not None


async def next_wake(tx: Transaction, campaign_id: str, *, now: datetime) -> datetime | None:
    """The next moment at which a line can be granted that cannot be granted now, and that no call's end announces:
    a lead of the backlog becomes due or expires, a calling window opens, a number's day begins.
    """
    own = leads.c.campaign_id == campaign_id
    moments: list[datetime | None] = [
        await tx.scalar(select(func.min(leads.c.due_at)).where(own, WAITING, leads.c.due_at > now)),
        await tx.scalar(
            select(leads.c.expires_at)
            # Not by the campaign's index, which would be read and sorted whole.
            .where(leads.c.campaign_id.concat("") == campaign_id, EXPIRING, leads.c.expires_at > now)
            .order_by(leads.c.expires_at)
            .limit(1)
        ),
    ]
    row = (
        await tx.execute(
            select(templates.c.definition["calling_window"].label("window"))
            .select_from(campaigns.join(templates))
            .where(campaigns.c.id == campaign_id)
        )
    ).one()
    window = window_of(row.window)
    if window is not None:
        zones = select(campaign_zones.c.zones).where(campaign_zones.c.campaign_id == campaign_id)
        due = select(leads.c.id).where(own, WAITING, leads.c.due_at <= now).order_by(leads.c.due_at).limit(1)
        if await tx.scalar(due) is None:
            zones = zones.where(exists().where(own, leads.c.zones == campaign_zones.c.zones, READY))
        # Else somebody became due while no line was free, and nobody has looked whose zone that is.
        opens = (window.next_open(now, zones_of_text(zone)) for zone in await tx.scalars(zones))
        moments.extend(moment for moment in opens if moment > now)
    if await has_daily_cap(tx, campaign_id):
        # Also while calls are left of today: nobody would tell when they are used up.
        moments.append(day_after(now))
    return min((moment for moment in moments if moment is not None), default=None)


async def rejoin(tx: Transaction, lead_id: str, *, now: datetime) -> LeadStatus:
    """A lead whose cooldown is over goes from RETRY to the backlog; any other stays. Returns its status."""
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    if lead.status != LeadStatus.RETRY:
        return LeadStatus(lead.status)
    await lead_rows.move(tx, lead, LeadStatus.BACKLOG, now=now, reason="cooldown over", due_at=now)
    return LeadStatus.BACKLOG


async def call_now(tx: Transaction, lead_id: str, *, now: datetime) -> LeadStatus:
    """A lead in the backlog or in its cooldown becomes due now, before all others of its campaign. After that attempt
    it has its own priority again.

    Raises NotFound, and IllegalTransition when a call to it is on or it is FINISHED.
    """
    lead = await lead_rows.row_of(tx, lead_id, lock=True)
    first: dict[str, Any] = {"due_at": now, "priority": before_all(lead.priority)}
    if lead.status == LeadStatus.BACKLOG:
        await tx.execute(update(leads).where(leads.c.id == lead_id).values(ready=True, **first))
    else:
        await lead_rows.move(tx, lead, LeadStatus.BACKLOG, now=now, reason="to be called now", **first)
    return LeadStatus.BACKLOG
