"""The simulator's hold music: a few quiet chords made from sines, never silent."""

import audioop
import math
import struct
from functools import cache

from breeze_buddy.simulator.sound import FRAME_BYTES, SAMPLE_RATE_HZ, SILENCE_BYTE, SILENCE_FRAME

CHORD_S = 1.0
CHORDS_HZ = ((262, 392), (220, 330), (175, 262), (196, 294))
AMPLITUDE = 2200


@cache
def hold_music() -> bytes:
    """Four seconds of µ-law, to be repeated."""
    samples: list[int] = []
    count = int(CHORD_S * SAMPLE_RATE_HZ)
    for low, high in CHORDS_HZ:
        a, b = 2 * math.pi * low / SAMPLE_RATE_HZ, 2 * math.pi * high / SAMPLE_RATE_HZ
        samples.extend(int(AMPLITUDE * (math.sin(a * i) + math.sin(b * i)) / 2) for i in range(count))
    return audioop.lin2ulaw(struct.pack(f"<{len(samples)}h", *samples), 2)


class Loop:
    """Sound without an end: a clip that begins again. An empty clip is silence."""

    def __init__(self, ulaw: bytes) -> None:
        short = -len(ulaw) % FRAME_BYTES
        self._ulaw = ulaw + SILENCE_BYTE * short
        self._at = 0

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing in it."""
        return not self._ulaw

    def next_frame(self) -> bytes:
        """The next 20 ms."""
        if not self._ulaw:
            return SILENCE_FRAME
        frame = self._ulaw[self._at : self._at + FRAME_BYTES]
        self._at = (self._at + FRAME_BYTES) % len(self._ulaw)
        return frame


def mix(frames: list[bytes]) -> bytes | None:
    """Several µ-law frames at once; None for silence. One alone passes as it is."""
    if not frames:
        return None
    if len(frames) == 1:
        return frames[0]
    pcm = audioop.ulaw2lin(frames[0], 2)
    for frame in frames[1:]:
        pcm = audioop.add(pcm, audioop.ulaw2lin(frame, 2), 2)
    return audioop.lin2ulaw(pcm, 2)
