"""A message that a caller leaves: several turns, with pauses between them, that are one answer.

words ▁▇▇▁▁▇▇▇▁▁▁▁▁▁
      │         └─ over: silent for `pause_s`, or a key, or `longest_s` since it began, or the caller hung up
      └─ before the first word the caller has as long as before any answer
"""

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.media.engines import CallerTurn, Conversation, Finish, Heard, Silence, TakeMessage, closing


class Message:
    """Keeps the words until it is over. Times are those of the loop's clock."""

    def __init__(self, asked: TakeMessage, *, now_s: float, first_word_s: float) -> None:
        self._pause_s = asked.pause_s
        self._words: list[str] = []
        self.pause_until_s = now_s + first_word_s
        self.ends_s = now_s + asked.longest_s
        self.over = False

    def heard(self, text: str, now_s: float) -> None:
        """More words; none, for a noise."""
        if text:
            self._words.append(text)
            self.wait_until(now_s + self._pause_s)

    def wait_until(self, at_s: float) -> None:
        """When the silence will have been long enough."""
        self.pause_until_s = at_s

    @property
    def turn(self) -> CallerTurn:
        """All of it, as the dialogue takes it."""
        return Heard(" ".join(self._words)) if self._words else Silence()


async def last_word(conversation: Conversation, turn: CallerTurn) -> Finish:
    """What the dialogue makes of a message whose caller is gone, and hears nothing any more."""
    async with closing(conversation.answer(turn)) as replies:
        async for reply in replies:
            if isinstance(reply, Finish):
                return reply
    return Finish(Ending.CALLER_HUNG_UP)
