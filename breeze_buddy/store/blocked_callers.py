"""The block list: phones whose calls to us are refused."""

from datetime import datetime

from pydantic import ConfigDict
from sqlalchemy import delete, exists, select

from breeze_buddy.domain.inbound import BlockedCaller
from breeze_buddy.store.database import Transaction, insert_into
from breeze_buddy.store.errors import NotFound
from breeze_buddy.store.schema import blocked_callers


class StoredBlock(BlockedCaller):
    model_config = ConfigDict(extra="ignore")

    created_at: datetime


async def block(tx: Transaction, caller: BlockedCaller, *, now: datetime) -> StoredBlock:
    """Refuse this caller from now on; one that is blocked already gets the new reason."""
    await tx.execute(
        insert_into(tx, blocked_callers)
        .values(phone=caller.phone, reason=caller.reason, created_at=now)
        .on_conflict_do_update(index_elements=["phone"], set_={"reason": caller.reason})
    )
    row = (await tx.execute(select(blocked_callers).where(blocked_callers.c.phone == caller.phone))).one()
    return StoredBlock.model_validate(row._asdict())


async def unblock(tx: Transaction, phone: str) -> None:
    """Take calls from this phone again. Raises NotFound."""
    done = await tx.execute(delete(blocked_callers).where(blocked_callers.c.phone == phone))
    if done.rowcount == 0:
        raise NotFound("blocked caller", phone)


async def is_blocked(tx: Transaction, phone: str) -> bool:
    return bool(await tx.scalar(select(exists().where(blocked_callers.c.phone == phone))))


async def listed(tx: Transaction) -> list[StoredBlock]:
    """All of them, by phone."""
    rows = await tx.execute(select(blocked_callers).order_by(blocked_callers.c.phone))
    return [StoredBlock.model_validate(row._asdict()) for row in rows]
