"""Which campaign gets the next line: weighted fair sharing of lines, then of calls.

A campaign that has fewer live calls than its part of the lines of its numbers (by weight, rounded down) comes
first: long calls take nothing from others. What is left over goes by start-time fair queueing: every call moves a
campaign's tag on by 1 / weight, the smallest tag is next, and who was away comes in at the others' virtual time.
So no campaign starves, and with calls of any length the shares go to the weights. Every step of a campaign's
priority doubles its weight.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from math import floor
from typing import Any

from sqlalchemy import Row

_MOST_STEPS = 20


@dataclass(slots=True)
class Candidate:
    """A running campaign in one decision."""

    row: Row[Any]
    live: int
    # Granted, and not taken up by a worker yet.
    in_flight: int
    tag: float
    number_ids: set[str] = field(default_factory=set)
    zones: list[str] = field(default_factory=list)
    # Due leads, the best first, and whether there may be more of them.
    leads: deque[Row[Any]] = field(default_factory=deque)
    exhausted: bool = False

    @property
    def id(self) -> str:
        campaign_id: str = self.row.id
        return campaign_id

    @property
    def weight(self) -> float:
        """Its weight, doubled by every step of priority."""
        return float(self.row.weight * 2.0 ** max(-_MOST_STEPS, min(self.row.priority, _MOST_STEPS)))

    @property
    def may_call(self) -> bool:
        limit = self.row.max_concurrent_calls
        return limit is None or self.live < limit


class Sharing:
    """The order among the candidates of one decision."""

    def __init__(self, candidates: list[Candidate], channels: dict[str, int], virtual_time: float) -> None:
        self.candidates = candidates
        self.virtual_time = virtual_time
        self._channels = channels
        self._entitled: dict[str, int] = {}
        self._divide()

    def next(self) -> Candidate | None:
        """Who is next, among those that are left."""
        return min(self.candidates, key=self._order, default=None)

    def withdraw(self, candidate: Candidate) -> None:
        """It has nothing more to call, or may not: the others share its part."""
        self.candidates.remove(candidate)
        self._divide()

    def served(self, candidate: Candidate) -> None:
        """It was given a line."""
        self.virtual_time = max(self.virtual_time, min(each.tag for each in self.candidates))
        candidate.tag = max(self.virtual_time, candidate.tag) + 1 / candidate.weight
        candidate.live += 1
        candidate.in_flight += 1

    def _order(self, candidate: Candidate) -> tuple[bool, float, float, datetime, str]:
        within = candidate.live < self._entitled.get(candidate.id, 0)
        tag = candidate.live / candidate.weight if within else max(self.virtual_time, candidate.tag)
        return (not within, tag, -candidate.weight, candidate.row.created_at, candidate.id)

    def _divide(self) -> None:
        """Each one's part of the lines: of every number by weight among the campaigns that use it, rounded down."""
        users: dict[str, float] = {}
        for candidate in self.candidates:
            for number_id in candidate.number_ids:
                users[number_id] = users.get(number_id, 0.0) + candidate.weight
        self._entitled = {
            candidate.id: floor(
                sum(
                    self._channels.get(number_id, 0) * candidate.weight / users[number_id]
                    for number_id in candidate.number_ids
                )
                + 1e-9
            )
            for candidate in self.candidates
        }
