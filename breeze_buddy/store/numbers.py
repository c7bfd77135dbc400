"""Our phone numbers, and their lines: one row for each channel, leased or free."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from breeze_buddy.domain.number import Number, NumberInput, NumberUpdate
from breeze_buddy.store.database import Transaction, serialise_dispatch
from breeze_buddy.store.errors import Conflict, NotFound
from breeze_buddy.store.schema import calls, lines, numbers


def _number(row: Row[Any]) -> Number:
    return Number.model_validate(row._asdict())


async def create(tx: Transaction, number: NumberInput, *, now: datetime) -> Number:
    """Register a number with its lines. Raises Conflict when it is registered already."""
    number_id = str(uuid4())
    try:
        async with tx.begin_nested():
            await tx.execute(insert(numbers).values(id=number_id, created_at=now, **number.model_dump(mode="json")))
    except IntegrityError as error:
        raise Conflict(f"{number.phone} is registered already: change its channels instead") from error
    await _fit_lines(tx, number_id, number.channels)
    return await get(tx, number_id)


async def check_new(tx: Transaction, phone: str) -> None:
    """Raises Conflict when the number is registered already."""
    if await tx.scalar(select(numbers.c.id).where(numbers.c.phone == phone)) is not None:
        raise Conflict(f"{phone} is registered already: change its channels or its inbound policy instead")


async def change(tx: Transaction, number_id: str, wanted: NumberUpdate) -> Number:
    """Change channels or switch the number on or off; calls that are on go on. Raises NotFound."""
    # A line that is being granted now must not be taken away.
    await serialise_dispatch(tx)
    values = wanted.model_dump(mode="json", exclude_none=True)
    if "daily_cap" in wanted.model_fields_set:
        values["daily_cap"] = wanted.daily_cap
    if "inbound" in wanted.model_fields_set:
        values["inbound"] = wanted.inbound.model_dump(mode="json") if wanted.inbound else None
    if values:
        done = await tx.execute(update(numbers).where(numbers.c.id == number_id).values(**values))
        if done.rowcount == 0:
            raise NotFound("number", number_id)
    if wanted.channels is not None:
        await _fit_lines(tx, number_id, wanted.channels)
    return await get(tx, number_id)


async def get(tx: Transaction, number_id: str) -> Number:
    """Raises NotFound."""
    row = (await tx.execute(select(numbers).where(numbers.c.id == number_id))).first()
    if row is None:
        raise NotFound("number", number_id)
    return _number(row)


async def listed(tx: Transaction) -> list[Number]:
    return [_number(row) for row in await tx.execute(select(numbers).order_by(numbers.c.phone))]


async def ids_of(tx: Transaction, phones: tuple[str, ...]) -> list[str]:
    """The ids of registered numbers, in the order asked for. Raises NotFound for one that is not registered."""
    rows = await tx.execute(select(numbers.c.phone, numbers.c.id).where(numbers.c.phone.in_(phones)))
    known = {row.phone: row.id for row in rows}
    for phone in phones:
        if phone not in known:
            raise NotFound("registered number", phone)
    return [known[phone] for phone in phones]


async def ensure(tx: Transaction, phone: str, *, now: datetime) -> str:
    """The id of the number `phone`, registered with one channel when it is new."""
    row = (await tx.execute(select(numbers.c.id).where(numbers.c.phone == phone))).first()
    if row is not None:
        return str(row.id)
    return (await create(tx, NumberInput(phone=phone), now=now)).id


async def _fit_lines(tx: Transaction, number_id: str, channels: int) -> None:
    """As many lines as channels. A leased line beyond them stays until its call has ended (see `free`)."""
    rows = await tx.execute(select(lines.c.channel).where(lines.c.number_id == number_id))
    there = {row.channel for row in rows}
    missing = [channel for channel in range(channels) if channel not in there]
    if missing:
        await tx.execute(
            insert(lines), [{"id": str(uuid4()), "number_id": number_id, "channel": channel} for channel in missing]
        )
    await tx.execute(
        delete(lines).where(lines.c.number_id == number_id, lines.c.channel >= channels, lines.c.call_id.is_(None))
    )


# With the number's lock, so that channels taken away in this moment are seen, or see the line free.
_LINE_OF = (
    select(lines.c.id, lines.c.channel, numbers.c.channels)
    .join(numbers)
    .where(lines.c.call_id == bindparam("of_call"))
    .with_for_update(read=True, of=numbers)
)
_FREED = update(lines).where(lines.c.id == bindparam("line_id"))


async def free_line(tx: Transaction, call_id: str) -> bool:
    """Give back the line of an attempt. False when it had none: freeing twice does nothing."""
    line = (await tx.execute(_LINE_OF, {"of_call": call_id})).first()
    if line is None:
        return False
    if line.channel >= line.channels:
        await tx.execute(delete(lines).where(lines.c.id == line.id))
    else:
        await tx.execute(_FREED, {"line_id": line.id, "call_id": None, "campaign_id": None, "leased_at": None})
    return True


async def held_by_settled_calls(tx: Transaction) -> list[str]:
    """Ids of calls that are settled and still have a line."""
    held = lines.join(calls, lines.c.call_id == calls.c.id)
    return [
        str(found)
        for found in await tx.scalars(select(calls.c.id).select_from(held).where(calls.c.settled_at.is_not(None)))
    ]


async def lease_free_line(tx: Transaction, number_id: str, call_id: str, *, now: datetime) -> bool:
    """Give a call to us a free line of its number, if there is one. The caller holds `serialise_dispatch`."""
    free = await tx.scalar(
        select(lines.c.id)
        .where(lines.c.number_id == number_id, lines.c.call_id.is_(None))
        .order_by(lines.c.channel)
        .limit(1)
    )
    if free is None:
        return False
    await tx.execute(update(lines).where(lines.c.id == free).values(call_id=call_id, leased_at=now))
    return True


async def leased_count(tx: Transaction) -> int:
    """How many lines are leased now."""
    return int(await tx.scalar(select(func.count()).select_from(lines).where(lines.c.call_id.is_not(None))) or 0)
