"""Listening to one caller: audio in; turns, as words, out.

The audio of a turn goes to the transcriber while it is spoken, so that a streaming engine can work meanwhile; the
silence after a word is held back until the next word, so that no engine has to listen to it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from breeze_buddy.media.engines import Transcriber, VoiceActivity, closing
from breeze_buddy.media.turns import ONSET_S, TurnDetector, TurnEvent

log = logging.getLogger(__name__)

BEFORE_ONSET_S = 0.35
AFTER_SPEECH_S = 0.2
TRANSCRIPT_S = 8.0
"""A transcript that takes longer after the end of its turn is given up: the caller waits."""


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """The caller speaks, since `began_s` by the loop's clock."""

    began_s: float


@dataclass(frozen=True, slots=True)
class TurnHeard:
    """The caller's turn is over, and this is what was understood: nothing, for a noise."""

    text: str
    began_s: float


class _TurnAudio:
    """What is spoken in a turn, as it comes; ends when the turn does."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.limit = asyncio.timeout(None)

    def push(self, mulaw: bytes) -> None:
        self._queue.put_nowait(mulaw)

    def end(self) -> None:
        self._queue.put_nowait(None)
        self.limit.reschedule(asyncio.get_running_loop().time() + TRANSCRIPT_S)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (audio := await self._queue.get()) is not None:
            yield audio


class Ear:
    """Posts TurnBegan and TurnHeard. `end_of_turn_s` is the silence that ends a turn."""

    def __init__(
        self,
        *,
        voice_activity: VoiceActivity,
        transcriber: Transcriber,
        end_of_turn_s: float,
        post: Callable[[TurnBegan | TurnHeard], None],
    ) -> None:
        self._transcriber = transcriber
        self._post = post
        self._detector = TurnDetector(window_s=voice_activity.window_s, end_of_turn_s=end_of_turn_s)
        self._before: deque[bytes] = deque(maxlen=round(BEFORE_ONSET_S / voice_activity.window_s))
        self._held: list[bytes] = []
        self._turn: _TurnAudio | None = None
        self._deaf = False
        self._transcribing: set[asyncio.Task[str]] = set()
        self._track = voice_activity.track(self._on_window)

    @property
    def caller_speaks(self) -> bool:
        return self._detector.in_turn

    @property
    def busy(self) -> bool:
        """Whether the caller speaks, or something that was said is not understood yet."""
        return self._detector.in_turn or bool(self._transcribing)

    def hear(self, mulaw: bytes) -> None:
        self._track.push(mulaw)

    def cover(self) -> None:
        """The caller's turn is over now, and nothing is heard until `listen`; what was said is still understood."""
        self._deaf = True
        self._detector.reset()
        if self._turn is not None:
            self._turn.end()
            self._turn = None

    def listen(self) -> None:
        """After `cover`: turns are heard again."""
        self._deaf = False

    def close(self) -> None:
        self._track.close()
        for task in self._transcribing:
            task.cancel()

    def _on_window(self, probability: float, audio: bytes) -> None:
        if self._deaf:
            return
        event = self._detector.step(probability)
        if event is TurnEvent.BEGAN:
            self._begin(audio)
        elif self._turn is not None:
            self._continue(audio)
            if event is TurnEvent.ENDED:
                self._turn.end()
                self._turn = None
        else:
            self._before.append(audio)

    def _begin(self, audio: bytes) -> None:
        self._turn = _TurnAudio()
        for window in (*self._before, audio):
            self._turn.push(window)
        self._before.clear()
        self._held.clear()
        began_s = asyncio.get_running_loop().time() - ONSET_S
        task = asyncio.create_task(self._transcribe(self._turn))
        self._transcribing.add(task)
        task.add_done_callback(lambda done: self._understood(done, began_s))
        self._post(TurnBegan(began_s))

    def _continue(self, audio: bytes) -> None:
        assert self._turn is not None
        if self._detector.silent_s == 0.0:
            for window in self._held:
                self._turn.push(window)
            self._held.clear()
            self._turn.push(audio)
        elif self._detector.silent_s <= AFTER_SPEECH_S:
            self._turn.push(audio)
        else:
            self._held.append(audio)

    async def _transcribe(self, turn: _TurnAudio) -> str:
        async with turn.limit, closing(self._transcriber.transcribe(turn)) as transcripts:
            words = [transcript.text async for transcript in transcripts if transcript.final]
        return " ".join(text.strip() for text in words if text.strip())

    def _understood(self, task: "asyncio.Task[str]", began_s: float) -> None:
        self._transcribing.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            # The caller is asked again, as after any answer that was not understood.
            log.error("a turn could not be transcribed", exc_info=error)
        self._post(TurnHeard("" if error is not None else task.result(), began_s))
