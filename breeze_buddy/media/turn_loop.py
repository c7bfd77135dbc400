"""One conversation: whose turn it is, and what happens when it ends, is interrupted, or nobody speaks.

    agent speaks ──all heard──▶ listen ──turn ends──▶ words ──▶ the dialogue decides ──▶ agent speaks …
         ▲   └──caller speaks: hush──▶ listen            │
         └──────── a noise: go on ◀──────────────────────┘

A message for the team is one long turn, with pauses in it (`message.py`).

A conversation that asks for a human holds: a kind word now and then, until Twilio takes the caller away or the
caller is handed back.

Everything that can happen arrives in one inbox and is handled by one task, so no two things happen at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.flow import words_of
from breeze_buddy.domain.privacy import MASK
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.conversation_log import ConversationLog
from breeze_buddy.media.ear import Ear, TurnBegan, TurnHeard
from breeze_buddy.media.engines import (
    CallerTurn,
    Conversation,
    Engines,
    Finish,
    Heard,
    Pressed,
    Reply,
    Say,
    Silence,
    TakeMessage,
    closing,
)
from breeze_buddy.media.holding import Hold
from breeze_buddy.media.message import Message
from breeze_buddy.media.mouth import Mouth, Played, Replied, SpeakingFailed
from breeze_buddy.media.playback import Playback

SALUTATION_S = 1.2
"""Who speaks before the agent has said this much says hello: that is no answer, and no reason to fall silent."""
KEY_PAUSE_S = 2.0
"""Keys pressed are a whole answer after this pause."""
PRIVATE_TAIL_S = 1.0
"""Keys that follow the last one of a private answer so soon belong to it: a # after the number, a digit too many."""
LATE_MARK_S = 3.0
"""A mark that is this late will not come back."""
STILL_BUSY_S = 0.25
"""How soon to look again when silence was to be prompted and the caller is speaking."""
TIME_IS_UP = "I am sorry, our time is up. Goodbye."


def longest_talk_s(max_call_s: float) -> float:
    """When to say goodbye, so that the call is over by `max_call_s`: five seconds before, or a fifth."""
    return max_call_s - min(5.0, max_call_s / 5)


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
class _Due:
    """A deadline was reached: the field of TurnLoop that holds it."""

    what: str


Happening = TurnBegan | TurnHeard | KeyPressed | CallerGone | HandedBack | Replied | Played | SpeakingFailed


async def _kind_word(text: str) -> AsyncIterator[Reply]:
    yield Say(text, interruptible=False)


async def _farewell(text: str, ending: Ending) -> AsyncIterator[Reply]:
    yield Say(text, interruptible=False)
    yield Finish(ending)


class TurnLoop:
    """Runs one conversation to its end.

    `on_state` is called whenever the conversation has moved; it must not block. `hold` asks for humans and posts
    `HandedBack`. `call_began_s` is the loop's time from which the longest call is counted.
    """

    def __init__(
        self,
        *,
        conversation: Conversation,
        template: Template,
        engines: Engines,
        playback: Playback,
        transcript: ConversationLog,
        call_began_s: float,
        on_state: Callable[[], None],
        hold: Hold,
    ) -> None:
        self._conversation = conversation
        self._turns = template.turns
        self._transcript = transcript
        self._playback = playback
        self._on_state = on_state
        self._hold = hold
        self._longest_s = longest_talk_s(template.max_call_s)
        self._transfer = template.transfer
        self._gone = False
        self._holding = False
        self._ended: Finish | None = None  # held at its end, because somebody else has asked for a human
        self._comfort_s: float | None = None
        self._message: Message | None = None
        self._left_behind: CallerTurn | None = None  # the message of a caller who has hung up
        self._inbox: asyncio.Queue[Happening] = asyncio.Queue()
        self._ear = Ear(
            voice_activity=engines.voice_activity,
            transcriber=engines.transcriber,
            end_of_turn_s=template.turns.end_of_turn_ms / 1000,
            post=self.post,
        )
        self._mouth = Mouth(speaker=engines.speaker, voice=template.voice, playback=playback, post=self.post)
        self._keys = ""
        self._unanswered: list[str] = []  # said while the caller was already speaking again
        self._time_up_s: float | None = call_began_s + self._longest_s
        self._silence_s: float | None = None
        self._keys_s: float | None = None
        self._enough_s: float | None = None  # when speech has lasted long enough to interrupt
        self._private_until_s = float("-inf")  # what began before this was said for nobody's ears
        self._private_keys_until_s = float("-inf")

    def post(self, happening: Happening) -> None:
        self._inbox.put_nowait(happening)

    def hear(self, mulaw: bytes) -> None:
        """Audio of the caller."""
        self._ear.hear(mulaw)

    def played(self) -> None:
        """The playback is through."""
        self._mouth.played()

    async def run(self) -> Finish:
        """Hold the conversation. Raises what an engine raised while the agent had to speak."""
        self._mouth.reply(self._conversation.begin())
        try:
            while True:
                finish = self._handle(await self._next())
                if self._left_behind is not None:
                    finish = await self._last_word(self._left_behind)
                if finish is not None and not await self._is_held(finish):
                    return finish
        finally:
            self._hold.close()
            self._ear.close()
            self._mouth.close()
            self._transcript.agent(self._playback, interrupted=True)

    # --- what can happen ---------------------------------------------------------------------------------------

    def _handle(self, happening: Happening | _Due) -> Finish | None:
        match happening:
            case TurnBegan(began_s):
                if not self._holding and not self._is_salutation(began_s):
                    self._interrupt_after(began_s)
            case TurnHeard(text, began_s):
                self._on_words(text, began_s)
            case KeyPressed(key):
                self._on_key(key)
            case Played():
                return self._on_played()
            case Replied():
                self._on_state()
            case CallerGone():
                return self._on_gone()
            case HandedBack(ending):
                return self._on_handed_back(ending)
            case SpeakingFailed(error):
                raise error
            case _Due(what):
                return self._on_due(what)
        return None

    @property
    def _interruptible(self) -> bool:
        allowed = self._mouth.saying.interruptible
        return self._mouth.speaking and (self._turns.barge_in if allowed is None else allowed)

    @property
    def _min_words(self) -> int:
        wanted = self._mouth.saying.min_words
        return self._turns.barge_in_min_words if wanted is None else wanted

    def _interrupt(self) -> None:
        if self._interruptible:
            self._mouth.hush()
            self._transcript.agent(self._playback, interrupted=True)

    def _interrupt_after(self, began_s: float) -> None:
        """The caller speaks: at once, or after as much speech as the node asks for, the agent does not."""
        if self._min_words > 1:
            return  # words are counted when they are understood
        wanted_ms = self._mouth.saying.min_ms
        min_ms = self._turns.barge_in_min_ms if wanted_ms is None else wanted_ms
        if min_ms == 0:
            self._interrupt()
        elif self._interruptible:
            self._enough_s = began_s + min_ms / 1000

    def _is_interruption(self, text: str) -> bool:
        """Whether these words end what the agent is saying, which waits for a number of them."""
        return self._interruptible and self._min_words > 1 and len(words_of(text)) >= self._min_words

    def _is_salutation(self, began_s: float) -> bool:
        first_s = self._playback.first_sent_s
        return first_s is None or began_s < first_s + SALUTATION_S

    def _on_words(self, text: str, began_s: float) -> None:
        if text:
            private = self._conversation.private or began_s < self._private_until_s
            self._transcript.caller(MASK if private else text, at_s=began_s)
        if not self._conversation.attentive or (began_s < self._private_until_s and not self._conversation.private):
            text = ""  # not asked yet, or asked in a question that has been answered with keys
        if self._message is not None:
            self._message.heard(text, self._now_s())
            self._take_message_if_over()
            return
        if not self._holding and not self._is_salutation(began_s) and self._is_interruption(text):
            self._interrupt()
        if self._holding or self._mouth.speaking or self._is_salutation(began_s):  # it was not allowed to interrupt
            return
        if text:
            self._unanswered.append(text)
        if self._ear.caller_speaks:
            return
        if self._unanswered:
            self._answer(Heard(" ".join(self._unanswered), interrupting=self._mouth.hushed))
        elif self._mouth.hushed:
            self._mouth.go_on()

    def _on_key(self, key: str) -> None:
        if self._holding:
            return
        if self._conversation.private:
            if not self._conversation.attentive:
                return
            self._private_keys_until_s = self._now_s() + PRIVATE_TAIL_S
        elif self._now_s() < self._private_keys_until_s:
            return
        if self._message is not None:
            self._end_message()
            return
        self._interrupt()
        self._keys += key
        self._keys_s = self._now_s() + KEY_PAUSE_S
        if self._conversation.completes(self._keys):
            self._take_keys()

    def _take_keys(self) -> None:
        if self._mouth.speaking:  # not interruptible: they are taken when the message has been heard
            self._keys_s = None
            return
        keys, self._keys, self._keys_s = self._keys, "", None
        self._transcript.caller(MASK if self._conversation.private else keys, digits=True)
        self._answer(Pressed(keys))

    def _on_played(self) -> Finish | None:
        if self._mouth.speaking or self._mouth.hushed:  # something else is said by now
            return None
        self._transcript.agent(self._playback, interrupted=False)
        if self._mouth.finish is not None:
            return self._mouth.finish
        if self._mouth.hand_over is not None:
            self._begin_to_hold(self._mouth.hand_over.reason)
        if self._holding:
            self._expect_comfort()
            return None
        if self._mouth.take_message is not None:
            self._begin_message(self._mouth.take_message)
            return None
        self._silence_s = self._now_s() + (self._mouth.saying.no_input_s or self._turns.no_input_s)
        if self._keys:
            if self._conversation.completes(self._keys):
                self._take_keys()
            else:
                self._keys_s = self._now_s() + KEY_PAUSE_S
        return None

    async def _is_held(self, finish: Finish) -> bool:
        """A conversation at its end is held while an operator's transfer is under way: the call would be lost to it."""
        over = self._gone or self._holding or self._transfer is None
        if over or not await self._hold.is_open():
            return False
        self._ended = finish
        self._begin_to_hold(None)
        self._expect_comfort()
        return True

    def _begin_to_hold(self, reason: str | None) -> None:
        self._holding = True
        self._hold.begin(reason)
        self._on_state()
        self._keys, self._keys_s, self._silence_s, self._time_up_s = "", None, None, None
        self._unanswered.clear()

    def _expect_comfort(self) -> None:
        if self._transfer is not None:
            self._comfort_s = self._now_s() + self._transfer.comfort_every_s

    def _comfort(self) -> None:
        self._comfort_s = None
        if self._transfer is not None:
            self._mouth.reply(_kind_word(self._transfer.comfort))

    def _begin_message(self, asked: TakeMessage) -> None:
        self._message = Message(asked, now_s=self._now_s(), first_word_s=self._turns.no_input_s)
        self._keys, self._keys_s, self._silence_s = "", None, None
        self._time_up_s = None  # it has a limit of its own
        self._on_state()

    def _end_message(self) -> None:
        assert self._message is not None
        self._message.over = True
        self._ear.cover()
        self._take_message_if_over()

    def _take_message_if_over(self) -> None:
        """The dialogue has the message as soon as its last words are understood."""
        message = self._message
        if message is None or not message.over or self._ear.busy:
            return
        self._message = None
        if self._gone:
            self._left_behind = message.turn
            return
        self._ear.listen()
        self._answer(message.turn)

    async def _last_word(self, turn: CallerTurn) -> Finish:
        """What the dialogue makes of a message whose caller is gone, and hears nothing any more."""
        async with closing(self._conversation.answer(turn)) as replies:
            async for reply in replies:
                if isinstance(reply, Finish):
                    return reply
        return Finish(Ending.CALLER_HUNG_UP)

    def _on_handed_back(self, ending: TransferEnding) -> Finish | None:
        if self._ended is not None:
            return self._ended
        self._holding = False
        self._comfort_s = None
        self._time_up_s = self._now_s() + self._longest_s  # a caller who had to wait is not sent away for that
        self._transcript.agent(self._playback, interrupted=True)
        self._mouth.reply(self._conversation.come_back(ending))
        return None

    def _on_gone(self) -> Finish | None:
        """The caller hung up. Leaving during the last message, after having answered, is a conversation that
        reached its end; and what the caller asked for holds either way. A message ends with it, and counts."""
        self._gone = True
        if self._message is not None:
            self._end_message()
            return None
        if self._ended is not None:
            return self._ended
        decided = self._mouth.finish
        if decided is None:
            return Finish(Ending.CALLER_HUNG_UP)
        if decided.ending is Ending.REACHED_END and not self._transcript.caller_has_spoken:
            return Finish(Ending.CALLER_HUNG_UP, decided.result, decided.callback, decided.do_not_call)
        return decided

    def _on_due(self, what: str) -> Finish | None:
        match what:
            case "silence" if self._ear.busy or self._keys:
                self._silence_s = self._now_s() + STILL_BUSY_S
            case "silence":
                self._answer(Silence())
            case "pause" if self._message is not None and self._ear.busy:
                self._message.wait_until(self._now_s() + STILL_BUSY_S)
            case "pause" | "full":
                self._end_message()
            case "enough":
                self._enough_s = None
                if self._ear.caller_speaks:
                    self._interrupt()
            case "keys":
                self._keys_s = None
                self._take_keys()
            case "comfort":
                self._comfort()
            case "marks":
                self._playback.assume_played()
                return self._on_played()
            case "time_up":
                self._time_up_s = None
                if self._mouth.finish is None:
                    self._mouth.reply(_farewell(TIME_IS_UP, Ending.TOO_LONG))
                    self._transcript.agent(self._playback, interrupted=True)
        return None

    def _answer(self, turn: CallerTurn) -> None:
        self._unanswered.clear()
        self._silence_s = None
        self._transcript.agent(self._playback, interrupted=True)
        if self._conversation.private:
            self._private_until_s = self._now_s()
        self._mouth.reply(self._conversation.answer(turn))

    # --- time --------------------------------------------------------------------------------------------------

    async def _next(self) -> Happening | _Due:
        """The next thing that happens, or the first deadline that is reached."""
        deadlines = [(at_s, what) for what, at_s in self._deadlines() if at_s is not None]
        if not self._inbox.empty() or not deadlines:
            return await self._inbox.get()
        at_s, what = min(deadlines)
        try:
            async with asyncio.timeout_at(at_s):
                return await self._inbox.get()
        except TimeoutError:
            return _Due(what)

    def _deadlines(self) -> tuple[tuple[str, float | None], ...]:
        speaking = self._mouth.speaking
        late = speaking and self._mouth.all_said
        message = self._message if self._message is not None and not self._message.over else None
        return (
            ("time_up", self._time_up_s),
            ("comfort", None if speaking else self._comfort_s),
            ("silence", None if speaking else self._silence_s),
            ("keys", None if speaking else self._keys_s),
            ("enough", self._enough_s),
            ("pause", message.pause_until_s if message is not None else None),
            ("full", message.ends_s if message is not None else None),
            ("marks", self._playback.ends_s + LATE_MARK_S if late else None),
        )

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
