"""Voices, offline: text to µ-law through `hibari`, in one thread, kept on disk by text and voice.

All voices are one model at another speed and pitch. Pitch is changed by resampling, so a voice of pitch 0.9 is
rendered faster and then stretched to the same pace.
"""

import asyncio
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from breeze_buddy.simulator.errors import ConfigurationError
from breeze_buddy.simulator.people import Voice

ANNOUNCER = Voice(speed=1.0, pitch=1.12)
"""The voice of `<Say>`: nobody else's."""

LOUDNESS_RMS = 2600
MEMORY_CLIPS = 512
_FORMAT = "1"


class Speech:
    """Renders sentences and remembers them.

    ``folder`` keeps one µ-law file a sentence and voice. Raises ConfigurationError when the speech packages are
    not installed and something new has to be said.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simulator-voice")
        self._clips: OrderedDict[str, bytes] = OrderedDict()
        self._engine: Any = None

    async def say(self, text: str, voice: Voice) -> bytes:
        """The sentence as µ-law at 8 kHz; empty for empty text."""
        if not text.strip():
            return b""
        key = hashlib.sha256(f"{_FORMAT}|{voice.speed}|{voice.pitch}|{text}".encode()).hexdigest()[:40]
        clip = self._clips.get(key)
        if clip is None:
            loop = asyncio.get_running_loop()
            clip = await loop.run_in_executor(self._thread, self._load_or_render, key, text, voice)
            self._clips[key] = clip
            if len(self._clips) > MEMORY_CLIPS:
                self._clips.popitem(last=False)
        else:
            self._clips.move_to_end(key)
        return clip

    def close(self) -> None:
        """Stop the thread; what is queued is dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load_or_render(self, key: str, text: str, voice: Voice) -> bytes:
        path = self._folder / f"{key}.ulaw"
        if path.exists():
            return path.read_bytes()
        clip = self._render(text, voice)
        part = path.with_suffix(".part")
        part.write_bytes(clip)
        part.replace(path)
        return clip

    def _render(self, text: str, voice: Voice) -> bytes:
        import audioop

        try:
            import numpy as np
            import soxr
            from hibari import SAMPLE_RATE, Hibari
        except ImportError as error:
            raise ConfigurationError(
                f"The simulator's people need the speech packages to talk ({error}); install breeze-buddy[simulator]."
            ) from error
        if self._engine is None:
            self._engine = Hibari(threads=1)
        wave = self._engine(text, speed=voice.speed / voice.pitch, seed=1)
        wave = soxr.resample(wave, SAMPLE_RATE * voice.pitch, 8000, quality="HQ")
        level = float(np.sqrt(np.mean(np.square(wave)))) or 1.0
        pcm = np.clip(wave * (LOUDNESS_RMS / level), -32000, 32000).astype("<i2")
        return audioop.lin2ulaw(pcm.tobytes(), 2)
