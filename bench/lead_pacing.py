"""How closely calls follow each other: at a rate that is set, and when a line comes free.

The witness is the simulator: it notes when each `POST /Calls` reached it.
"""

import asyncio
import bisect
import itertools
import random
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bench.lead_stack import LeadStack, lead_stack, phones
from breeze_buddy.store.schema import calls

RATE = 5.0
"""Calls a second that are asked for in both measurements."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """Calls a second that were achieved, and the most in any one-second window."""

    calls: int
    per_s: float
    most_in_a_second: int


@dataclass(frozen=True, slots=True)
class Turnaround:
    """Seconds from a line coming free to the next call on it reaching Twilio; and from the end of the call before.

    The line is free when the attempt is settled in our database.
    """

    per_s: float
    from_free_s: tuple[float, ...]
    from_end_s: tuple[float, ...]


async def pacing(folder: Path, *, seconds: float, workers: int = 2) -> Pacing:
    """A campaign with more than enough lines and leads, held back by `TWILIO_CPS` only."""
    wanted = int(RATE * seconds)
    async with lead_stack(folder, workers=workers, TWILIO_CPS=f"{RATE:g}") as stack:
        number = await stack.number("+14155550100", channels=40)
        called = phones(wanted + 100)
        await stack.people([{"phone": phone, "ring_s": 1, "talk_s": 0} for phone in called])
        campaign_id = await stack.campaign("paced", [number], called, record=False)
        await stack.start(campaign_id)
        await asyncio.sleep(seconds + 5)
        created = created_s(await stack.witnessed())[:wanted]
    return Pacing(len(created), (len(created) - 1) / (created[-1] - created[0]), most_within(created, 1.0))


def most_within(moments: list[float], seconds: float) -> int:
    """The most of these (sorted) moments that lie in any half-open window of that length."""
    return max(bisect.bisect_left(moments, begin + seconds) - place for place, begin in enumerate(moments))


async def turnaround(folder: Path, *, seconds: float, numbers: int = 12) -> Turnaround:
    """Numbers of one line each, always busy, with calls that are long enough for about five a second in all."""
    chance = random.Random(1)
    length_s = numbers / RATE - 0.1
    async with lead_stack(folder) as stack:
        ours = [await stack.number(f"+1415555{place:04d}", channels=1) for place in range(numbers)]
        called = phones(int(RATE * seconds) + 50 + numbers)
        people = [{"phone": phone, "ring_s": length_s * chance.uniform(0.7, 1.3), "talk_s": 0} for phone in called]
        await stack.people(people)
        campaign_id = await stack.campaign("turnaround", ours, called, record=False)
        await stack.start(campaign_id)
        await asyncio.sleep(seconds)
        witnessed = await stack.witnessed()
        settled = await _settled(stack)
    from_free, from_end = [], []
    by_number = sorted(witnessed, key=lambda call: (call["from"], call["times"]["created"]))
    for _, of_number in itertools.groupby(by_number, key=lambda call: call["from"]):
        for before, after in itertools.pairwise(of_number):
            asked_s = _seconds(after["times"]["created"])
            if before["sid"] in settled and before["times"]["ended"] is not None:
                from_free.append(asked_s - settled[before["sid"]])
                from_end.append(asked_s - _seconds(before["times"]["ended"]))
    created = created_s(witnessed)
    rate = (len(created) - 1) / (created[-1] - created[0])
    return Turnaround(rate, tuple(sorted(from_free)), tuple(sorted(from_end)))


async def _settled(stack: LeadStack) -> dict[str, float]:
    async with stack.database.read() as tx:
        rows = await tx.execute(select(calls.c.sid, calls.c.settled_at).where(calls.c.settled_at.is_not(None)))
        return {row.sid: row.settled_at.timestamp() for row in rows}


def created_s(witnessed: list[dict[str, Any]]) -> list[float]:
    """When each call of the simulator's record was asked for, the earliest first."""
    return sorted(_seconds(call["times"]["created"]) for call in witnessed)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def percentile(ordered: tuple[float, ...], percent: float) -> float:
    """The value below which that many of a hundred lie."""
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]
