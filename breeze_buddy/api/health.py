"""Whether this process can do its work."""

from datetime import timedelta
from typing import Literal

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel
from temporalio.client import Client
from temporalio.service import RPCError

from breeze_buddy.api.context import AContext

router = APIRouter(tags=["health"])

State = Literal["ok", "unreachable"]


class Health(BaseModel):
    status: State
    database: State
    temporal: State


@router.get("/health", responses={503: {"model": Health}})
async def health(context: AContext, request: Request, response: Response) -> Health:
    """200 when the database and Temporal answer, 503 otherwise."""
    database: State = "ok" if await context.database.answers() else "unreachable"
    temporal = await _temporal(request.app.state.temporal)
    good = database == temporal == "ok"
    if not good:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Health(status="ok" if good else "unreachable", database=database, temporal=temporal)


async def _temporal(client: Client) -> State:
    try:
        await client.service_client.check_health(timeout=timedelta(seconds=2))
    except RPCError:
        return "unreachable"
    return "ok"
