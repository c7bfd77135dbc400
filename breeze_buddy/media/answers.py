"""What the caller says, presses or keeps to themselves, until it is an answer.

words ─┬─ over the agent: "mm-hm", a hello ─▶ nothing          keys ──complete, or a pause──┐
       └─ else, when nothing more is being said ──▶ answer ◀──────────────────────────────┴── silence for long
"""

import asyncio

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.privacy import MASK
from breeze_buddy.domain.turns import Turns
from breeze_buddy.media.conversation_log import ConversationLog
from breeze_buddy.media.ear import Ear, TurnHeard
from breeze_buddy.media.engines import CallerTurn, Conversation, Heard, Pressed, Silence
from breeze_buddy.media.interruptions import Interruptions
from breeze_buddy.media.keypad import Keypad
from breeze_buddy.media.mouth import Mouth
from breeze_buddy.media.playback import Playback
from breeze_buddy.media.voicemail import farewell

STILL_BUSY_S = 0.25
"""How soon to look again when silence was to be prompted and the caller is speaking."""


class Answers:
    """Times are those of the loop's clock. `silence_s` is when silence will have been an answer, `cut_s` when the
    stream began, in a call that had been interrupted."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        turns: Turns,
        ear: Ear,
        mouth: Mouth,
        playback: Playback,
        transcript: ConversationLog,
        interruptions: Interruptions,
        cut_s: float | None,
    ) -> None:
        self._conversation = conversation
        self._turns = turns
        self._ear = ear
        self._mouth = mouth
        self._playback = playback
        self._transcript = transcript
        self._figures = transcript.figures
        self._interruptions = interruptions
        self._keypad = Keypad(cut_s=cut_s)
        self._unanswered: list[str] = []  # said while the caller was already speaking again
        self._silences = 0  # in a row
        self._private_until_s = float("-inf")  # what began before this was said for nobody's ears
        self.silence_s: float | None = None

    @property
    def keys_due_s(self) -> float | None:
        """When the keys are an answer, if no more come."""
        return self._keypad.due_s

    def expect(self) -> None:
        """The agent has been heard: keys that came before are taken now, and silence counts from here."""
        self.silence_s = self._now_s() + (self._mouth.saying.no_input_s or self._turns.no_input_s)
        if self._keypad.keys:
            if self._conversation.completes(self._keypad.keys):
                self._take_keys()
            else:
                self._keypad.wait(self._now_s())

    def forget(self) -> None:
        """Nothing that came until now is an answer, and silence is none."""
        self._keypad.forget()
        self._unanswered.clear()
        self.silence_s = None

    def give(self, turn: CallerTurn) -> None:
        """The answer, to the dialogue."""
        self._unanswered.clear()
        self.silence_s = None
        self._transcript.agent(self._playback, interrupted=True)
        if self._conversation.private:
            self._private_until_s = self._now_s()
        self._mouth.reply(self._conversation.answer(turn))

    # --- words -------------------------------------------------------------------------------------------------

    def understood(self, turn: TurnHeard) -> str:
        """Take a turn down; the words of it that may be an answer."""
        self._interruptions.words_heard(turn.text)
        text = "" if self._interruptions.is_back_channel(turn.text) else self._wanted_of(turn)
        if text and self._mouth.hushed:
            self._transcript.agent(self._playback, interrupted=True)
        if turn.text:
            private = self._conversation.private or turn.began_s < self._private_until_s
            self._transcript.caller(MASK if private else turn.text, at_s=turn.began_s)
        return text

    def hear(self, turn: TurnHeard, text: str) -> None:
        """`text` of this turn is for the dialogue, as soon as the caller says no more."""
        if self._mouth.speaking or self._interruptions.is_salutation(turn.began_s):
            return  # it was not allowed to interrupt
        if text:
            self._unanswered.append(text)
        if self._ear.caller_speaks:
            return
        if self._unanswered:
            self._silences = 0
            self._figures.answered(turn, self._now_s())
            self.give(Heard(" ".join(self._unanswered), interrupting=self._mouth.hushed))
        elif self._mouth.hushed and not self._keypad.keys:
            self._interruptions.for_nothing()

    def _wanted_of(self, turn: TurnHeard) -> str:
        """The words, unless they were not asked for yet, or in a question that has been answered with keys."""
        answered = turn.began_s < self._private_until_s and not self._conversation.private
        return turn.text if self._conversation.attentive and not answered else ""

    # --- keys --------------------------------------------------------------------------------------------------

    def takes_keys(self) -> bool:
        """Whether a key pressed now is part of an answer. Somebody is there, then."""
        conversation = self._conversation
        if not self._keypad.takes(private=conversation.private, attentive=conversation.attentive, now_s=self._now_s()):
            return False
        self._silences = 0
        return True

    def press(self, key: str) -> None:
        """A key, which is taken."""
        if self._interruptions.allowed:
            self._mouth.hush()
            self._transcript.agent(self._playback, interrupted=True)
        self._keypad.press(key, self._now_s())
        if self._conversation.completes(self._keypad.keys):
            self._take_keys()

    def take_keys(self) -> None:
        """There was a pause after them: they are the answer."""
        self._keypad.due_s = None
        self._take_keys()

    def _take_keys(self) -> None:
        if self._mouth.speaking:  # not interruptible: they are taken when the message has been heard
            self._keypad.due_s = None
            return
        keys = self._keypad.take()
        self._transcript.caller(MASK if self._conversation.private else keys, digits=True)
        self.give(Pressed(keys))

    # --- silence -----------------------------------------------------------------------------------------------

    def on_silence(self) -> None:
        """It was silent for as long as is waited, unless the caller is being heard or pressing keys."""
        if self._ear.busy or self._keypad.keys:
            self.silence_s = self._now_s() + STILL_BUSY_S
            return
        self._silences += 1
        self._figures.silent()
        if self._silences > self._turns.max_silences:
            self.silence_s = None
            self._mouth.reply(farewell(self._turns.unheard, Ending.NO_INPUT))
        else:
            self.give(Silence())

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
