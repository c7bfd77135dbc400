"""A conversation without sound: what is typed takes the place of what is heard.

yes please     words            #1, #4711#     keys            /silence     nothing at all
/hangup        the caller goes  /busy, /talked …   how a transfer ended, where a human was asked for
"""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from breeze_buddy.domain.conversation import ConversationReport, Ending, Utterance
from breeze_buddy.domain.privacy import MASK
from breeze_buddy.domain.promise import promised_at
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import StreamCall
from breeze_buddy.media.engines import (
    CallerTurn,
    Dialogue,
    Finish,
    HandOver,
    Heard,
    Overhearing,
    Pressed,
    Reply,
    Say,
    Silence,
    TakeMessage,
    closing,
)


class NotTyped(Exception):
    """A line that means nothing here; the message says what would."""


class _NotRecorded:
    """Nothing is recorded, so nothing has to be paused."""

    needed = False

    async def begin(self) -> bool:
        return True

    def end(self) -> None:
        pass


class TextCall:
    """One conversation. `over` is its end; `human_wanted` says that only the end of a transfer can come now."""

    def __init__(
        self, call: StreamCall, dialogue: Dialogue, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._call = call
        self._clock = clock
        self._began_at = clock()
        self._conversation = dialogue.converse(call, _NotRecorded())
        self._transcript: list[Utterance] = []
        self.human_wanted: str | None = None
        self.over: Finish | None = None

    async def begin(self) -> list[str]:
        """What the agent says first."""
        return await self._listen(self._conversation.begin())

    async def type(self, line: str) -> list[str]:
        """What the agent says to this line. Raises NotTyped."""
        line = line.strip()
        if line == "/hangup":
            self.over = Finish(Ending.CALLER_HUNG_UP)
            return []
        if self.human_wanted is not None:
            return await self._after_transfer(line)
        turn = _turn_of(line)
        if not isinstance(turn, Silence):
            text = MASK if self._conversation.private else line.removeprefix("#") if isinstance(turn, Pressed) else line
            self._add(Utterance(speaker="caller", text=text, at_s=self._at_s, digits=isinstance(turn, Pressed)))
        return await self._listen(self._conversation.answer(turn))

    def report(self) -> ConversationReport:
        """The conversation as the media server would report it; one that is not over was hung up."""
        finish = self.over or Finish(Ending.CALLER_HUNG_UP)
        now = self._clock()
        callback = finish.callback
        return ConversationReport(
            call_id=self._call.call_id,
            began_at=self._began_at,
            ended_at=now,
            ending=finish.ending,
            result=finish.result,
            answers=dict(self._conversation.answers),
            transcript=tuple(self._transcript),
            callback_at=promised_at(callback, now=now, clock=self._call.zone) if callback is not None else None,
            do_not_call=finish.do_not_call,
        )

    async def _after_transfer(self, line: str) -> list[str]:
        endings = [ending.value for ending in TransferEnding]
        if line.removeprefix("/") not in endings or not line.startswith("/"):
            ways = ", ".join(f"/{ending}" for ending in endings)
            raise NotTyped(f"A human was asked for. Say how that ends: {ways}.")
        ending = TransferEnding(line.removeprefix("/"))
        self.human_wanted = None
        if ending is TransferEnding.TALKED:
            self.over = Finish(Ending.TRANSFERRED)
            return []
        return await self._listen(self._conversation.come_back(ending))

    async def _listen(self, replies: AsyncIterator[Reply]) -> list[str]:
        said = []
        async with closing(replies):
            async for reply in replies:
                match reply:
                    case Say():
                        if reply.text:
                            self._add(Utterance(speaker="agent", text=reply.text, at_s=self._at_s))
                            said.append(reply.text)
                    case Finish():
                        self.over = reply
                    case HandOver():
                        self.human_wanted = reply.reason
                    case TakeMessage():
                        pass  # the next line is the message
        return said

    @property
    def _at_s(self) -> float:
        return round((self._clock() - self._began_at).total_seconds(), 2)

    def _add(self, utterance: Utterance) -> None:
        if isinstance(self._conversation, Overhearing):
            self._conversation.overhear(utterance)
        self._transcript.append(utterance)


def _turn_of(line: str) -> CallerTurn:
    if line in {"", "/silence"}:
        return Silence()
    if line.startswith("/"):
        raise NotTyped(f"{line} means nothing here: type words, keys as #1, /silence or /hangup.")
    if not line.startswith("#"):
        return Heard(line)
    keys = line[1:]
    if not keys or set(keys) - set("0123456789*#"):
        raise NotTyped(f"{line} are no keys: 0 to 9, * and #, as in #1 or #4711#.")
    return Pressed(keys)
