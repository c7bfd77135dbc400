"""One conversation: whose turn it is, and what happens when it ends, is interrupted, or nobody speaks.

    agent speaks ──all heard──▶ listen ──turn ends──▶ words ──▶ the dialogue decides ──▶ agent speaks …
         ▲   └──caller speaks: hush──▶ listen            │
         └── a noise, "mm-hm": go on ◀───────────────────┘

What the caller says, presses or keeps to themselves becomes an answer in `answers.py`. What takes the word from the
agent is in `interruptions.py`, machines in `voicemail.py`. A message for the team is one long turn, with pauses in it
(`message.py`).

A conversation that asks for a human holds: a kind word now and then, until Twilio takes the caller away or the
caller is handed back (`waiting.py`).

Everything that can happen arrives in one inbox and is handled by one task, so no two things happen at once.
"""

import asyncio
import logging
from collections.abc import Callable

from breeze_buddy.domain.conversation import Ending
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.answers import STILL_BUSY_S, Answers
from breeze_buddy.media.conversation_log import ConversationLog
from breeze_buddy.media.ear import Ear, TurnBegan, TurnGrew, TurnHeard, WordsSoFar
from breeze_buddy.media.engines import (
    CallerTurn,
    Conversation,
    Engines,
    Finish,
    TakeMessage,
    Thinking,
)
from breeze_buddy.media.happenings import (
    BeepHeard,
    CallerGone,
    Due,
    HandedBack,
    Happening,
    KeyPressed,
    MachineFound,
    next_of,
)
from breeze_buddy.media.holding import Hold
from breeze_buddy.media.interruptions import Interruptions
from breeze_buddy.media.message import Message, last_word
from breeze_buddy.media.mouth import Mouth, Played, Replied, SpeakingFailed
from breeze_buddy.media.pauses import EndOfTurn
from breeze_buddy.media.playback import Playback
from breeze_buddy.media.voicemail import LeavingMessage, MachineWatch, farewell
from breeze_buddy.media.waiting import Waiting

LATE_MARK_S = 3.0
"""A mark that is this late will not come back."""

log = logging.getLogger(__name__)


def longest_talk_s(max_call_s: float) -> float:
    """When to say goodbye, so that the call is over by `max_call_s`: five seconds before, or a fifth."""
    return max_call_s - min(5.0, max_call_s / 5)


class TurnLoop:
    """Runs one conversation to its end.

    `on_state` is called whenever the conversation has moved; it must not block. `hold` asks for humans and posts
    `HandedBack`. `call_began_s` is the loop's time from which the longest call is counted, `cut_s` when the stream
    began, in a call that had been interrupted. `machines` says whether a machine has taken the call; None: nobody asks.
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
        cut_s: float | None,
        on_state: Callable[[], None],
        hold: Hold,
        machines: MachineWatch | None = None,
    ) -> None:
        self._conversation = conversation
        self._thinking = conversation if isinstance(conversation, Thinking) else None
        turns = self._turns = template.turns
        self._transcript = transcript
        self._figures = transcript.figures
        self._playback = playback
        self._on_state = on_state
        self._longest_s = longest_talk_s(template.max_call_s)
        self._machines = machines
        self._leaving: LeavingMessage | None = None
        self._gone = False
        self._message: Message | None = None
        self._left_behind: CallerTurn | None = None  # the message of a caller who has hung up
        self._inbox: asyncio.Queue[Happening] = asyncio.Queue()
        self._ear = Ear(
            voice_activity=engines.voice_activity,
            transcriber=engines.transcriber,
            end_of_turn=EndOfTurn(
                first_s=turns.end_of_turn_ms / 1000,
                shortest_s=turns.least_wait_ms / 1000,
                longest_s=turns.most_wait_ms / 1000,
            ),
            post=self.post,
            overheard=machines.hear if machines is not None else None,
        )
        self._mouth = Mouth(speaker=engines.speaker, voice=template.voice, playback=playback, post=self.post)
        self._waiting = Waiting(hold, template.transfer, self._mouth)
        self._interruptions = Interruptions(
            turns=turns,
            language=template.transcriber.language,
            ear=self._ear,
            mouth=self._mouth,
            playback=playback,
            figures=transcript.figures,
        )
        self._answers = Answers(
            conversation,
            turns=turns,
            ear=self._ear,
            mouth=self._mouth,
            playback=playback,
            transcript=transcript,
            interruptions=self._interruptions,
            cut_s=cut_s,
        )
        self._time_up_s: float | None = call_began_s + self._longest_s

    @property
    def decided(self) -> Finish | None:
        """How the conversation ends, when its last words are being said."""
        return self._mouth.finish

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
        if self._machines is None or not self._machines.found:
            self._mouth.reply(self._conversation.begin())
        if self._machines is not None:
            self._machines.begin(self.post)
        try:
            while True:
                finish = self._handle(await next_of(self._inbox, self._deadlines()))
                self._note_times()
                if self._left_behind is not None:
                    finish = await last_word(self._conversation, self._left_behind)
                if finish is not None and not await self._is_held(finish):
                    return finish
        finally:
            self._waiting.close()
            if self._machines is not None:
                self._machines.close()
            self._ear.close()
            self._mouth.close()
            self._transcript.agent(self._playback, interrupted=True)

    # --- what can happen ---------------------------------------------------------------------------------------

    def _handle(self, happening: Happening | Due) -> Finish | None:
        match happening:
            case TurnBegan(began_s):
                self._interruptions.turn_began(began_s)
            case TurnGrew():
                self._interruptions.turn_grew()
            case WordsSoFar(text):
                self._interruptions.words_heard(text)
            case TurnHeard():
                self._on_heard(happening)
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
            case MachineFound(why):
                return self._on_machine(why)
            case BeepHeard() if self._leaving is not None:
                self._leaving.beeped()
                self._transcript.agent(self._playback, interrupted=True)
            case SpeakingFailed(error):
                raise error
            case Due(what):
                return self._on_due(what)
        return None

    # --- the caller speaks, or presses keys --------------------------------------------------------------------

    def _on_heard(self, turn: TurnHeard) -> None:
        if self._machines is not None:
            self._machines.understand(turn.text, turn.began_s)
        text = self._answers.understood(turn)
        if self._leaving is not None:
            return
        if self._message is not None:
            self._message.heard(text, self._now_s())
            self._take_message_if_over()
        elif not self._waiting.goes_on:
            self._answers.hear(turn, text)

    def _on_key(self, key: str) -> None:
        if self._waiting.goes_on or self._leaving is not None or not self._answers.takes_keys():
            return
        if self._message is not None:
            self._end_message()
        else:
            self._answers.press(key)

    # --- the agent has been heard, or the call is over ---------------------------------------------------------

    def _on_played(self) -> Finish | None:
        if self._mouth.speaking or self._mouth.hushed:  # something else is said by now
            return None
        self._transcript.agent(self._playback, interrupted=False)
        if self._mouth.finish is not None:
            return self._mouth.finish
        if self._leaving is not None:
            return None
        if self._mouth.hand_over is not None:
            self._begin_to_wait(self._mouth.hand_over.reason)
        if self._waiting.goes_on:
            self._waiting.expect_comfort(self._now_s())
            return None
        if self._mouth.take_message is not None:
            self._begin_message(self._mouth.take_message)
            return None
        self._answers.expect()
        return None

    def _on_gone(self) -> Finish | None:
        """The caller hung up. Leaving during the last message, after having answered, is a conversation that
        reached its end; and what the caller asked for holds either way. A message ends with it, and counts."""
        self._gone = True
        if self._leaving is not None:
            return Finish(Ending.VOICEMAIL)
        if self._message is not None:
            self._end_message()
            return None
        if self._waiting.ended is not None:
            return self._waiting.ended
        decided = self._mouth.finish
        if decided is None:
            return Finish(Ending.CALLER_HUNG_UP)
        if decided.ending is Ending.REACHED_END and not self._transcript.caller_has_spoken:
            return Finish(Ending.CALLER_HUNG_UP, decided.result, decided.callback, decided.do_not_call)
        return decided

    # --- a human is waited for ---------------------------------------------------------------------------------

    async def _is_held(self, finish: Finish) -> bool:
        """A conversation at its end is held while an operator's transfer is under way: the call would be lost to it."""
        if self._gone or self._leaving is not None or not await self._waiting.is_wanted():
            return False
        self._waiting.ended = finish
        self._begin_to_wait(None)
        self._waiting.expect_comfort(self._now_s())
        return True

    def _begin_to_wait(self, reason: str | None) -> None:
        self._interruptions.suspended = True
        self._waiting.begin(reason)
        self._on_state()
        self._time_up_s = None
        self._answers.forget()

    def _on_handed_back(self, ending: TransferEnding) -> Finish | None:
        if self._waiting.ended is not None:
            return self._waiting.ended
        self._waiting.end()
        self._interruptions.suspended = False
        self._time_up_s = self._now_s() + self._longest_s  # a caller who had to wait is not sent away for that
        self._transcript.agent(self._playback, interrupted=True)
        self._mouth.reply(self._conversation.come_back(ending))
        return None

    # --- the caller leaves a message ---------------------------------------------------------------------------

    def _begin_message(self, asked: TakeMessage) -> None:
        self._message = Message(asked, now_s=self._now_s(), first_word_s=self._turns.no_input_s)
        self._answers.forget()
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
        self._answers.give(message.turn)

    # --- a machine has taken the call --------------------------------------------------------------------------

    def _on_machine(self, why: str) -> Finish | None:
        if self._machines is None or self._leaving is not None or self._waiting.goes_on:
            return None
        log.info("a machine has answered: %s", why)
        if self._machines.message is None:
            return Finish(Ending.VOICEMAIL)
        self._interruptions.suspended = True
        self._leaving = LeavingMessage(self._machines.message, watch=self._machines, ear=self._ear, mouth=self._mouth)
        self._transcript.agent(self._playback, interrupted=True)
        self._answers.forget()
        self._message = None
        self._on_state()
        return None

    # --- time --------------------------------------------------------------------------------------------------

    def _on_due(self, what: str) -> Finish | None:
        match what:
            case "silence":
                self._answers.on_silence()
            case "pause" if self._message is not None and self._ear.busy:
                self._message.wait_until(self._now_s() + STILL_BUSY_S)
            case "pause" | "full":
                self._end_message()
            case "keys":
                self._answers.take_keys()
            case "comfort":
                self._waiting.comfort()
            case "machine" if self._leaving is not None:
                return self._leaving.on_due()
            case "marks":
                self._playback.assume_played()
                return self._on_played()
            case "time_up":
                self._time_up_s = None
                if self._leaving is not None:
                    return Finish(Ending.VOICEMAIL)
                if self._mouth.finish is None:
                    self._mouth.reply(farewell(self._turns.time_is_up, Ending.TOO_LONG))
                    self._transcript.agent(self._playback, interrupted=True)
        return None

    def _deadlines(self) -> tuple[tuple[str, float | None], ...]:
        speaking = self._mouth.speaking
        late = speaking and self._mouth.all_said
        message = self._message if self._message is not None and not self._message.over else None
        return (
            ("time_up", self._time_up_s),
            ("comfort", None if speaking else self._waiting.comfort_s),
            ("silence", None if speaking else self._answers.silence_s),
            ("keys", None if speaking else self._answers.keys_due_s),
            ("pause", message.pause_until_s if message is not None else None),
            ("full", message.ends_s if message is not None else None),
            ("machine", self._leaving.due_s if self._leaving is not None else None),
            ("marks", self._playback.ends_s + LATE_MARK_S if late else None),
        )

    def _note_times(self) -> None:
        mouth, thinking = self._mouth, self._thinking
        if thinking is not None and thinking.first_token_s is not None:
            self._figures.thought(thinking.first_token_s)
        self._figures.spoken(replied_s=mouth.replied_s, rendered_s=mouth.rendered_s, sent_s=mouth.sent_s)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
