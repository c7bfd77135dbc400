"""Pods: the media servers that take streams, and asking one to drain."""

from fastapi import APIRouter

from breeze_buddy.api.context import AContext
from breeze_buddy.domain.pod import Pod
from breeze_buddy.store import pods

router = APIRouter(prefix="/pods", tags=["pods"])


@router.get("")
async def list_all(context: AContext) -> list[Pod]:
    """All registered pods with their live streams; one that is silent, or that drains, is not ready."""
    async with context.database.read() as tx:
        return await pods.listed(tx, now=context.database.now())


@router.get("/{name}")
async def read(context: AContext, name: str) -> Pod:
    """One pod."""
    async with context.database.read() as tx:
        return await pods.get(tx, name, now=context.database.now())


@router.post("/{name}/drain")
async def drain(context: AContext, name: str) -> Pod:
    """Give a pod no new streams; its calls go on to their end. It takes streams again when it is started anew."""
    async with context.database.write() as tx:
        await pods.drain(tx, name)
        return await pods.get(tx, name, now=context.database.now())
