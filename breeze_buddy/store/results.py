"""What became of a campaign's leads, page by page, for whoever takes all of it away.

Pages go by phone and id: both are in one index, so that the last page costs what the first one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, String, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from breeze_buddy.store.database import Transaction
from breeze_buddy.store.pages import behind
from breeze_buddy.store.schema import calls, conversations, leads

_NAMES = {
    "sqlite": (
        "SELECT DISTINCT named.key FROM leads, json_each(leads.variables) AS named WHERE leads.campaign_id = :campaign",
        "SELECT DISTINCT named.key FROM calls JOIN conversations ON conversations.call_id = calls.id,"
        " json_each(conversations.report, '$.answers') AS named WHERE calls.campaign_id = :campaign",
    ),
    "postgresql": (
        "SELECT DISTINCT json_object_keys(variables) FROM leads WHERE campaign_id = :campaign",
        "SELECT DISTINCT json_object_keys(conversations.report -> 'answers') FROM calls"
        " JOIN conversations ON conversations.call_id = calls.id WHERE calls.campaign_id = :campaign",
    ),
}


@dataclass(frozen=True, slots=True)
class Names:
    """The variables and the answers that at least one lead of a campaign has, sorted."""

    variables: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call: its row, and what its conversation brought, if it was reported."""

    row: Row[Any]
    ending: str | None
    result: str | None
    answers: dict[str, str]


@dataclass(frozen=True, slots=True)
class LeadResult:
    """One lead: its row and its calls, the oldest first."""

    row: Row[Any]
    calls: list[CallResult] = field(default_factory=list)


async def names(tx: Transaction, campaign_id: str) -> Names:
    """What the columns of a campaign's results are called, as of now."""
    variables, answers = [
        tuple(sorted(await tx.scalars(text(query), {"campaign": campaign_id}))) for query in _NAMES[tx.dialect.name]
    ]
    return Names(variables, answers)


async def page(tx: Transaction, campaign_id: str, *, after: Row[Any] | None, limit: int) -> list[LeadResult]:
    """Leads with their calls in the order of their phones, those after the lead `after`."""
    query = select(leads).where(leads.c.campaign_id == campaign_id).order_by(leads.c.phone, leads.c.id).limit(limit)
    if after is not None:
        query = query.where(behind((leads.c.phone, leads.c.id), (after.phone, after.id)))
    found = {row.id: LeadResult(row) for row in await tx.execute(query)}
    for call in await _calls_of(tx, list(found)):
        answers = call.answers if isinstance(call.answers, dict) else {}
        found[call.lead_id].calls.append(CallResult(call, call.ending, call.result, answers))
    return list(found.values())


async def _calls_of(tx: Transaction, lead_ids: list[str]) -> Sequence[Row[Any]]:
    """Without the transcripts, which may be long."""
    report = conversations.c.report
    query = (
        select(
            calls,
            report["ending"].as_string().label("ending"),
            report["result"].as_string().label("result"),
            report["answers"].label("answers"),
        )
        .join(conversations, conversations.c.call_id == calls.c.id, isouter=True)
        .order_by(calls.c.granted_at, calls.c.id)
    )
    if tx.dialect.name == "postgresql":
        # As in `lookup.present`: joined, each id is looked up; a long list after IN is not.
        wanted = func.unnest(cast(lead_ids, ARRAY(String))).table_valued("lead_id", name="wanted").render_derived()
        query = query.join(wanted, wanted.c.lead_id == calls.c.lead_id)
    else:
        query = query.where(calls.c.lead_id.in_(lead_ids))
    return (await tx.execute(query)).all() if lead_ids else []
