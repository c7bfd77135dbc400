"""What a call does when a machine takes it, and how a machine's greeting gives itself away in words."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from breeze_buddy.domain.flow import placeholders

MESSAGE_LEFT = "message_left"
"""The result of a call whose message was said to its end."""


class LeaveMessage(BaseModel):
    """Leave a message after the beep, and hang up. It may hold the placeholders of the lead's variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    leave_message: str = Field(min_length=1, max_length=2000)

    @field_validator("leave_message")
    @classmethod
    def _braces_are_names(cls, text: str) -> str:
        placeholders(text)
        return text


VoicemailPolicy = Literal["hang_up", "go_on"] | LeaveMessage

_SAID_BY_MACHINES = re.compile(
    r"\b(after|at|following) the (tone|beep|signal)\b"
    r"|\b(leave|record) (me |us )?(a|your)( brief| short| detailed)? (message|name and number|name)\b"
    r"|\b(voice ?mail|mail ?box|answering machine)\b"
    r"|\b(can ?not|can't|unable to|not able to) (take|answer|come to) (your|the|my) (call|phone)\b"
    r"|\b(is|am|are|i'm|we're) (currently |presently )?(not available|unavailable)\b",
    re.IGNORECASE,
)


def said_by_a_machine(text: str) -> bool:
    """Whether these words of a greeting are those of a voicemail, in English."""
    return _SAID_BY_MACHINES.search(" ".join(text.split())) is not None
