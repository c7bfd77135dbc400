"""Who calls us: the lead behind a phone, what is known of the last call, and the lead that need not be called again."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, case, or_, select

from breeze_buddy.domain.call import Direction
from breeze_buddy.domain.conversation import ConversationReport
from breeze_buddy.domain.inbound import InboundPolicy, spares_the_next_call
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.store import leads as lead_rows
from breeze_buddy.store.database import Transaction
from breeze_buddy.store.facts import attempt_of, locked_call, report_of
from breeze_buddy.store.schema import calls, conversations, leads, numbers

LAST_RESULT = "last_result"
LAST_CALLED_AT = "last_called_at"


async def caller_lead(tx: Transaction, phone: str) -> Row[Any] | None:
    """The latest lead with this phone; one that is not FINISHED comes before all that are."""
    finished = case((leads.c.status == LeadStatus.FINISHED, 1), else_=0)
    query = select(leads).where(leads.c.phone == phone).order_by(finished, leads.c.created_at.desc(), leads.c.id.desc())
    return (await tx.execute(query.limit(1))).first()


async def variables_of(tx: Transaction, call: Row[Any]) -> dict[str, str]:
    """What fills the messages of a call to us: the caller's lead, and the last call with that phone.

    `last_result` is the result that its conversation named, or else how the call ended in Twilio's word;
    `last_called_at` is ISO 8601 in UTC. Both are absent for somebody with whom there was no call.
    """
    variables: dict[str, str] = {}
    if call.lead_id is not None:
        variables |= (await lead_rows.get(tx, call.lead_id)).variables
    phone = call.from_phone
    with_them = or_(
        and_(calls.c.to_phone == phone, calls.c.direction == Direction.OUTBOUND),
        and_(calls.c.from_phone == phone, calls.c.direction == Direction.INBOUND),
    )
    query = (
        select(calls.c.granted_at, calls.c.status, conversations.c.report)
        .join(conversations, conversations.c.call_id == calls.c.id, isouter=True)
        .where(with_them, calls.c.id != call.id, calls.c.granted_at <= call.granted_at, calls.c.status.is_not(None))
        .order_by(calls.c.granted_at.desc())
        .limit(1)
    )
    last = (await tx.execute(query)).first()
    if last is not None:
        report = ConversationReport.model_validate(last.report) if last.report else None
        variables[LAST_RESULT] = (report.result if report else None) or last.status
        variables[LAST_CALLED_AT] = last.granted_at.isoformat(timespec="seconds")
    return variables


async def spare_caller(tx: Transaction, call_id: str, *, now: datetime) -> str | None:
    """Finish the lead of a caller who need not be called again; returns its id. Raises NotFound.

    That is a lead that waits for its next attempt, when the number's policy says so and the conversation
    came to its end, or when the caller asked not to be called. A second run finds it finished by this call.
    """
    call = await locked_call(tx, call_id)
    report = await report_of(tx, call_id)
    if call.lead_id is None or report is None:
        return None
    given = await tx.scalar(select(numbers.c.inbound).where(numbers.c.id == call.number_id))
    policy = InboundPolicy.model_validate(given) if given is not None else None
    outcome = spares_the_next_call(attempt_of(call, report), ends_campaign=policy is not None and policy.ends_campaign)
    if outcome is None:
        return None
    lead = await lead_rows.row_of(tx, call.lead_id, lock=True)
    if _waits(lead, outcome):
        await lead_rows.move(tx, lead, LeadStatus.FINISHED, now=now, reason=_reason(call), outcome=outcome)
        return str(lead.id)
    if lead.status == LeadStatus.FINISHED:
        last = (await lead_rows.history(tx, lead.id))[-1]
        return str(lead.id) if last.reason == _reason(call) else None
    return None


def _waits(lead: Row[Any], outcome: Outcome) -> bool:
    """Whether no call to this lead is on, and one was or must not be."""
    if lead.status == LeadStatus.RETRY:
        return True
    return bool(lead.status == LeadStatus.BACKLOG and (lead.grants > 0 or outcome is Outcome.DO_NOT_CALL))


def _reason(call: Row[Any]) -> str:
    return f"reached by their own call {call.sid}"
