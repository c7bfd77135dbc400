"""What one leg could hear and did: who was connected to its ear, and which slots of 100 ms had sound.

Time is counted in frames of the leg's own line, from its answer on, so that it is what the person lived through.
"""

from typing import Any

from breeze_buddy.simulator.sound import FRAME_S

FRAMES_PER_SLOT = 5
SLOT_S = FRAMES_PER_SLOT * FRAME_S
NOTHING = ("silence",)
HEARD, SPOKE = 1, 2


class Ear:
    """Grows by one byte for each 100 ms, and by an entry whenever who can be heard changes."""

    __slots__ = ("_changes", "_frames", "_slots", "_sources")

    def __init__(self) -> None:
        self._frames = 0
        self._sources: tuple[str, ...] = ()
        self._changes: list[tuple[int, tuple[str, ...]]] = []
        self._slots = bytearray()

    def note(self, sources: tuple[str, ...], *, hears: bool, speaks: bool) -> None:
        """Another frame: what could be heard, whether it was sound, and whether the person made some."""
        if sources is not self._sources:
            if sources != self._sources:
                self._changes.append((self._frames, sources))
            self._sources = sources
        if self._frames % FRAMES_PER_SLOT == 0:
            self._slots.append(0)
        self._frames += 1
        if hears:
            self._slots[-1] |= HEARD
        if speaks:
            self._slots[-1] |= SPOKE

    @property
    def clock_s(self) -> float:
        """Seconds since the answer."""
        return self._frames * FRAME_S

    def audible(self) -> list[dict[str, Any]]:
        """Intervals in which the same could be heard, with the seconds of them in which it really sounded."""
        ends = [frame for frame, _ in self._changes[1:]] + [self._frames]
        return [
            {
                "start_s": round(start * FRAME_S, 2),
                "end_s": round(end * FRAME_S, 2),
                "sources": list(sources),
                "sounding_s": round(self._sounding_s(start, end), 1),
            }
            for (start, sources), end in zip(self._changes, ends, strict=False)
        ]

    def spans(self, bit: int, *, present: bool = True) -> list[list[float]]:
        """``[start_s, end_s]`` of the slots in which the person HEARD or SPOKE, or did not."""
        found: list[list[float]] = []
        for place, slot in enumerate(self._slots):
            if bool(slot & bit) is not present:
                continue
            start_s, end_s = round(place * SLOT_S, 1), round((place + 1) * SLOT_S, 1)
            if found and found[-1][1] == start_s:
                found[-1][1] = end_s
            else:
                found.append([start_s, end_s])
        return found

    def _sounding_s(self, start: int, end: int) -> float:
        slots = self._slots[start // FRAMES_PER_SLOT : -(-end // FRAMES_PER_SLOT)]
        return min(sum(slot & HEARD for slot in slots) * SLOT_S, (end - start) * FRAME_S)
