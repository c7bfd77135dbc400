"""One 20 ms ticker for every live call: absolute deadlines, catching up after a stall, asleep when nobody talks."""

import asyncio
import logging
import time
from typing import Protocol

from breeze_buddy.simulator.sound import FRAME_S

log = logging.getLogger(__name__)

CATCH_UP_MAX_FRAMES = 50


class Ticking(Protocol):
    """Anything that does something every 20 ms."""

    def tick(self) -> None:
        """Move 20 ms of sound."""


class AudioClock:
    """Ticks all its members together, those that mix others after the others.

    A loop that was stalled for longer than a second does not catch up.
    """

    def __init__(self) -> None:
        self._members: set[Ticking] = set()
        self._mixers: set[Ticking] = set()
        self._someone = asyncio.Event()
        self.late_ticks = 0

    def join(self, member: Ticking) -> None:
        """Begin ticking a member."""
        self._members.add(member)
        self._someone.set()

    def join_mixer(self, mixer: Ticking) -> None:
        """Begin ticking one that mixes what the members moved in the same tick."""
        self._mixers.add(mixer)

    def leave(self, member: Ticking) -> None:
        """Stop ticking it; harmless when it never joined."""
        self._members.discard(member)
        self._mixers.discard(member)
        if not self._members:
            self._someone.clear()

    async def run(self) -> None:
        """Tick until cancelled."""
        due_s = time.monotonic()
        while True:
            if not self._members:
                await self._someone.wait()
                due_s = time.monotonic()
            for member in tuple(self._members):
                if member in self._members:
                    member.tick()
            for mixer in tuple(self._mixers):
                mixer.tick()
            due_s += FRAME_S
            ahead_s = due_s - time.monotonic()
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
                continue
            self.late_ticks += 1
            if -ahead_s > CATCH_UP_MAX_FRAMES * FRAME_S:
                log.warning("the audio clock stalled for %.1f s; the sound of that time is lost", -ahead_s)
                due_s = time.monotonic()
            await asyncio.sleep(0)
