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


class Utterance(BaseModel):
    """One turn. `text` of the agent is what was heard by the callee, as far as marks tell."""

    model_config = ConfigDict(frozen=True)

    speaker: Literal["agent", "caller"]
    text: str
    at_s: float = Field(description="seconds since the conversation began")
    digits: bool = Field(False, description="pressed on the keypad rather than said")
    interrupted: bool = False


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
