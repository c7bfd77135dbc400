"""Warm transfer: a caller is handed to a human, or comes back to the agent when none can be had."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.flow import placeholders
from breeze_buddy.domain.phone import E164
from breeze_buddy.domain.window import CallingWindow

Seconds = Annotated[float, Field(ge=0, le=3600)]


class TransferOrder(StrEnum):
    """Who waits for whom."""

    CUSTOMER_FIRST = "customer_first"  # the customer hears hold music while the human is dialled
    AGENT_FIRST = "agent_first"  # the human is dialled and briefed while the AI keeps the customer company


class TransferEnding(StrEnum):
    """How a transfer ended; each kind has its own next step."""

    TALKED = "talked"  # customer and human spoke, and hung up
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    VOICEMAIL = "voicemail"  # a machine at the human's end
    INVALID_NUMBER = "invalid_number"
    AGENT_HUNG_UP = "agent_hung_up"  # accepted, and gone before the customer was there
    CUSTOMER_HUNG_UP = "customer_hung_up"  # before a human was there
    CLOSED = "closed"  # outside the team's business hours
    NOBODY = "nobody"  # the longest wait was over
    PROVIDER_ERROR = "provider_error"
    CANCELLED = "cancelled"


class TransferStatus(StrEnum):
    REQUESTED = "requested"
    DIALLING = "dialling"
    CONNECTED = "connected"
    ENDED = "ended"


NextStep = Literal["return", "callback", "voicemail"]
"""What follows a failed transfer: the agent goes on, promises a call, or takes a message for the team."""


class NextSteps(BaseModel):
    """What follows a failed transfer, by its ending; the kinds that are not named have `default`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: NextStep = "return"
    no_answer: NextStep | None = None
    busy: NextStep | None = None
    declined: NextStep | None = None
    voicemail: NextStep | None = None
    invalid_number: NextStep | None = None
    agent_hung_up: NextStep | None = None
    closed: NextStep | None = None
    nobody: NextStep | None = None
    provider_error: NextStep | None = None


class TransferPolicy(BaseModel):
    """How a template hands over. Durations are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agents: tuple[E164, ...] = Field(min_length=1, max_length=20, description="the team's phones")
    order: TransferOrder = TransferOrder.CUSTOMER_FIRST
    ring: Literal["in_turn", "all_at_once"] = "in_turn"
    rounds: int = Field(1, ge=1, le=10, description="how often the whole team is tried")
    ring_timeout_s: int = Field(20, ge=5, le=120)
    max_wait_s: float = Field(120, ge=5, le=1800, description="longest the customer waits for a human")
    accept: Literal["answer", "digit"] = Field("answer", description="the human accepts by answering, or by pressing 1")
    business_hours: CallingWindow | None = None
    briefing: str = Field(
        "A call for you from {customer}. {reason}", max_length=500, description="whispered to the human"
    )
    comfort: str = Field("Thank you for waiting. We are connecting you.", max_length=500)
    comfort_every_s: float = Field(10, ge=3, le=120)
    failed_say: str = Field(
        "I am sorry, none of my colleagues can take your call right now.",
        max_length=500,
        description="said by the agent when the customer comes back",
    )
    on_failure: NextStep | NextSteps = Field(
        "return",
        description="what follows when no human could be had, for all endings or by ending: the customer goes on with "
        "the agent; or is promised a call and the conversation ends; or leaves a message for the team, and it ends",
    )
    callback_say: str = Field("We will call you back.", max_length=500, description="said when a call is promised")
    callback_after: timedelta = Field(timedelta(hours=1), gt=timedelta(0), le=timedelta(days=30))
    voicemail_say: str = Field(
        "Please leave a message for them now. Press any key when you are done.",
        max_length=500,
        description="said before a message is taken",
    )
    voicemail_again_say: str = Field(
        "I did not hear anything. Please say your message now.",
        max_length=500,
        description="said once to a customer who says nothing",
    )
    voicemail_thanks: str = Field(
        "Thank you. I will pass your message on. Goodbye.", max_length=500, description="said after the message"
    )
    voicemail_pause_s: float = Field(3, ge=1, le=15, description="silence that ends a message")
    voicemail_longest_s: float = Field(
        60, ge=5, le=180, description="longest message, from the end of the words before"
    )
    alone_s: float = Field(
        15, ge=3, le=120, description="longest one waits for the other in the conference, once a human has accepted"
    )

    @model_validator(mode="after")
    def _texts_can_be_filled(self) -> Self:
        for text in (
            self.briefing,
            self.comfort,
            self.failed_say,
            self.callback_say,
            self.voicemail_say,
            self.voicemail_again_say,
            self.voicemail_thanks,
        ):
            placeholders(text)
        if placeholders(self.comfort):
            raise ValueError("`comfort` is said while nothing is known of the call: it takes no {placeholders}")
        return self

    def next_step(self, ending: TransferEnding) -> NextStep:
        """What follows a transfer that ended so."""
        if not isinstance(self.on_failure, NextSteps):
            return self.on_failure
        named: NextStep | None = getattr(self.on_failure, ending.value, None)
        return named or self.on_failure.default


class TransferView(BaseModel):
    """A transfer as it is stored."""

    model_config = ConfigDict(frozen=True)

    id: str
    call_id: str
    order: TransferOrder
    asked_by: str
    reason: str | None
    status: TransferStatus
    conference_name: str
    conference_sid: str | None
    requested_at: datetime
    customer_moved_at: datetime | None
    customer_joined_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None
    ending: TransferEnding | None
