"""Listening to one caller: audio in; turns, as words, out.

The audio of a turn goes to the transcriber while it is spoken, so that a streaming engine can work meanwhile; the
silence after a word is held back until the next word, so that no engine has to listen to it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from breeze_buddy.media.engines import OnWindow, Transcriber, VoiceActivity, closing
from breeze_buddy.media.pauses import EndOfTurn
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
class TurnGrew:
    """There is as much speech in the caller's turn as `tell_at` asked for."""


@dataclass(frozen=True, slots=True)
class WordsSoFar:
    """What was understood of a turn that goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnHeard:
    """The caller's turn is over, and this is what was understood: nothing, for a noise.

    Its last sound was at `spoke_until_s`, and the silence after it was waited for until `ended_s`.
    """

    text: str
    began_s: float
    spoke_until_s: float
    ended_s: float


EarNews = TurnBegan | TurnGrew | WordsSoFar | TurnHeard


class _Turn:
    """What is spoken in a turn, as it comes; ends when the turn does."""

    def __init__(self, began_s: float) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._give_up_s: float | None = None
        self._limit: asyncio.Timeout | None = None
        self.began_s = self.spoke_until_s = self.ended_s = began_s
        self.goes_on = True
        self.given_up = False  # its transcriber has failed before its end
        self.ended = asyncio.Event()

    def push(self, mulaw: bytes) -> None:
        self._queue.put_nowait(mulaw)

    def end(self, *, silent_s: float) -> None:
        self._queue.put_nowait(None)
        self.goes_on = False
        self.ended_s = asyncio.get_running_loop().time()
        self.spoke_until_s = self.ended_s - silent_s
        self.ended.set()
        if not self.given_up:
            self._give_up_s = self.ended_s + TRANSCRIPT_S
        if self._limit is not None:  # otherwise its engine is through already, or has failed
            self._limit.reschedule(self._give_up_s)

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """As long as a transcript is waited for. Raises TimeoutError."""
        async with asyncio.timeout_at(self._give_up_s) as self._limit:
            try:
                yield
            finally:
                self._limit = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (audio := await self._queue.get()) is not None:
            yield audio


class Ear:
    """Posts EarNews. `end_of_turn` is the wait for the end of a turn; `overheard` is given every window."""

    def __init__(
        self,
        *,
        voice_activity: VoiceActivity,
        transcriber: Transcriber,
        end_of_turn: EndOfTurn,
        post: Callable[[EarNews], None],
        overheard: OnWindow | None = None,
    ) -> None:
        self._transcriber = transcriber
        self._post = post
        self._overheard = overheard
        self._detector = TurnDetector(window_s=voice_activity.window_s, end_of_turn=end_of_turn)
        self._before: deque[bytes] = deque(maxlen=round(BEFORE_ONSET_S / voice_activity.window_s))
        self._held: list[bytes] = []
        self._turn: _Turn | None = None
        self._tell_at_s: float | None = None
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

    def tell_at(self, voiced_s: float) -> bool:
        """Whether there is that much speech in the turn that goes on; if not, TurnGrew is posted when there is."""
        grown = self._detector.in_turn and self._detector.voiced_s >= voiced_s
        self._tell_at_s = None if grown else voiced_s
        return grown

    def cover(self) -> None:
        """The caller's turn is over now, and nothing is heard until `listen`; what was said is still understood."""
        self._deaf = True
        if self._turn is not None:
            self._turn.end(silent_s=self._detector.silent_s)
            self._turn = None
        self._detector.reset()

    def listen(self) -> None:
        """After `cover`: turns are heard again."""
        self._deaf = False

    def close(self) -> None:
        """Nobody listens any more: the turn that goes on is over, and nothing of what was said is told."""
        self._track.close()
        self.cover()
        for task in self._transcribing:
            task.cancel()

    def _on_window(self, probability: float, audio: bytes) -> None:
        if self._overheard is not None:
            self._overheard(probability, audio)
        if self._deaf:
            return
        event = self._detector.step(probability)
        if event is TurnEvent.BEGAN:
            self._begin(audio)
        elif self._turn is not None:
            self._continue(audio)
            if event is TurnEvent.ENDED:
                self._turn.end(silent_s=self._detector.silent_s)
                self._turn = None
            elif self._tell_at_s is not None and self._detector.voiced_s >= self._tell_at_s:
                self._tell_at_s = None
                self._post(TurnGrew())
        else:
            self._before.append(audio)

    def _begin(self, audio: bytes) -> None:
        turn = self._turn = _Turn(asyncio.get_running_loop().time() - ONSET_S)
        for window in (*self._before, audio):
            turn.push(window)
        self._before.clear()
        self._held.clear()
        self._tell_at_s = None
        task = asyncio.create_task(self._transcribe(turn))
        self._transcribing.add(task)
        task.add_done_callback(lambda done: self._understood(done, turn))
        self._post(TurnBegan(turn.began_s))

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

    async def _transcribe(self, turn: _Turn) -> str:
        words: list[str] = []
        try:
            async with turn.bounded(), closing(self._transcriber.transcribe(turn)) as transcripts:
                async for transcript in transcripts:
                    text = transcript.text.strip()
                    if turn.goes_on and text:
                        self._post(WordsSoFar(" ".join((*words, text))))
                    if transcript.final and text:
                        words.append(text)
        finally:
            turn.given_up = True
            await turn.ended.wait()  # what was heard of a turn is told when it is over, also by one who failed early
        return " ".join(words)

    def _understood(self, task: "asyncio.Task[str]", turn: _Turn) -> None:
        self._transcribing.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            # The caller is asked again, as after any answer that was not understood.
            log.error("a turn could not be transcribed", exc_info=error)
        text = "" if error is not None else task.result()
        self._post(TurnHeard(text, turn.began_s, turn.spoke_until_s, turn.ended_s))
