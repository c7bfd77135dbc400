"""What was said in a call and what came of it, as the media server reports it."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from breeze_buddy.domain.transfer import TransferEnding


class Ending(StrEnum):
    """Why the conversation stopped."""

    REACHED_END = "reached_end"  # the flow said goodbye
    CALLER_HUNG_UP = "caller_hung_up"
    NO_INPUT = "no_input"  # silence after every prompt
    TOO_LONG = "too_long"  # the longest call allowed
    LOST = "lost"  # our side failed and could not resume
    TRANSFERRED = "transferred"  # a human took over and talked
    VOICEMAIL = "voicemail"  # a machine took the call, and no message was left to its end


class Utterance(BaseModel):
    """One turn. `text` of the agent is what was heard by the callee, as far as marks tell."""

    model_config = ConfigDict(frozen=True)

    speaker: Literal["agent", "caller"]
    text: str
    at_s: float = Field(description="seconds since the conversation began")
    digits: bool = Field(False, description="pressed on the keypad rather than said")
    interrupted: bool = False


class TurnFigures(BaseModel):
    """How long one answer took, in milliseconds from the caller's last sound; None for what did not happen.

    They come in this order, but for the first token: speech to speech may have it before the transcript, and a filler
    that was said for a slow model is a reply before it.
    """

    model_config = ConfigDict(frozen=True)

    at_s: float = Field(description="when the caller began to speak, in seconds since the conversation began")
    waited_ms: int = Field(description="the silence that was waited for")
    transcript_ms: int = Field(description="the words were understood")
    first_token_ms: int | None = Field(
        None, description="the language model's reply began; None: no model was asked, or none answered"
    )
    reply_ms: int | None = Field(None, description="the first words to say were there")
    audio_ms: int | None = Field(None, description="their first sound was there")
    sent_ms: int | None = Field(None, description="its first frame was on the wire")


class ConversationFigures(BaseModel):
    """How the conversation went, in time and number. Keys are no turn here: they are not waited for."""

    model_config = ConfigDict(frozen=True)

    first_word_ms: int | None = Field(None, description="from the start of the stream to the first frame sent")
    turns: tuple[TurnFigures, ...] = ()
    interruptions: int = Field(0, description="the caller took the word from the agent")
    false_interruptions: int = Field(0, description="a noise or a back-channel, after which the agent went on")
    barge_in_ms: tuple[int, ...] = Field((), description="of each of both, from the caller's onset to `clear`")
    silences: int = Field(0, description="the caller said nothing for as long as was waited")


MessageStage = Literal["greeting", "message"]
"""Of a message for a machine: its greeting or beep is waited for, or the message is being said."""

Sentiment = Literal["positive", "neutral", "negative", "mixed"]


class CallAnalysis(BaseModel):
    """What a language model read from the transcript after the call, as far as the template asks for it."""

    model_config = ConfigDict(frozen=True)

    model: str
    summary: str | None = None
    sentiment: Sentiment | None = None
    variables: dict[str, str] = {}


class ConversationReport(BaseModel):
    """The conversation of one call. Written once, when it ends."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    began_at: datetime
    ended_at: datetime
    ending: Ending
    result: str | None = Field(None, description="the result named by the flow's last node")
    answers: dict[str, str] = {}
    transcript: tuple[Utterance, ...] = ()
    callback_at: datetime | None = Field(None, description="when the caller asked to be called again")
    do_not_call: bool = False
    figures: ConversationFigures | None = Field(None, description="None for conversations of earlier versions")
    analysis: CallAnalysis | None = Field(None, description="added after the call, when the template asks for it")


class HalfFilled(BaseModel):
    """A function that was chosen and still lacks parameters."""

    model_config = ConfigDict(frozen=True)

    function: str
    found: dict[str, str] = Field({}, description="parameters given so far, by name")


class ConversationState(BaseModel):
    """Where a conversation stands, saved at each turn, so that another media server can go on with it."""

    model_config = ConfigDict(frozen=True)

    node: str
    answers: dict[str, str] = {}
    transcript: tuple[Utterance, ...] = ()
    reprompts: int = 0
    began_at: datetime
    returned: TransferEnding | None = Field(None, description="back from a transfer that ended so")
    parting: bool = Field(False, description="after a failed transfer, a call is promised or a message is taken")
    filling: HalfFilled | None = Field(None, description="what was given of the parameters that it asks for")
    do_not_call: bool = Field(False, description="the caller asked for it, and the goodbye is being said")
    machine: MessageStage | None = Field(None, description="a machine has taken the call, and gets a message")
