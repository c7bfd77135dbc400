"""What gives an answering machine away in the sound: a greeting longer than a person's hello, and the beep.

answer                                          beep
│▁▇▇▇▇▁▇▇▇▇▇▇▇▇▁▇▇▇▇▇▇▇▇▇▇▇▇▇▁▁▁▁▁▁▁████████▁▁▁▁▁
   └─────────┬───────────────┘                └─ BEEP: the tone is over, and the message may begin
             └─ LONG_GREETING: more speech without waiting for an answer than a hello has
"""

from enum import Enum, auto
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from breeze_buddy.media import mulaw

GREETING_BEGINS_S = 2.5
"""A machine speaks as soon as it answers; what begins later is an answer to the agent."""
GREETING_S = 4.0
"""From its first word on, this is longer than a person talks before waiting for somebody to speak."""
GREETING_PAUSE_S = 1.2
"""Whoever is silent for so long waits for an answer."""
TONE_HZ = (350.0, 2600.0)
TONE_PURITY = 0.85
"""The share of a window's energy in one narrow band: a voice has many bands, two keys have two."""
TONE_DRIFT_HZ = 40.0
TONE_LEVEL = 300
TONE_CREST = 2.3
"""The loudest sample over the level: 1.4 for a tone, more at its ends, 3 and 4 for a voice. Most windows of speech are
let go by this, at a thousandth of what the bands cost."""
SHORTEST_TONE_S = 0.12
LONGEST_TONE_S = 4.0
"""What hums for longer is no beep."""


class Sign(Enum):
    LONG_GREETING = auto()
    BEEP = auto()


class ToneDetector:
    """Pure: `step` is True with the first window after a tone that was a beep."""

    def __init__(self) -> None:
        self._pitch_hz: float | None = None
        self._tone_s = 0.0
        self._before = b""

    def step(self, audio: bytes) -> bool:
        # Two windows together, for tones that are close to each other: those of a phone that rings.
        pitch_hz = tone_in(self._before + audio)
        self._before = audio
        if pitch_hz is not None and (self._pitch_hz is None or abs(pitch_hz - self._pitch_hz) <= TONE_DRIFT_HZ):
            self._pitch_hz = pitch_hz
            self._tone_s += mulaw.duration_s(audio)
            return False
        lasted_s, self._tone_s, self._pitch_hz = self._tone_s, 0.0, pitch_hz
        if pitch_hz is not None:
            self._tone_s = mulaw.duration_s(audio)
        return SHORTEST_TONE_S <= lasted_s <= LONGEST_TONE_S and pitch_hz is None


def tone_in(audio: bytes) -> float | None:
    """The pitch of some 40 to 64 ms (µ-law) that hold one pure tone, in Hz; None for anything else."""
    pcm = mulaw.to_pcm(audio)
    level = mulaw.level(pcm)
    if level < TONE_LEVEL or mulaw.peak(pcm) > TONE_CREST * level:
        return None
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    power = np.abs(np.fft.rfft(samples * _fading(len(samples)))) ** 2
    peak = int(power.argmax())
    pitch_hz = peak * mulaw.SAMPLE_RATE_HZ / len(samples)
    if not TONE_HZ[0] <= pitch_hz <= TONE_HZ[1]:
        return None
    share = power[max(0, peak - 2) : peak + 3].sum() / power.sum()
    return pitch_hz if share >= TONE_PURITY else None


@lru_cache(maxsize=8)
def _fading(samples: int) -> npt.NDArray[np.float32]:
    return np.hanning(samples).astype(np.float32)


class MachineDetector:
    """Pure: call `step` with each window from the answer on, with its probability of speech and its µ-law."""

    def __init__(self) -> None:
        self._tone = ToneDetector()
        self._now_s = 0.0
        self._greeting_began_s: float | None = None
        self._spoke_s = 0.0
        self._waits = False  # a hello, and then silence: for all that the sound says, a person

    def step(self, probability: float, audio: bytes) -> Sign | None:
        self._now_s += mulaw.duration_s(audio)
        if self._tone.step(audio):
            return Sign.BEEP
        return Sign.LONG_GREETING if self._greets_too_long(probability) else None

    def _greets_too_long(self, probability: float) -> bool:
        if self._waits:
            return False
        if probability >= 0.5:
            self._spoke_s = self._now_s
            if self._greeting_began_s is None:
                self._greeting_began_s = self._now_s
                self._waits = self._now_s > GREETING_BEGINS_S
            elif self._now_s - self._greeting_began_s >= GREETING_S:
                self._waits = True  # it is said once
                return True
        elif self._greeting_began_s is not None and self._now_s - self._spoke_s >= GREETING_PAUSE_S:
            self._waits = True
        return False
