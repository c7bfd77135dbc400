"""Our phone numbers over REST."""

from fastapi import APIRouter, status

from breeze_buddy.api.context import AContext
from breeze_buddy.domain.number import Number, NumberInput, NumberUpdate
from breeze_buddy.store import numbers

router = APIRouter(prefix="/numbers", tags=["numbers"])


@router.post("", status_code=status.HTTP_201_CREATED)
async def create(context: AContext, number: NumberInput) -> Number:
    """Register a number that the Twilio account owns. 409 when it is registered."""
    async with context.database.write() as tx:
        return await numbers.create(tx, number, now=context.database.now())


@router.get("")
async def list_all(context: AContext) -> list[Number]:
    async with context.database.read() as tx:
        return await numbers.listed(tx)


@router.get("/{number_id}")
async def read(context: AContext, number_id: str) -> Number:
    async with context.database.read() as tx:
        return await numbers.get(tx, number_id)


@router.patch("/{number_id}")
async def change(context: AContext, number_id: str, wanted: NumberUpdate) -> Number:
    """Change its channels, or switch it off or on; calls that are on go on. New lines are used at once."""
    async with context.database.write() as tx:
        number = await numbers.change(tx, number_id, wanted)
    await context.dispatcher.dispatch()
    return number
