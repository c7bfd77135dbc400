"""The do-not-call list: asked before a lead is taken and before each dial, whichever campaign it is for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, bindparam, delete, select

from breeze_buddy.domain.do_not_call import LISTED, DoNotCallEntry, DoNotCallInput, ListingSource
from breeze_buddy.domain.phone import mask
from breeze_buddy.store.database import Transaction, insert_into
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.lookup import present
from breeze_buddy.store.schema import do_not_call


class DoNotCall(Conflict):
    """A lead whose phone is on the list."""

    code = "do_not_call"

    def __init__(self, phone: str) -> None:
        super().__init__(f"{mask(phone)} cannot be called: {LISTED}; taking it off is DELETE /do-not-call/PHONE")


async def add(
    tx: Transaction, phone: str, *, source: ListingSource, reason: str | None, call_id: str | None, now: datetime
) -> bool:
    """Put an E.164 phone on the list. False when it is there already: then its entry stays as it is."""
    done: CursorResult[Any] = await tx.execute(
        insert_into(tx, do_not_call)
        .values(phone=phone, source=source, reason=reason, call_id=call_id, created_at=now)
        .on_conflict_do_nothing(index_elements=["phone"])
    )
    return done.rowcount == 1


async def add_all(tx: Transaction, given: Sequence[DoNotCallInput], *, source: ListingSource, now: datetime) -> int:
    """Put many phones on the list; returns how many were not there. One that is given twice counts once."""
    new = {entry.phone: entry for entry in reversed(given)}
    for phone in await listed_among(tx, list(new)):
        del new[phone]
    if new:
        # Somebody else may have added one between the question and this.
        await tx.execute(
            insert_into(tx, do_not_call).on_conflict_do_nothing(index_elements=["phone"]),
            [
                {"phone": e.phone, "source": source, "reason": e.reason, "call_id": None, "created_at": now}
                # In one order, so that two who bring the same phones wait for each other and not both.
                for e in sorted(new.values(), key=lambda entry: entry.phone)
            ],
        )
    return len(new)


async def remove(tx: Transaction, phone: str) -> None:
    """Take a phone off the list. Raises NotFound."""
    done = await tx.execute(delete(do_not_call).where(do_not_call.c.phone == phone))
    if done.rowcount == 0:
        raise NotFound("phone on the do-not-call list", phone)


async def get(tx: Transaction, phone: str) -> DoNotCallEntry:
    """Raises NotFound."""
    row = (await tx.execute(select(do_not_call).where(do_not_call.c.phone == phone))).first()
    if row is None:
        raise NotFound("phone on the do-not-call list", phone)
    return DoNotCallEntry.model_validate(row._asdict())


# Made once: it is asked before every call.
_LISTED = select(do_not_call.c.phone).where(do_not_call.c.phone == bindparam("of_phone"))


async def is_listed(tx: Transaction, phone: str) -> bool:
    """Whether this E.164 phone is on the list."""
    return await tx.scalar(_LISTED, {"of_phone": phone}) is not None


async def listed_among(tx: Transaction, phones: Sequence[str]) -> set[str]:
    """Which of these E.164 phones are on the list."""
    return await present(tx, do_not_call.c.phone, phones)


async def listed(tx: Transaction, *, after: str | None = None, limit: int = 100) -> list[DoNotCallEntry]:
    """The list in the order of the phones, those that come after the phone `after` (on the list or not)."""
    query = select(do_not_call).order_by(do_not_call.c.phone).limit(limit)
    if after is not None:
        query = query.where(do_not_call.c.phone > after)
    return [DoNotCallEntry.model_validate(row._asdict()) for row in await tx.execute(query)]
