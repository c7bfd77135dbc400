"""A caller who waits for a human: asked for by the flow or an operator, with a kind word now and then."""

from collections.abc import AsyncIterator

from breeze_buddy.domain.transfer import TransferPolicy
from breeze_buddy.media.engines import Finish, Reply, Say
from breeze_buddy.media.holding import Hold
from breeze_buddy.media.mouth import Mouth


class Waiting:
    """`policy` None: nobody can be transferred. `ended` is the end of a conversation that is held there, because an
    operator has asked for a human; `comfort_s` is when the next kind word is due, by the loop's clock."""

    def __init__(self, hold: Hold, policy: TransferPolicy | None, mouth: Mouth) -> None:
        self._hold = hold
        self._policy = policy
        self._mouth = mouth
        self.goes_on = False
        self.ended: Finish | None = None
        self.comfort_s: float | None = None

    def begin(self, reason: str | None) -> None:
        """Ask for a human; no reason: somebody has."""
        self.goes_on = True
        self._hold.begin(reason)

    def end(self) -> None:
        """The caller is handed back."""
        self.goes_on = False
        self.comfort_s = None

    def expect_comfort(self, now_s: float) -> None:
        if self._policy is not None:
            self.comfort_s = now_s + self._policy.comfort_every_s

    def comfort(self) -> None:
        self.comfort_s = None
        if self._policy is not None:
            self._mouth.reply(_kind_word(self._policy.comfort))

    async def is_wanted(self) -> bool:
        """Whether an operator's transfer is under way: a conversation at its end would be lost to it."""
        return not self.goes_on and self._policy is not None and await self._hold.is_open()

    def close(self) -> None:
        self._hold.close()


async def _kind_word(text: str) -> AsyncIterator[Reply]:
    yield Say(text, interruptible=False)
