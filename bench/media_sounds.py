"""What callers of the benchmark sound like, as files of µ-law: an utterance without a pause, and a line's noise."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from breeze_buddy.media import mulaw
from breeze_buddy.media.speech.hibari_speaker import HibariSpeaker

WORDS = "Yes please I would like to change my order of the table and two lamps."
SPEECH_S = 3.3
NOISE_LEVEL = 20
"""Of 16-bit samples, −64 dB: a good line. Below it nobody has to look for speech."""


@dataclass(frozen=True)
class Sounds:
    speech: Path
    noise: Path


def make_sounds(folder: Path) -> Sounds:
    """Say it once, so that every server hears the same."""
    with ThreadPoolExecutor(1) as executor:
        said = HibariSpeaker(executor).render(WORDS, 1.0)
    sounds = Sounds(folder / "speech.ulaw", folder / "noise.ulaw")
    sounds.speech.write_bytes(said[: round(SPEECH_S * mulaw.SAMPLE_RATE_HZ)])
    hiss = np.random.default_rng(7).normal(0, NOISE_LEVEL, 2 * mulaw.SAMPLE_RATE_HZ)
    sounds.noise.write_bytes(mulaw.from_pcm(hiss.astype("<i2").tobytes()))
    return sounds
