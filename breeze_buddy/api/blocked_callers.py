"""The block list over REST: callers whom no number of ours answers."""

from fastapi import APIRouter, Response, status

from breeze_buddy.api.context import AContext
from breeze_buddy.domain.inbound import BlockedCaller
from breeze_buddy.domain.phone import E164
from breeze_buddy.store import blocked_callers
from breeze_buddy.store.blocked_callers import StoredBlock

router = APIRouter(prefix="/blocked-callers", tags=["blocked callers"])


@router.post("", status_code=status.HTTP_201_CREATED)
async def block(context: AContext, caller: BlockedCaller) -> StoredBlock:
    """Refuse this caller from now on. Blocking again changes the reason."""
    async with context.database.write() as tx:
        return await blocked_callers.block(tx, caller, now=context.database.now())


@router.get("")
async def list_all(context: AContext) -> list[StoredBlock]:
    """All callers who are not answered."""
    async with context.database.read() as tx:
        return await blocked_callers.listed(tx)


@router.delete("/{phone}", status_code=status.HTTP_204_NO_CONTENT)
async def unblock(context: AContext, phone: E164) -> Response:
    """Answer this caller again. 404 when the phone is not blocked."""
    async with context.database.write() as tx:
        await blocked_callers.unblock(tx, phone)
    return Response(status_code=status.HTTP_204_NO_CONTENT)
