"""What can happen in a conversation, from outside or by its own clock, as the turn loop takes it."""

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
