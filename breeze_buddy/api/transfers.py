"""Transfers of a call over REST: an operator asks for a human, and sees what came of it."""

from datetime import datetime

from fastapi import APIRouter, Response, status
from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.api.context import AContext
from breeze_buddy.domain.messages import TRANSFER_REQUESTED
from breeze_buddy.domain.transfer import TransferEnding, TransferView
from breeze_buddy.store import human_legs, overview, transfers
from breeze_buddy.store.database import Transaction

router = APIRouter(prefix="/calls/{call_id}", tags=["calls"])


class TransferInput(BaseModel):
    """Why a human is wanted."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=300, description="told to the human")


class LegAnswer(BaseModel):
    """One human's phone that was rung. `ending` is None while it rings, or after a talk."""

    phone: str
    dialled_at: datetime
    answered_at: datetime | None
    accepted_at: datetime | None
    ended_at: datetime | None
    ending: TransferEnding | None


class TransferAnswer(TransferView):
    """A transfer with the phones that were rung for it, the first one first."""

    legs: tuple[LegAnswer, ...] = ()


class Transfers(BaseModel):
    items: list[TransferAnswer]


async def _shown(tx: Transaction, view: TransferView) -> TransferAnswer:
    legs = await human_legs.of_transfer(tx, view.id)
    return TransferAnswer(
        **view.model_dump(), legs=[LegAnswer.model_validate(leg, from_attributes=True) for leg in legs]
    )


@router.post("/transfer", status_code=status.HTTP_201_CREATED)
async def transfer(
    context: AContext, call_id: str, response: Response, body: TransferInput | None = None
) -> TransferAnswer:
    """Hand the caller to a human of the template's team. 200, and the same transfer, while one is open; 409 when the
    call is not on, or its template names nobody."""
    reason = body.reason if body is not None else ""
    async with context.database.write() as tx:
        asked = await transfers.request(tx, call_id, asked_by="operator", reason=reason, now=context.database.now())
    if asked.new:
        await context.signals.to_workflow(asked.workflow_id, TRANSFER_REQUESTED, asked.start)
    else:
        response.status_code = status.HTTP_200_OK
    async with context.database.read() as tx:
        views = await transfers.of_call(tx, call_id)
        return await _shown(tx, next(view for view in views if view.id == asked.start.transfer_id))


@router.get("/transfers")
async def list_all(context: AContext, call_id: str) -> Transfers:
    """All transfers of a call, the oldest first."""
    async with context.database.read() as tx:
        await overview.call(tx, call_id)
        return Transfers(items=[await _shown(tx, view) for view in await transfers.of_call(tx, call_id)])
