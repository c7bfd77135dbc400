"""When the caller's speech takes the word from the agent.

    caller  ▁▁▇▇▇▇▇▇▇▇▇▁▁▁
    agent   ▇▇▇▇▇│          hushed after `min_ms` of speech; what it was decides
                 ├─ words ─────────▶ the next answer
                 └─ a noise, "mm-hm" ▶ on with the word at which it was cut

With `min_words` above 1 the agent goes on until so many words are understood: by a recogniser that tells them while
they are spoken, or else at the end of the turn.
"""

import asyncio

from breeze_buddy.domain.back_channels import counting_words, is_back_channel
from breeze_buddy.domain.turns import Turns
from breeze_buddy.media.ear import Ear
from breeze_buddy.media.figures import Figures
from breeze_buddy.media.mouth import Mouth
from breeze_buddy.media.playback import Playback

SALUTATION_S = 1.2
"""Who speaks before the agent has said this much says hello: that is no answer, and no reason to fall silent."""


class Interruptions:
    """By the rules of what is being said, and the template's where it has none. `language` is the transcriber's."""

    def __init__(
        self, *, turns: Turns, language: str, ear: Ear, mouth: Mouth, playback: Playback, figures: Figures
    ) -> None:
        self._turns = turns
        self._back_channels = turns.back_channels_in(language)
        self._ear = ear
        self._mouth = mouth
        self._playback = playback
        self._figures = figures
        self._onset_s = 0.0
        self._long_enough = False
        self.suspended = False  # nothing that is said now is for the agent

    @property
    def allowed(self) -> bool:
        """Whether the agent speaks and may be interrupted."""
        own = self._mouth.saying.interruptible
        return self._mouth.speaking and (self._turns.barge_in if own is None else own)

    def is_salutation(self, began_s: float) -> bool:
        """Whether a turn that began then is a hello at the beginning of the call."""
        first_s = self._playback.first_sent_s
        return first_s is None or began_s < first_s + SALUTATION_S

    def is_back_channel(self, text: str) -> bool:
        """Whether this, said over the agent, only shows that the caller listens."""
        return (self._mouth.speaking or self._mouth.hushed) and is_back_channel(text, self._back_channels)

    def turn_began(self, began_s: float) -> None:
        """The caller speaks: that interrupts now, or when it has lasted."""
        self._onset_s = began_s
        own_ms = self._mouth.saying.min_ms
        min_ms = self._turns.barge_in_min_ms if own_ms is None else own_ms
        self._long_enough = False
        if self._ear.tell_at(min_ms / 1000):
            self.turn_grew()

    def turn_grew(self) -> None:
        """The turn is long enough."""
        self._long_enough = True
        if self._min_words <= 1:
            self._interrupt()

    def words_heard(self, text: str) -> None:
        """What is understood of the turn, while it goes on or at its end."""
        if self._long_enough and 1 < self._min_words <= counting_words(text, self._back_channels):
            self._interrupt()

    def for_nothing(self) -> None:
        """It was no word after all: the agent goes on where it was cut."""
        self._figures.interrupted_for_nothing()
        self._mouth.go_on()

    @property
    def _min_words(self) -> int:
        own = self._mouth.saying.min_words
        return self._turns.barge_in_min_words if own is None else own

    def _interrupt(self) -> None:
        if self.allowed and not self.suspended and not self.is_salutation(self._onset_s):
            self._mouth.hush()
            self._figures.interrupted(self._onset_s, asyncio.get_running_loop().time())
