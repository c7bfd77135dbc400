"""One clock for all streams: wakes every 20 ms at absolute deadlines and lets each playing stream send.

A timer for each stream would cost more, and `sleep(0.02)` drifts; here a late wake-up is followed by an
early one, because the next deadline does not depend on when this one was met.
"""

import asyncio
from collections.abc import Callable

from breeze_buddy.media.mulaw import FRAME_S

Tick = Callable[[float], None]


class Ticker:
    """Calls each member with the loop's time, every `interval_s`, while it has members."""

    def __init__(self, interval_s: float = FRAME_S) -> None:
        self._interval_s = interval_s
        self._members: dict[Tick, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def join(self, tick: Tick) -> None:
        """Call `tick` from the next deadline on; joining twice is joining once."""
        self._members[tick] = None
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._due_s = loop.time() + self._interval_s
            self._timer = loop.call_at(self._due_s, self._wake, loop)

    def leave(self, tick: Tick) -> None:
        self._members.pop(tick, None)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for tick in tuple(self._members):
            tick(now)
        if not self._members:
            self._timer = None
            return
        self._due_s += self._interval_s
        if self._due_s <= now:  # a stall: skip the deadlines that are gone, keep the phase
            self._due_s += self._interval_s * ((now - self._due_s) // self._interval_s + 1)
        self._timer = loop.call_at(self._due_s, self._wake, loop)
