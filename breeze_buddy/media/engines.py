"""What an engine has to be: a transcriber, a speaker and a dialogue, each an async iterator.

                  turn audio ─▶ Transcriber ─▶ transcripts ─▶ Conversation ─▶ replies ─▶ Speaker ─▶ audio

The session owns time, the socket and the keypad; engines own words and sounds. Leaving an iterator early
is how a barge-in cancels: an engine stops its work when its iterator is closed.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from breeze_buddy.domain.conversation import Ending, HalfFilled, Utterance
from breeze_buddy.domain.promise import Callback
from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.transfer import TransferEnding
from breeze_buddy.media.directory import StreamCall


class EngineUnavailable(Exception):
    """An engine cannot be started; the message says what to install or set."""


_Item = TypeVar("_Item")


@asynccontextmanager
async def closing(items: AsyncIterator[_Item]) -> AsyncIterator[AsyncIterator[_Item]]:
    """Closes an engine's iterator when it is left, at its end or before."""
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


# --- ears -------------------------------------------------------------------------------------------------------


class VoiceTrack(Protocol):
    """One caller's audio, watched for speech."""

    def push(self, mulaw: bytes) -> None:
        """More audio, any length."""

    def close(self) -> None:
        """No more; nothing is called back after this."""


OnWindow = Callable[[float, bytes], None]
"""Called for each window in order: the probability of speech in it, and its µ-law audio."""


class VoiceActivity(Protocol):
    """Tells speech from the rest, for all streams at once. `window_s` is how much audio it judges at a time."""

    window_s: float

    def track(self, on_window: OnWindow) -> VoiceTrack: ...


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood so far. A later one replaces those that are not final; final ones add up."""

    text: str
    final: bool = True


class Transcriber(Protocol):
    def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        """The words of one turn of the caller. `turn` yields µ-law as it is spoken and ends with the turn."""


# --- mouth ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpokenChunk:
    """Some words and their µ-law audio."""

    text: str
    audio: bytes


class Speaker(Protocol):
    def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
        """`text` as sound, the first chunk as early as can be. All chunks' texts together are `text`."""


# --- mind -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller said this. `interrupting`: before the agent had said what it was saying."""

    text: str
    interrupting: bool = False


@dataclass(frozen=True, slots=True)
class Pressed:
    """The caller pressed these keys (0-9, * and #)."""

    keys: str


@dataclass(frozen=True, slots=True)
class Silence:
    """The caller said nothing for as long as the template waits."""


CallerTurn = Heard | Pressed | Silence


@dataclass(frozen=True, slots=True)
class Say:
    """Words for the caller; none at all, if only the rest of this is meant.

    One that is not `interruptible` is played to its end; one that is falls silent for `min_ms` of speech, or, with
    `min_words` above 1, when so many words were understood. `no_input_s` is the silence after it that counts. What is
    None is as the template's turns say.
    """

    text: str
    interruptible: bool | None = None
    min_ms: int | None = None
    min_words: int | None = None
    no_input_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The conversation is over once everything said before has been heard."""

    ending: Ending
    result: str | None = None
    callback: Callback | None = None
    do_not_call: bool = False


@dataclass(frozen=True, slots=True)
class HandOver:
    """A human is to take over once everything said before has been heard; the conversation may come back."""

    reason: str


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """The caller leaves a message once everything said before has been heard: until a key, a pause of `pause_s`
    after words, or `longest_s`. All of it is then one `Heard`; it is `Silence` when there was no word in it."""

    pause_s: float
    longest_s: float


Reply = Say | Finish | HandOver | TakeMessage


class Privacy(Protocol):
    """The recording of the call, as a dialogue sees it."""

    @property
    def needed(self) -> bool:
        """Whether `begin` will take a moment."""

    async def begin(self) -> bool:
        """Nothing is recorded from when this returns True. False: it could not be had, so ask for nothing private."""

    def end(self) -> None:
        """What comes now may be recorded again."""


class Conversation(Protocol):
    """One call's dialogue. After the replies to a turn are through, it waits for the next turn."""

    @property
    def node(self) -> str:
        """Where in the flow it stands."""

    @property
    def answers(self) -> dict[str, str]: ...

    @property
    def reprompts(self) -> int: ...

    @property
    def parting(self) -> bool:
        """Whether a call is being promised, or a message taken, because no human could be had."""

    @property
    def filling(self) -> HalfFilled | None:
        """The function whose parameters are being asked for."""

    @property
    def private(self) -> bool:
        """Whether what the caller says or presses now may be kept nowhere."""

    @property
    def attentive(self) -> bool:
        """False while the question is not asked yet because the recording is being paused: nothing is an answer."""

    def begin(self) -> AsyncIterator[Reply]:
        """The greeting; or, in a conversation that was interrupted, an apology and the last question again; or,
        when the caller is back from a transfer, what `come_back` says."""

    def answer(self, turn: CallerTurn) -> AsyncIterator[Reply]: ...

    def come_back(self, ending: TransferEnding) -> AsyncIterator[Reply]:
        """No human could be had: say so, and go on."""

    def completes(self, keys: str) -> bool:
        """Whether these keys are a whole answer already; otherwise a pause or more keys complete it."""


@runtime_checkable
class Overhearing(Protocol):
    """A conversation that wants to know what was heard of the agent, and of the caller, as the transcript has it."""

    def overhear(self, utterance: Utterance) -> None: ...


@runtime_checkable
class Thinking(Protocol):
    """A conversation that has a language model decide."""

    @property
    def first_token_s(self) -> float | None:
        """When the model's reply to the latest turn began, by the loop's clock; None: none was asked, or answered."""


class Dialogue(Protocol):
    def converse(self, call: StreamCall, privacy: Privacy) -> Conversation: ...


@dataclass(frozen=True, slots=True)
class Engines:
    """Everything a session thinks and speaks with; shared by all streams."""

    voice_activity: VoiceActivity
    transcriber: Transcriber
    dialogue: Dialogue
    speaker: Speaker
    close: Callable[[], None] = lambda: None
    choose: "Callable[[Engines, Template], Engines] | None" = None
    disconnect: Callable[[], Awaitable[None]] | None = None
    release: Callable[[], Awaitable[None]] | None = None  # of engines that serve one call: it is over

    def of(self, template: Template) -> "Engines":
        """Those that the template chooses; these, when it does not."""
        return self.choose(self, template) if self.choose is not None else self
