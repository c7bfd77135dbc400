"""What a decision looks at: campaigns with somebody to call, and the best of their due leads.

Each statement reads by an index, so that its time does not grow with the backlog.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnClause,
    ColumnElement,
    Integer,
    Row,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    null,
    select,
    text,
    union_all,
    update,
)

from breeze_buddy.domain.pacing import AccountLimits
from breeze_buddy.domain.window import CallingWindow, zones_of_text
from breeze_buddy.store import phone_limit
from breeze_buddy.store.backlog_indexes import LIVE_INBOUND, LIVE_OUTBOUND, NOT_CREATED_BUT_ALIVE, READY, WAITING
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.schema import (
    calls,
    campaign_numbers,
    campaign_zones,
    campaigns,
    leads,
    lines,
    templates,
)
from breeze_buddy.store.sharing import Candidate

# In the words of their partial indexes.
_RUNNING = text("campaigns.status = 'RUNNING' AND campaigns.open_leads > 0")
_UNACCEPTED = text("calls.progress = 'granted'")
_UNSETTLED = text("calls.settled_at IS NULL")

_LONGEST_CALL = timedelta(hours=5)
LEADS_A_LOOK = 20
MORE_THAN_LINES = 4  # some of them are somebody else's in this moment, or have one phone
_MADE_READY_AT_ONCE = 1000


_ONE: ColumnClause[int] = literal_column("1")


def _there_is(found: Select[Any]) -> ColumnElement[bool]:
    """Whether a row is found. Of two EXISTS with OR between them PostgreSQL would rather read the whole backlog, and
    without an order it looks for the first row by reading all from the beginning."""
    one = found.with_only_columns(_ONE).limit(_ONE)
    return one.scalar_subquery().is_not(None)


# Made once: what every decision asks is not put together anew each time.
# By zone, so that the index of ready leads is used: most of a backlog may be waiting.
_READY_IN_ZONE = _there_is(
    select(leads)
    .where(leads.c.campaign_id == campaign_zones.c.campaign_id, leads.c.zones == campaign_zones.c.zones, READY)
    .order_by(leads.c.priority.desc(), leads.c.attempts.desc(), leads.c.due_at)
)
_ZONE_WITH_READY = select(campaign_zones).where(campaign_zones.c.campaign_id == campaigns.c.id, _READY_IN_ZONE)
_DUE_AND_WAITING = select(leads).where(
    leads.c.campaign_id == campaigns.c.id, WAITING, leads.c.due_at <= bindparam("now")
)
_SOMEBODY = _there_is(_ZONE_WITH_READY) | _there_is(_DUE_AND_WAITING.order_by(leads.c.due_at))
_LIVE_CALLS = (
    select(lines.c.campaign_id, func.count().label("n"))
    .where(lines.c.call_id.is_not(None))
    .group_by(lines.c.campaign_id)
    .subquery()
)
_CANDIDATES = (
    select(
        campaigns,
        func.coalesce(_LIVE_CALLS.c.n, 0).label("live"),
        _there_is(_DUE_AND_WAITING.order_by(leads.c.due_at)).label("somebody_due"),
        templates.c.name.label("template_name"),
        templates.c.definition["calling_window"].label("window"),
    )
    .join(templates)
    .outerjoin(_LIVE_CALLS, _LIVE_CALLS.c.campaign_id == campaigns.c.id)
    .where(_RUNNING, _SOMEBODY)
)
_OF_CAMPAIGNS: BindParameter[str] = bindparam("of_campaigns", expanding=True)
_NUMBER, _ZONES = 0, 1
_THEIRS = union_all(
    select(
        literal_column(str(_NUMBER)).label("kind"), campaign_numbers.c.campaign_id, campaign_numbers.c.number_id
    ).where(campaign_numbers.c.campaign_id.in_(_OF_CAMPAIGNS)),
    select(literal_column(str(_ZONES)), campaign_zones.c.campaign_id, campaign_zones.c.zones).where(
        campaign_zones.c.campaign_id.in_(_OF_CAMPAIGNS)
    ),
)
IN_FLIGHT = select(calls.c.campaign_id, calls.c.dial_at).where(_UNACCEPTED).order_by(calls.c.granted_at)
# Asked for before the UPDATE: PostgreSQL may look for a page within it once for each row of the table.
_DUE_OF_CAMPAIGN = (
    select(leads.c.id)
    .where(leads.c.campaign_id == bindparam("of_campaign"), WAITING, leads.c.due_at <= bindparam("now"))
    .order_by(leads.c.due_at)
    .limit(bindparam("count", type_=Integer))
    # Somebody cancels or ends them in this moment: who waited for that might wait for us, too.
    .with_for_update(skip_locked=True)
)
_MADE_READY = update(leads).where(leads.c.id.in_(bindparam("of_leads", expanding=True))).values(ready=True)


async def candidates(tx: Transaction, in_flight: Counter[str], now: datetime) -> list[Candidate]:
    """Running campaigns that have somebody to call, by the clock alone."""
    rows = (await tx.execute(_CANDIDATES, {"now": now})).all()
    if not rows:
        return []
    found = {row.id: Candidate(row, row.live, in_flight[row.id], row.finish_tag) for row in rows}
    for kind, campaign_id, one in await tx.execute(_THEIRS, {"of_campaigns": list(found)}):
        if kind == _NUMBER:
            found[campaign_id].number_ids.add(one)
        else:
            found[campaign_id].zones.append(one)
    return list(found.values())


async def make_ready(tx: Transaction, campaign_ids: Sequence[str], now: datetime) -> None:
    """Leads that waited for a time which has come join those that are ready: of each campaign about as many."""
    count = max(_MADE_READY_AT_ONCE // max(len(campaign_ids), 1), LEADS_A_LOOK)
    for campaign_id in campaign_ids:
        found = (await tx.scalars(_DUE_OF_CAMPAIGN, {"of_campaign": campaign_id, "now": now, "count": count})).all()
        if found:
            await tx.execute(_MADE_READY, {"of_leads": found})


async def best_leads(
    tx: Transaction, candidate: Candidate, now: datetime, limits: AccountLimits, limit: int
) -> list[Row[Any]]:
    """The first of the campaign's ready leads whose zones are open, each zone looked up in its own index range. Those
    whose number has had its calls are among them, and have `had_enough_since`."""
    window = window_of(candidate.row.window)
    open_zones = [zones for zones in candidate.zones if window is None or _is_open(window, zones, _second(now))]
    if not open_zones:
        return []
    asked = {"of_campaign": candidate.id, "now": now, "long_ago": now - _LONGEST_CALL, "count": limit}
    asked |= phone_limit.binds(limits, now)
    rows = await tx.execute(
        _best(len(open_zones), limits.calls_per_phone is not None),
        asked | {f"zones_{place}": zones for place, zones in enumerate(open_zones)},
    )
    return list(rows.all())


@lru_cache
def _best(zones: int, limited: bool) -> Select[Any]:
    """The query for leads of so many zones; `limited`: a phone number may be called so often only."""
    parts = [_ready_leads(bindparam(f"zones_{place}")).subquery() for place in range(zones)]
    found = union_all(*(select(part) for part in parts)).subquery()
    best = (
        select(found)
        .order_by(found.c.priority.desc(), found.c.attempts.desc(), found.c.due_at)
        .limit(bindparam("count", type_=Integer))
    )
    if not limited:
        return best.add_columns(null().label("had_enough_since"))
    chosen = best.subquery()  # so that it is asked of these alone
    return select(chosen, phone_limit.had_enough_since(chosen.c.phone).label("had_enough_since")).order_by(
        chosen.c.priority.desc(), chosen.c.attempts.desc(), chosen.c.due_at
    )


_TO_GRANT = (leads.c.id, leads.c.phone, leads.c.status, leads.c.attempts, leads.c.priority, leads.c.due_at)


def _ready_leads(zones: BindParameter[str]) -> Select[Any]:
    called = exists().where(calls.c.to_phone == leads.c.phone, LIVE_OUTBOUND)
    # Among all that are not settled; by phone PostgreSQL would not look, as most calls are from the same few numbers of
    # ours.
    calling = exists().where(calls.c.from_phone == leads.c.phone, LIVE_INBOUND, _UNSETTLED)
    return (
        select(*_TO_GRANT)
        .where(
            leads.c.campaign_id == bindparam("of_campaign"),
            leads.c.zones == zones,
            READY,
            leads.c.due_at <= bindparam("now"),
            leads.c.cancel_requested_at.is_(None),
            leads.c.expires_at.is_(None) | (leads.c.expires_at > bindparam("now")),
            ~called,
            ~calling,
            ~_given_up_too_early(),
        )
        .order_by(leads.c.priority.desc(), leads.c.attempts.desc(), leads.c.due_at)
        .limit(bindparam("count", type_=Integer))
    )


def _given_up_too_early() -> ColumnElement[bool]:
    """The lead has an attempt that was settled as never made, and of which Twilio spoke afterwards: it rings."""
    return exists().where(
        calls.c.lead_id == leads.c.id,
        NOT_CREATED_BUT_ALIVE,
        calls.c.granted_at > bindparam("long_ago"),
    )


def _second(now: datetime) -> datetime:
    return now.replace(microsecond=0)


def window_of(definition: dict[str, Any] | None) -> CallingWindow | None:
    return CallingWindow.model_validate(definition) if definition is not None else None


@lru_cache(maxsize=10_000)
def _is_open(window: CallingWindow, zones: str, second: datetime) -> bool:
    return window.is_open(second, zones_of_text(zones))
