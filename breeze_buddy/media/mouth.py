"""Speaking to one caller: replies of the dialogue become sound, one after the other, until the caller interrupts.

An interruption is first only a hush: what was not heard is kept. When the caller's turn turns out to be words, the
dialogue's next reply takes its place; when it was a cough, the agent goes on with the word at which it was cut.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from breeze_buddy.domain.providers import Voice
from breeze_buddy.media.engines import Finish, HandOver, Reply, Say, Speaker, SpokenChunk, TakeMessage, closing
from breeze_buddy.media.playback import Playback
from breeze_buddy.media.words_in_sound import pieces_of

SILENT = Say("")
LATE_S = 5.0
"""A piece whose end was so long ago has been heard, whatever its mark says."""


@dataclass(frozen=True, slots=True)
class Replied:
    """The dialogue gave a reply, or its last one has been rendered."""


@dataclass(frozen=True, slots=True)
class Played:
    """All that there was to say has been heard."""


@dataclass(frozen=True, slots=True)
class SpeakingFailed:
    """An engine failed while there was something to say."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some words on their way to the caller, of which `say`, and when they will have been heard."""

    chunk: SpokenChunk
    say: Say
    ends_s: float


class Mouth:
    """Posts Replied, Played and SpeakingFailed. Whoever owns the playback must call `played` when it is through."""

    def __init__(
        self,
        *,
        speaker: Speaker,
        voice: Voice,
        playback: Playback,
        post: Callable[[Replied | Played | SpeakingFailed], None],
    ) -> None:
        self._speaker = speaker
        self._voice = voice
        self._playback = playback
        self._post = post
        self._task: asyncio.Task[None] | None = None
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._unheard: list[_Piece] = []
        self.finish: Finish | None = None
        self.hand_over: HandOver | None = None
        self.take_message: TakeMessage | None = None
        self._latest = SILENT
        self._queued: deque[_Piece] = deque()
        self.all_said = True
        self.replied_s: float | None = None  # the times of the latest reply: its words, its sound, on the wire
        self.rendered_s: float | None = None
        self.sent_s: float | None = None

    @property
    def speaking(self) -> bool:
        """Whether the agent has the word: something is being rendered or played."""
        return self._allowed.is_set() and (not self.all_said or self._playback.playing)

    @property
    def hushed(self) -> bool:
        return not self._allowed.is_set()

    @property
    def saying(self) -> Say:
        """What the caller hears now, or heard last: by its rules the agent is interrupted, and silence is counted."""
        now_s = asyncio.get_running_loop().time()
        return next((piece.say for piece in self._queued if piece.ends_s > now_s), self._latest)

    def reply(self, replies: AsyncIterator[Reply]) -> None:
        """Say these instead of whatever is being said."""
        self.hush()
        self._unheard.clear()
        self._stop()
        self._allowed.set()
        self.finish = self.hand_over = self.take_message = None
        self._latest = SILENT
        self._queued.clear()
        self.all_said = False
        self.replied_s = self.rendered_s = self.sent_s = None
        self._task = asyncio.create_task(self._say(replies))
        self._task.add_done_callback(self._said)

    def hush(self) -> None:
        """Fall silent at once, and remember what was not heard."""
        if self._allowed.is_set():
            self._allowed.clear()
            unheard = {id(chunk) for chunk in self._playback.clear()}
            self._unheard = [piece for piece in self._queued if id(piece.chunk) in unheard]
            self._queued.clear()

    def go_on(self) -> None:
        """Say what the hush cut off, from the word on at which it did."""
        unheard, self._unheard = self._unheard, []
        self._allowed.set()
        for piece in unheard:
            self._add(piece.chunk, piece.say)
        self.played()

    def stop(self) -> None:
        """Fall silent at once, and say nothing of this reply any more."""
        self._stop()
        self.hush()
        self._unheard.clear()
        self._allowed.set()
        self.finish = self.hand_over = self.take_message = None
        self.all_said = True

    def close(self) -> None:
        """Say no more; the socket may be gone."""
        self._stop()
        self._allowed.clear()
        self._playback.abandon()

    def played(self) -> None:
        """What was queued has been heard; it was all there is if the dialogue is through too."""
        if self.all_said and not self.hushed and not self._playback.playing:
            self._post(Played())

    def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _say(self, replies: AsyncIterator[Reply]) -> None:
        async with closing(replies):
            async for reply in replies:
                match reply:
                    case Finish():
                        self.finish = reply
                    case HandOver():
                        self.hand_over = reply
                    case TakeMessage():
                        self.take_message = reply
                    case Say():
                        self._note_reply()
                        self._post(Replied())
                        await self._speak(reply)
                        continue
                self._post(Replied())
                break

    async def _speak(self, reply: Say) -> None:
        self._latest = reply
        if not reply.text.strip():
            return
        async with closing(self._speaker.speak(reply.text, self._voice)) as chunks:
            async for chunk in chunks:
                if self.rendered_s is None:
                    self.rendered_s = asyncio.get_running_loop().time()
                for piece in pieces_of(chunk):
                    await self._playback.room()
                    while self.hushed:
                        await self._allowed.wait()
                        await self._playback.room()
                    self._add(piece, reply)

    def _add(self, chunk: SpokenChunk, say: Say) -> None:
        self._playback.add(chunk)
        now_s = asyncio.get_running_loop().time()
        if self.sent_s is None:
            self.sent_s = now_s
        while self._queued and self._queued[0].ends_s < now_s - LATE_S:
            self._queued.popleft()
        self._queued.append(_Piece(chunk, say, self._playback.ends_s))

    def _note_reply(self) -> None:
        if self.replied_s is None:
            self.replied_s = asyncio.get_running_loop().time()

    def _said(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or task is not self._task:
            return
        error = task.exception()
        if error is not None:
            self._post(SpeakingFailed(error))
            return
        self.all_said = True
        self._post(Replied())
        self.played()
