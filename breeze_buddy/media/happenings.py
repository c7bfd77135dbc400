"""What can happen in a conversation, from outside or by its own clock, as the turn loop takes it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.ear import EarNews
from breeze_buddy.media.mouth import Played, Replied, SpeakingFailed


@dataclass(frozen=True, slots=True)
class KeyPressed:
    key: str


@dataclass(frozen=True, slots=True)
class CallerGone:
    """Twilio ended the stream, or its socket was lost."""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """No human takes the caller; `ending` says why."""

    ending: TransferEnding


@dataclass(frozen=True, slots=True)
class MachineFound:
    """A machine has answered, not a person; `why` is for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class BeepHeard:
    """A tone has ended: from now on the machine takes a message."""


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline was reached: the name of it."""

    what: str


Happening = (
    EarNews | KeyPressed | CallerGone | HandedBack | MachineFound | BeepHeard | Replied | Played | SpeakingFailed
)


async def next_of(inbox: "asyncio.Queue[Happening]", deadlines: Iterable[tuple[str, float | None]]) -> Happening | Due:
    """The next thing that happens, or the first of the deadlines (by the loop's clock) that is reached before."""
    due = [(at_s, what) for what, at_s in deadlines if at_s is not None]
    if not inbox.empty() or not due:
        return await inbox.get()
    at_s, what = min(due)
    try:
        async with asyncio.timeout_at(at_s):
            return await inbox.get()
    except TimeoutError:
        return Due(what)
