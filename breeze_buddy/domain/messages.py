"""Names and shapes of what travels through Temporal: workflow inputs, results, signals and search attributes.

Whoever talks to a workflow (the API, the media server, an activity) needs only this module.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.campaign import CampaignDefinition, CampaignProgress, CampaignStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.domain.outcome import Outcome
from breeze_buddy.domain.transfer import TransferEnding

TASK_QUEUE = "breeze-buddy"

CAMPAIGN_WORKFLOW = "CampaignWorkflow"
LEAD_WORKFLOW = "LeadWorkflow"
RETENTION_WORKFLOW = "RetentionWorkflow"
RETENTION_SCHEDULE_ID = "breeze-retention"
SWEEP_WORKFLOW = "SweepWorkflow"
SWEEP_SCHEDULE_ID = "breeze-sweep"
INBOUND_WORKFLOW = "InboundCallWorkflow"
TRANSFER_WORKFLOW = "TransferWorkflow"

# Signals of a lead
GRANT = "grant"

# Signals of every workflow that follows a call: a lead's and an inbound one's
CALL_ENDED = "call_ended"
MACHINE_ANSWERED = "machine_answered"
CONVERSATION_REPORTED = "conversation_reported"
RECORDING_READY = "recording_ready"
TRANSFER_REQUESTED = "transfer_requested"
CANCEL = "cancel"

# Signals of a transfer
LEG_NEWS = "leg_news"
CONFERENCE_NEWS = "conference_news"
CUSTOMER_GONE = "customer_gone"

# Signals of a campaign (and CANCEL)
PAUSE = "pause"
RESUME = "resume"
UPDATE_PACING = "update_pacing"
LEADS_ADDED = "leads_added"
LEADS_FINISHED = "leads_finished"
PROGRESSED = "progressed"
RESCHEDULED = "rescheduled"

# Query of a campaign
PROGRESS = "progress"

# What a template's webhook is told
EVENT_LEAD_FINISHED = "lead.finished"
EVENT_ANALYSIS_COMPLETED = "analysis.completed"

# Search attributes: never a full phone number in them, they are not encrypted.
CAMPAIGN_ID = "CampaignId"
LEAD_STATUS = "LeadStatus"
CALL_OUTCOME = "CallOutcome"
ATTEMPTS = "Attempts"
TEMPLATE_NAME = "TemplateName"
KEYWORD_ATTRIBUTES = (CAMPAIGN_ID, LEAD_STATUS, CALL_OUTCOME, TEMPLATE_NAME)
INTEGER_ATTRIBUTES = (ATTEMPTS,)


def lead_workflow_id(lead_id: str) -> str:
    return f"lead-{lead_id}"


def campaign_workflow_id(campaign_id: str) -> str:
    return f"campaign-{campaign_id}"


def campaign_schedule_id(campaign_id: str) -> str:
    """The Temporal Schedule of a campaign that recurs."""
    return f"campaign-schedule-{campaign_id}"


def inbound_workflow_id(call_sid: str) -> str:
    return f"inbound-{call_sid}"


def transfer_workflow_id(call_sid: str) -> str:
    return f"transfer-{call_sid}"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Grant(_Message):
    """A line leased to a lead for one attempt. `call_id` is the attempt's identity everywhere.

    `dial_at` is the moment that the campaign's calls per second reserved for it.
    """

    lead_id: str
    call_id: str
    campaign_id: str
    attempt: int
    dial_at: datetime


class LeadStart(_Message):
    """Input of a LeadWorkflow."""

    lead_id: str
    campaign_id: str
    campaign_name: str
    template_name: str
    masked_phone: str = Field(description="for the UI; never the whole number")
    dials_at_once: bool = Field(False, description="dialled within the workflow task; leads begun before that are not")
    ends_at_once: bool = Field(False, description="kept and reported in one step; leads begun before that are not")


class CallEvent(_Message):
    """Payload of every signal about one attempt."""

    call_id: str
    status: CallStatus | None = None


class TransferStart(_Message):
    """Somebody wants the caller of `call_id` handed to a human; input of a TransferWorkflow."""

    transfer_id: str
    call_id: str
    call_sid: str
    reason: str = ""


class TransferResult(_Message):
    """How a transfer ended, as a person reads it in the Temporal UI."""

    ending: TransferEnding
    human: str | None = Field(None, description="who talked: the last digits of the phone")
    waited_s: float = 0
    talked_s: float = 0
    customer_returned: bool = False


class LegNews(StrEnum):
    """What happened on the phone of a human who is dialled."""

    ANSWERED = "answered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    MACHINE = "machine"
    ENDED = "ended"


class LegEvent(_Message):
    leg_id: str
    news: LegNews
    status: CallStatus | None = None


class ConferenceEvent(_Message):
    """Somebody came into a conference of the transfer or left it. `leg_id` is None for the customer; `hung_up`: not
    only the conference was left."""

    conference_sid: str
    joined: bool
    leg_id: str | None = None
    hung_up: bool = False


class CancelRequest(_Message):
    """Payload of `cancel`. `hang_up`: end live calls now rather than let them finish."""

    hang_up: bool = True
    reason: str = Field("cancelled by request", max_length=500)

    @field_validator("reason")
    @classmethod
    def _can_be_kept(cls, reason: str) -> str:
        if "\x00" in reason or any("\ud800" <= character <= "\udfff" for character in reason):
            raise ValueError("it has characters that no text can have: half a character, or a zero")
        return reason


class CallSummary(_Message):
    attempt: int
    status: CallStatus | None
    sid: str | None
    duration_s: int | None
    recording: bool


class WrappedUp(_Message):
    """What was done at once at the end of a lead: recordings held, and whether nobody has to be told any more."""

    held: int
    told: bool


class LeadResult(_Message):
    """Result of a LeadWorkflow, as a person reads it in the Temporal UI."""

    lead_id: str
    status: LeadStatus
    outcome: Outcome | None
    attempts: int
    result: str | None = None
    calls: tuple[CallSummary, ...] = ()


class Standing(_Message):
    """Where a lead stands, as an activity found it."""

    status: LeadStatus
    outcome: Outcome | None = None
    attempts: int = 0
    due_at: datetime | None = None
    notify: bool = Field(False, description="the template has a post-call webhook")


class Waits(_Message):
    """How long a lead's workflow waits for news of an attempt before it asks, in seconds."""

    first_word_s: float = Field(90, description="for the end of the call, before Twilio is asked the first time")
    longest_call_s: float = Field(660, description="for the end of a call that was answered")
    lost_request_s: float = Field(120, description="for a sign of a call whose request may have been lost")
    conversation_s: float = Field(10, description="for the media server's report after the call's end")
    recording_s: float = Field(300, description="for the recording before Twilio is asked for it")


class DialResult(_Message):
    """What came of `dial`.

    - dialled: Twilio has the call; wait for its end
    - unclear: the request may have reached Twilio; find out, never send it again
    - refused: Twilio made no call; finish the attempt
    - unusable: the grant was not to be used; `standing` says where the lead is instead
    - later: the rates have no room before `at`; the grant stands
    """

    kind: Literal["dialled", "unclear", "refused", "unusable", "later"]
    at: datetime | None = None
    waits: Waits = Waits()
    standing: Standing | None = None
    reason: str = ""


class AttemptEnd(_Message):
    """What `finish_attempt` decided about a lead.

    `awaiting_conversation`: nothing was decided yet, because the media server's report is still to come.
    """

    call: CallSummary
    status: LeadStatus
    outcome: Outcome | None = None
    attempts: int = 0
    due_at: datetime | None = None
    reason: str = ""
    result: str | None = None
    awaiting_conversation: bool = False
    recording_expected: bool = False
    recording_ready: bool = Field(False, description="Twilio has said that it can be fetched, or that there is none")
    analyse: bool = Field(False, description="the template has a language model read the transcript")
    notify: bool = Field(False, description="the template has a post-call webhook")
    suspect: bool = Field(False, description="it failed on our side or on the way: its campaign may be paused by that")


class InboundStart(_Message):
    """Input of an InboundCallWorkflow: a call to us that was answered."""

    call_id: str
    call_sid: str
    template_name: str
    masked_phone: str = Field(description="the caller, for the UI; never the whole number")
    lead_id: str | None = Field(None, description="the caller, when we know them")
    campaign_id: str | None = None


class InboundTaken(_Message):
    """What a call's workflow learns when it takes the call up. `status` is what Twilio has said so far: the call
    may be over, and its end may have been told before there was anybody to tell it to."""

    waits: Waits
    status: CallStatus | None


class InboundEnd(_Message):
    """What became of a call to us.

    `awaiting_conversation`: only its line was freed, because the media server's report is still to come.
    """

    status: CallStatus | None
    outcome: Outcome
    duration_s: int | None = None
    result: str | None = None
    reason: str = ""
    awaiting_conversation: bool = False
    recording_expected: bool = False
    analyse: bool = Field(False, description="the template has a language model read the transcript")
    recording_ready: bool = Field(False, description="Twilio has said that it can be fetched, or that there is none")


class InboundResult(_Message):
    """Result of an InboundCallWorkflow, as a person reads it in the Temporal UI."""

    call_id: str
    status: CallStatus | None
    outcome: Outcome
    duration_s: int | None
    result: str | None = None
    recording: bool = False


class CampaignStart(BaseModel):
    """Input of a CampaignWorkflow: an existing campaign's id, one to make a copy of, or a definition given inline."""

    model_config = ConfigDict(frozen=True, extra="allow")

    campaign_id: str | None = None
    by_clock: bool = Field(False, description="start it at its start_at alone, not because the workflow runs")
    clone_of: str | None = Field(None, description="run a fresh copy of this campaign, with all its leads")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        ids = (self.campaign_id is not None) + (self.clone_of is not None)
        if ids > 1 or (ids and self.model_extra):
            raise ValueError("give a campaign_id, a clone_of or a definition, not several")
        return self

    def definition(self) -> CampaignDefinition | None:
        """The inline definition, or None when an id was given. Raises ValidationError when it is malformed."""
        if self.campaign_id is not None or self.clone_of is not None:
            return None
        return CampaignDefinition.model_validate(self.model_extra)


class Enrolled(_Message):
    """A campaign that exists and runs, or is to run later."""

    campaign_id: str
    name: str
    template_name: str
    waits: bool = Field(False, description="it was not started, and is to start by itself")
    on_do_not_call_list: int = Field(0, description="leads of the definition that were left out")


class Start(_Message):
    """Whether a campaign runs now, and, when it does not, how it stands and when it starts."""

    progress: CampaignProgress
    waits: bool
    start_at: datetime | None = Field(None, description="none: when it is told to")


class PrimeResult(_Message):
    """What a campaign's workflow learns when it looks for free lines."""

    progress: CampaignProgress
    granted: int
    open_leads: int
    standing: bool
    next_due_at: datetime | None = Field(None, description="when a line can be granted that cannot be now")


class CampaignResult(_Message):
    campaign_id: str
    status: CampaignStatus
    leads: int
    outcomes: dict[str, int] = {}


class SweepResult(_Message):
    """What one run of the sweep found and set right. All zeros in a healthy run."""

    lines_freed: int = Field(0, description="lines that were still leased to a call that was over")
    leads_without_workflow: int = Field(0, description="leads whose workflow was gone: another one goes on with them")
    calls_without_workflow: int = Field(0, description="calls to us whose workflow was gone: another one follows them")
    leads_expired: int = Field(0, description="waiting leads whose expires_at had passed")
    schedules_mended: int = Field(0, description="schedules of campaigns that were missing, or were there too long")

    @property
    def found(self) -> bool:
        return any(self.model_dump().values())


class RetentionResult(_Message):
    """What one run of the retention came to, in recordings."""

    deleted: int = Field(description="copies of ours whose days were over")
    deleted_at_provider: int
    failed: int = Field(description="left for the next run; the worker's log says why")
