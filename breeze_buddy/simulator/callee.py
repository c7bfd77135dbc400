"""A person on the phone, as a small machine that takes and gives 20 ms of sound at a time.

The script is a generator: what it yields is said, what it is sent was heard. So a person has no task, no timer and
no clock of their own, and says the same thing in the same frame every time.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from breeze_buddy.simulator.people import DEFAULT_SCRIPT, VOICEMAIL_GREETING, Behaviour, Turn, script_of
from breeze_buddy.simulator.sound import FRAME_S, SILENCE_FRAME, Clip, frames_of, is_sound, quiet_at_first_s, tone

Mouth = Generator[bytes, bytes, None]

BEEP = tone(1000, 0.5)
PAUSE_BEFORE_BEEP_S = 0.4
BETWEEN_KEYS_S = 0.2
HANGS_UP_EARLY_AFTER_S = 2.0
MID_SENTENCE_AFTER_S = 0.8
HUMAN_DETECTED_AFTER_S = 1.2
MACHINE_DETECTED_AFTER_S = 2.6
SILENCE_DETECTED_AFTER_S = 5.0
END_OF_UTTERANCE_S = 0.3


@dataclass(frozen=True)
class Said:
    """Something a person did, at which second of the call; words sound from `sounds_at_s` on."""

    at_s: float
    did: str
    text: str
    sounds_at_s: float | None = None


@dataclass(frozen=True)
class Detection:
    """What answering machine detection finds and when, in seconds after the answer."""

    answered_by: str
    after_s: float


def script_for(behaviour: Behaviour) -> list[Turn]:
    """The turns of someone with this behaviour."""
    if behaviour.behaviour in ("voicemail", "silent", "hangs_up_early"):
        return []
    return script_of(*DEFAULT_SCRIPT) if behaviour.script is None else behaviour.script


def greeting_for(behaviour: Behaviour) -> str:
    """What is said on picking up, if anything."""
    if behaviour.greeting is None:
        return VOICEMAIL_GREETING if behaviour.behaviour == "voicemail" else ""
    return behaviour.greeting


def sentences_of(behaviour: Behaviour) -> list[str]:
    """All that someone with this behaviour may have to say, to be rendered beforehand."""
    if behaviour.talk_s == 0 or behaviour.behaviour in ("no_answer", "busy", "failed", "canceled", "declines"):
        return []
    return [text for text in (greeting_for(behaviour), *(turn.say for turn in script_for(behaviour))) if text]


class Callee:
    """One person during one call.

    ``clips`` holds every sentence as µ-law. ``press`` is called with each key, ``hang_up`` once, when the person
    has had enough; ``said`` records what they did.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        clips: Mapping[str, bytes],
        *,
        press: Callable[[str], None],
        hang_up: Callable[[], None],
        said: list[Said],
    ) -> None:
        self.said = said
        self._behaviour = behaviour
        self._clips = clips
        self._press = press
        self._hang_up = hang_up
        self._frames = 0
        self._sound_frames = 0
        self._quiet_frames = 0
        self._utterances = 0
        self._into_utterance_frames = 0
        self._patience_frames = frames_of(behaviour.patience_s)
        self._gone = False
        self._mouth = self._life()
        self._heard = SILENCE_FRAME
        next(self._mouth)

    @property
    def clock_s(self) -> float:
        """Seconds since the answer."""
        return self._frames * FRAME_S

    @property
    def hears_sound(self) -> bool:
        """Whether the frame just heard was sound."""
        return self._quiet_frames == 0 and self._utterances > 0

    def speak(self) -> bytes:
        """The next 20 ms that this person says."""
        self._frames += 1
        if self._gone:
            return SILENCE_FRAME
        try:
            frame = self._mouth.send(self._heard)
        except StopIteration:
            self._leave("hung up")
            return SILENCE_FRAME
        self._watch()
        return frame

    def hear(self, frame: bytes) -> None:
        """20 ms of what the other side says."""
        self._heard = frame
        if is_sound(frame):
            if self._quiet_frames >= frames_of(END_OF_UTTERANCE_S) or self._utterances == 0:
                self._utterances += 1
                self._into_utterance_frames = 0
            self._sound_frames += 1
            self._quiet_frames = 0
        else:
            self._quiet_frames += 1
        self._into_utterance_frames += 1

    def detection(self, mode: str) -> Detection:
        """What detection in ``mode`` (Enable or DetectMessageEnd) says of this person, and when."""
        behaviour = self._behaviour
        if behaviour.behaviour == "voicemail":
            greeting_s = Clip(self._clips.get(greeting_for(behaviour), b"")).duration_s
            if mode == "DetectMessageEnd":
                end_s = greeting_s + PAUSE_BEFORE_BEEP_S + Clip(BEEP).duration_s
                found = Detection("machine_end_beep", end_s)
            else:
                found = Detection("machine_start", min(MACHINE_DETECTED_AFTER_S, greeting_s))
        elif behaviour.behaviour == "silent":
            found = Detection("unknown", SILENCE_DETECTED_AFTER_S)
        else:
            found = Detection("human", HUMAN_DETECTED_AFTER_S)
        return Detection(behaviour.answered_by or found.answered_by, found.after_s)

    def _watch(self) -> None:
        behaviour = self._behaviour
        limit_s = behaviour.max_call_s if behaviour.talk_s is None else behaviour.talk_s
        if self.clock_s >= limit_s:
            self._leave("hung up: enough talked")
        elif behaviour.behaviour == "hangs_up_early":
            after_s = HANGS_UP_EARLY_AFTER_S if behaviour.after_s is None else behaviour.after_s
            if self.clock_s >= after_s:
                self._leave("hung up early")
        elif behaviour.behaviour == "hangs_up_mid_sentence":
            after_s = MID_SENTENCE_AFTER_S if behaviour.after_s is None else behaviour.after_s
            speaking = self._quiet_frames == 0 and self._utterances == behaviour.sentence
            if speaking and self._into_utterance_frames >= frames_of(after_s):
                self._leave("hung up mid-sentence")

    def _leave(self, how: str) -> None:
        if not self._gone:
            self._gone = True
            self._note("hang_up", how)
            self._hang_up()

    def _note(self, did: str, text: str, *, sounds_at_s: float | None = None) -> None:
        self.said.append(Said(round(self.clock_s, 2), did, text, sounds_at_s))

    def _life(self) -> Mouth:
        yield SILENCE_FRAME
        greeting = greeting_for(self._behaviour)
        if greeting:
            yield from self._speak(greeting)
        if self._behaviour.behaviour == "voicemail":
            yield from self._idle(PAUSE_BEFORE_BEEP_S)
            self._note("beep", "")
            yield from self._sound(BEEP)
        for turn in script_for(self._behaviour):
            yield from self._take(turn)
            if turn.hang_up:
                return
        while True:
            yield SILENCE_FRAME

    def _take(self, turn: Turn) -> Mouth:
        if turn.wait is not None:
            yield from self._idle(turn.wait)
            return
        if not turn.unprompted:
            while not (self._sound_frames and self._quiet_frames >= self._patience_frames):
                yield SILENCE_FRAME
        yield from self._idle(turn.after_s)
        if turn.say is not None:
            yield from self._speak(turn.say)
        elif turn.press is not None:
            self._note("press", turn.press)
            for digit in turn.press:
                self._press(digit)
                yield from self._idle(BETWEEN_KEYS_S)
        self._sound_frames = 0
        self._quiet_frames = 0

    def _speak(self, text: str) -> Mouth:
        clip = self._clips.get(text, b"")
        self._note("say", text, sounds_at_s=round(self.clock_s + quiet_at_first_s(clip), 2))
        yield from self._sound(clip)

    def _sound(self, ulaw: bytes) -> Mouth:
        clip = Clip(ulaw)
        while (frame := clip.next_frame()) is not None:
            yield frame

    def _idle(self, seconds: float) -> Mouth:
        for _ in range(frames_of(seconds)):
            yield SILENCE_FRAME
