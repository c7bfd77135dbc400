"""Somebody else, who asks the same API for something small while it has much to do."""

import asyncio
import time

import httpx

EVERY_S = 0.02


async def waits_ms(url: str, done: asyncio.Event) -> list[float]:
    """How long each answer took that was asked for at `url` until `done`. Raises httpx.HTTPError."""
    found = []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        while not done.is_set():
            began_s = time.perf_counter()
            (await client.get(url)).raise_for_status()
            found.append((time.perf_counter() - began_s) * 1000)
            await asyncio.sleep(EVERY_S)
    return found
