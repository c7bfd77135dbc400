"""A call that a machine takes: finding it out, and leaving a message after the beep.

answer ──▶ watch ──found──▶ hang up
                     └────▶ wait ──beep──▶ message ──heard──▶ hang up
                              └─ silent for long: no beep will come

A stream that goes on after another one broke begins where that one was: in the wait, or with the message.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from breeze_buddy.domain.conversation import Ending, MessageStage
from breeze_buddy.domain.flow import fill
from breeze_buddy.domain.voicemail import MESSAGE_LEFT, LeaveMessage, said_by_a_machine
from breeze_buddy.media.answering_machine import GREETING_BEGINS_S, MachineDetector, Sign
from breeze_buddy.media.directory import CallDirectory, StreamCall
from breeze_buddy.media.ear import Ear
from breeze_buddy.media.engines import Finish, Reply, Say
from breeze_buddy.media.happenings import BeepHeard, MachineFound
from breeze_buddy.media.mouth import Mouth

log = logging.getLogger(__name__)

WATCHED_S = 45.0
"""Greetings are over by then, and nobody is taken for a machine any more."""
TWILIO_IS_ASKED_S = (2.5, 4.0, 6.0, 9.0)
"""After the answer; its detection takes some seconds."""
AFTER_BEEP_S = 0.25
AFTER_BREAK_S = 0.5
NO_BEEP_S = 3.0
"""A greeting that is over for so long had no beep."""
LONGEST_GREETING_S = 60.0


class MachineWatch:
    """Posts MachineFound once, and BeepHeard at each beep, from the sound, the words, and what Twilio has found.

    `stage` is how far the message for the machine is, None before it is found. In a call that is resumed the caller
    has heard us break off: what is said then is no greeting, and only a beep and Twilio's word count.
    """

    def __init__(self, call: StreamCall, directory: CallDirectory) -> None:
        policy = call.template.voicemail
        self.message = fill(policy.leave_message, call.variables) if isinstance(policy, LeaveMessage) else None
        self._call_id = call.call_id
        self._directory = directory
        self._detector: MachineDetector | None = MachineDetector()
        self._post: Callable[[MachineFound | BeepHeard], None] | None = None
        self._began_s = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._resumed = call.resume is not None
        self.resumed_stage = call.resume.machine if call.resume is not None else None
        self.stage: MessageStage | None = self.resumed_stage
        self.found = self.resumed_stage is not None

    @classmethod
    def of(cls, call: StreamCall, directory: CallDirectory) -> "MachineWatch | None":
        """None where a machine changes nothing, or cannot be: nobody who calls us is one, nor who has answered us."""
        policy = call.template.voicemail
        if not call.template.detect_voicemail or policy == "go_on" or call.inbound:
            return None
        if call.resume is not None:
            talked = any(one.speaker == "caller" for one in call.resume.transcript)
            if not isinstance(policy, LeaveMessage) or (talked and call.resume.machine is None):
                return None
        return cls(call, directory)

    def begin(self, post: Callable[[MachineFound | BeepHeard], None]) -> None:
        """The call is answered now."""
        self._post = post
        self._began_s = asyncio.get_running_loop().time()
        if self.found:
            post(MachineFound("it had before the stream broke"))
        elif self.message is not None:  # for the other policy Twilio's word ends the call already
            self._asking = asyncio.create_task(self._ask())

    def close(self) -> None:
        self._detector = self._post = None
        if self._asking is not None:
            self._asking.cancel()

    def hear(self, probability: float, audio: bytes) -> None:
        """A window of the caller's sound."""
        if self._detector is None:
            return
        sign = self._detector.step(probability, audio)
        if sign is Sign.BEEP and self._post is not None:
            self._find("a beep")
            self._post(BeepHeard())
        elif sign is Sign.LONG_GREETING and not self._resumed:
            self._find("a long greeting")
        elif not self.found and asyncio.get_running_loop().time() > self._began_s + WATCHED_S:
            self.close()

    def understand(self, text: str, began_s: float) -> None:
        """What was said in a turn that began then."""
        if not self._resumed and began_s < self._began_s + GREETING_BEGINS_S and said_by_a_machine(text):
            self._find("the words of its greeting")

    def _find(self, why: str) -> None:
        if not self.found and self._post is not None:
            self.found = True
            self._post(MachineFound(why))

    async def _ask(self) -> None:
        for at_s in TWILIO_IS_ASKED_S:
            await asyncio.sleep(self._began_s + at_s - asyncio.get_running_loop().time())
            if self.found:
                return
            try:
                machine = await self._directory.answered_by_machine(self._call_id)
            except Exception:  # the sound may tell as well
                log.warning("call %s: what Twilio knows of who answered is unknown", self._call_id, exc_info=True)
                continue
            if machine:
                self._find("Twilio's detection")


class LeavingMessage:
    """Says the message to a machine, when its greeting is over. `due_s` is when to look again, by the loop's clock."""

    def __init__(self, text: str, *, watch: MachineWatch, ear: Ear, mouth: Mouth) -> None:
        self._text = text
        self._ear = ear
        self._mouth = mouth
        self._watch = watch
        self._beeped = watch.resumed_stage == "message"  # it was begun: once more from its beginning
        now_s = asyncio.get_running_loop().time()
        self._gives_up_s = now_s + LONGEST_GREETING_S
        self.due_s: float | None = now_s + (AFTER_BREAK_S if self._beeped else NO_BEEP_S)
        watch.stage = "message" if self._beeped else "greeting"
        mouth.stop()

    def beeped(self) -> None:
        """The message is said from now on, once more if it had been begun."""
        self._mouth.stop()
        self._beeped = True
        self.due_s = asyncio.get_running_loop().time() + AFTER_BEEP_S

    def on_due(self) -> Finish | None:
        """Speak, wait on, or give up."""
        now_s = asyncio.get_running_loop().time()
        if self._beeped or not self._ear.caller_speaks:
            self.due_s = None
            self._watch.stage = "message"
            self._mouth.reply(farewell(self._text, Ending.REACHED_END, MESSAGE_LEFT))
        elif now_s > self._gives_up_s:
            return Finish(Ending.VOICEMAIL)
        else:
            self.due_s = now_s + NO_BEEP_S
        return None


async def farewell(text: str, ending: Ending, result: str | None = None) -> AsyncIterator[Reply]:
    """The last words of a call."""
    yield Say(text, interruptible=False)
    yield Finish(ending, result)
