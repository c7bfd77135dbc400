"""The agent's voice on its way to the caller: paced, marked, and stopped when the caller speaks.

    queue ──frames, 20 ms apart──▶ Twilio's buffer (at most `lead_s`) ──▶ the caller's ear ──mark──▶ heard

Audio is sent at most `lead_s` before it is due, so that a stall of the loop is not heard and a barge-in has
little to clear. A mark behind each chunk, which is a word or a few (`words_in_sound.py`), says how far the caller has
heard; words without their mark were not heard.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import SpokenChunk
from breeze_buddy.media.ticker import Ticker
from breeze_buddy.media.twilio import StreamWriter

DEFAULT_LEAD_S = 0.2
MOST_QUEUED_S = 10.0


@dataclass(frozen=True, slots=True)
class _Piece:
    """The words before a mark."""

    mark: str
    words: str


class Playback:
    """One stream's outgoing audio. `on_played` is called when everything added so far has been heard."""

    def __init__(
        self,
        *,
        writer: StreamWriter,
        send: Callable[[bytes], None],
        ticker: Ticker,
        on_played: Callable[[], None],
        lead_s: float = DEFAULT_LEAD_S,
    ) -> None:
        self._writer = writer
        self._send = send
        self._ticker = ticker
        self._on_played = on_played
        self._lead_s = lead_s
        self._queue: deque[bytes | _Piece] = deque()
        self._pending: deque[_Piece] = deque()  # marks sent, not yet back
        self._chunks: deque[SpokenChunk] = deque()  # begun or queued, not yet heard to their end
        self._heard: list[str] = []
        self._queued_frames = 0
        self._marks = 0
        self._room = asyncio.Event()
        self._room.set()
        self.sent_until_s = 0.0
        self.began_s: float | None = None
        self.first_sent_s: float | None = None

    @property
    def playing(self) -> bool:
        """Whether something is queued, or sent and not yet known to be heard."""
        return bool(self._queue or self._pending)

    @property
    def ends_s(self) -> float:
        """When the caller will have heard everything, by the loop's clock."""
        return self.sent_until_s + self._queued_frames * mulaw.FRAME_S

    async def room(self) -> None:
        """Wait until more may be queued: speech is rendered at most 10 s ahead."""
        await self._room.wait()

    def add(self, chunk: SpokenChunk) -> None:
        """Queue some words; what is due goes out at once."""
        frames = mulaw.frames(chunk.audio)
        self._marks += 1
        self._queue.extend(frames)
        self._queue.append(_Piece(mark=f"m{self._marks}", words=" ".join(chunk.text.split())))
        self._chunks.append(chunk)
        self._queued_frames += len(frames)
        self._check_room()
        self._ticker.join(self.tick)
        self.tick(asyncio.get_running_loop().time())

    def tick(self, now_s: float) -> None:
        """Send what is due by now plus the lead."""
        if self.sent_until_s < now_s:
            self.sent_until_s = now_s
        while self._queue:
            head = self._queue[0]
            if isinstance(head, _Piece):
                self._pending.append(head)
                self._send(self._writer.mark(head.mark))
            elif self.sent_until_s < now_s + self._lead_s:
                if self.began_s is None:
                    self.began_s = now_s
                if self.first_sent_s is None:
                    self.first_sent_s = now_s
                self._send(self._writer.media(head))
                self.sent_until_s += mulaw.FRAME_S
                self._queued_frames -= 1
            else:
                break
            self._queue.popleft()
        self._check_room()
        if not self._queue:
            self._ticker.leave(self.tick)

    def mark_returned(self, name: str) -> None:
        """A mark came back. One that was cleared, or that we never sent, says nothing."""
        if not any(piece.mark == name for piece in self._pending):
            return
        while True:
            piece = self._pending.popleft()
            self._hear(piece)
            if piece.mark == name:
                break
        if not self.playing:
            self._on_played()

    def assume_played(self) -> None:
        """Marks that were sent will not come back any more: take the time they had as proof enough."""
        while self._pending:
            self._hear(self._pending.popleft())

    def clear(self) -> list[SpokenChunk]:
        """Stop at once, on our side and on Twilio's; the chunks that were not heard to their end."""
        if self._pending or self.sent_until_s > asyncio.get_running_loop().time():
            self._send(self._writer.clear())
        return self.abandon()

    def abandon(self) -> list[SpokenChunk]:
        """Forget what was not heard, without a word to Twilio (its socket may be gone)."""
        unheard = list(self._chunks)
        self._chunks.clear()
        self._queue.clear()
        self._pending.clear()
        self._queued_frames = 0
        self.sent_until_s = 0.0
        self._check_room()
        self._ticker.leave(self.tick)
        return unheard

    def take_heard(self) -> tuple[str, float | None]:
        """The words heard since this was last asked, and when the first of their frames was sent."""
        heard = " ".join(words for words in self._heard if words)
        began_s, self.began_s = self.began_s, None
        self._heard.clear()
        return heard, began_s

    def _hear(self, piece: _Piece) -> None:
        self._heard.append(piece.words)
        self._chunks.popleft()

    def _check_room(self) -> None:
        if self._queued_frames * mulaw.FRAME_S < MOST_QUEUED_S:
            self._room.set()
        else:
            self._room.clear()
