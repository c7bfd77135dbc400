"""The agent's voice by hibari: sentence by sentence, so that the first is heard while the next is made.

The model speaks at 24 kHz; the telephone takes 8 kHz µ-law. Sentences are kept, because an agent says the same
ones in every call, and rendered once when several calls want one at the same time.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt
import soxr
from hibari import SAMPLE_RATE, Hibari

from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import SpokenChunk
from breeze_buddy.media.speech.spelling import spell_out

LOUDNESS_LEVEL = 2800
BEFORE_S = 0.02
PAUSE_S = 0.2
"""Of the silence that the model leaves around a sentence (0.3 s before, 0.4 s after), this much is kept."""
QUIET = 0.02
"""Below this share of the loudest sample a sentence has not begun, or is over."""
MOST_KEPT_BYTES = 16 * 1024 * 1024
"""Half an hour of speech."""

_Key = tuple[str, float]


class HibariSpeaker:
    """Shared by all streams; `executor` does the work."""

    def __init__(self, executor: Executor, *, most_kept_bytes: int = MOST_KEPT_BYTES) -> None:
        self._model = Hibari(threads=1)
        self._phonemes = threading.Lock()  # turning text into phonemes keeps caches that are not shared safely
        self._executor = executor
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._most_kept_bytes = most_kept_bytes
        self._rendering: dict[_Key, asyncio.Future[bytes]] = {}
        self.render("One moment, please.", 1.0)

    async def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        sentences = self._model.split_sentences(text)
        # All of them are begun at once: the next one is ready when the one before has been heard, however busy
        # the machine is meanwhile.
        rendered = [self._begin((sentence, voice.speed)) for sentence in sentences]
        for sentence, audio in zip(sentences, rendered, strict=True):
            # A caller who interrupts leaves; others may wait for the same sentence.
            yield SpokenChunk(sentence, await asyncio.shield(audio))

    def render(self, sentence: str, speed: float) -> bytes:
        """The sentence as µ-law. Blocks."""
        spoken = spell_out(sentence)
        with self._phonemes:
            phonemes = self._model.phonemize(spoken)
        waves = [self._model.from_phonemes(part, speed, seed=1) for part in phonemes]
        if not waves:
            return b""
        wave = soxr.resample(np.concatenate(waves), SAMPLE_RATE, mulaw.SAMPLE_RATE_HZ)
        wave = _without_silence(wave)
        loudness = float(np.sqrt(np.mean(np.square(wave)))) or 1.0
        samples = np.clip(wave * (LOUDNESS_LEVEL / loudness), -32000, 32000)
        return mulaw.from_pcm(samples.astype("<i2").tobytes())

    def _begin(self, key: _Key) -> "asyncio.Future[bytes]":
        """The sentence's audio: kept from before, being rendered for somebody, or begun now."""
        loop = asyncio.get_running_loop()
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            ready: asyncio.Future[bytes] = loop.create_future()
            ready.set_result(kept)
            return ready
        rendering = self._rendering.get(key)
        if rendering is None:
            rendering = loop.run_in_executor(self._executor, self.render, *key)
            self._rendering[key] = rendering
            rendering.add_done_callback(lambda done: self._rendered(key, done))
        return rendering

    def _rendered(self, key: _Key, done: "asyncio.Future[bytes]") -> None:
        self._rendering.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[key] = done.result()
        self._kept_bytes += len(done.result())
        while self._kept_bytes > self._most_kept_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)


def _without_silence(wave: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """An 8 kHz sentence that begins at once and ends with a short pause."""
    loud = np.flatnonzero(np.abs(wave) > QUIET * np.max(np.abs(wave)))
    if not len(loud):
        return wave
    begin = max(0, int(loud[0]) - round(BEFORE_S * mulaw.SAMPLE_RATE_HZ))
    end = int(loud[-1]) + round(PAUSE_S * mulaw.SAMPLE_RATE_HZ)
    return wave[begin:end]
