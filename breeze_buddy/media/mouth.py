"""Speaking to one caller: replies of the dialogue become sound, one after the other, until the caller interrupts.

An interruption is first only a hush: what was not heard is kept. When the caller's turn turns out to be words, the
dialogue's next reply takes its place; when it was a cough, the agent goes on with the sentence it was in.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from breeze_buddy.domain.providers import Voice
from breeze_buddy.media.engines import Finish, HandOver, Reply, Say, Speaker, SpokenChunk, TakeMessage, closing
from breeze_buddy.media.playback import Playback


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
        self._unheard: list[SpokenChunk] = []
        self.finish: Finish | None = None
        self.hand_over: HandOver | None = None
        self.take_message: TakeMessage | None = None
        self.saying = Say("")
        self.all_said = True

    @property
    def speaking(self) -> bool:
        """Whether the agent has the word: something is being rendered or played."""
        return self._allowed.is_set() and (not self.all_said or self._playback.playing)

    @property
    def hushed(self) -> bool:
        return not self._allowed.is_set()

    def reply(self, replies: AsyncIterator[Reply]) -> None:
        """Say these instead of whatever is being said."""
        self.hush()
        self._unheard.clear()
        self._stop()
        self._allowed.set()
        self.finish = self.hand_over = self.take_message = None
        self.saying = Say("")
        self.all_said = False
        self._task = asyncio.create_task(self._say(replies))
        self._task.add_done_callback(self._said)

    def hush(self) -> None:
        """Fall silent at once, and remember what was not heard."""
        if self._allowed.is_set():
            self._allowed.clear()
            self._unheard = self._playback.clear()

    def go_on(self) -> None:
        """Say what the hush cut off, from the beginning of the sentence."""
        unheard, self._unheard = self._unheard, []
        self._allowed.set()
        for chunk in unheard:
            self._playback.add(chunk)
        self.played()

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
                        self._post(Replied())
                        await self._speak(reply)
                        continue
                self._post(Replied())
                break

    async def _speak(self, reply: Say) -> None:
        self.saying = reply
        if not reply.text:
            return
        async with closing(self._speaker.speak(reply.text, self._voice)) as chunks:
            async for chunk in chunks:
                await self._playback.room()
                while self.hushed:
                    await self._allowed.wait()
                    await self._playback.room()
                self._playback.add(chunk)

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
