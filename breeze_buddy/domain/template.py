"""The template: what the agent says and does, and the policy of its calls."""

from datetime import datetime
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from breeze_buddy.domain.errors import MissingVariables
from breeze_buddy.domain.flow import Flow, placeholders
from breeze_buddy.domain.providers import Analysis, Llm, Provider, Realtime, Transcription, Voice, provider_of
from breeze_buddy.domain.retry import RetryPolicy
from breeze_buddy.domain.transfer import TransferPolicy
from breeze_buddy.domain.turns import Turns
from breeze_buddy.domain.voicemail import LeaveMessage, VoicemailPolicy
from breeze_buddy.domain.window import CallingWindow


class Template(BaseModel):
    """A template as it is written. Durations are seconds or ISO 8601."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")

    name: str = Field(min_length=1, max_length=200, examples=["order-confirmation"])
    flow: Flow
    variables: tuple[str, ...] = Field((), description="variables every lead must have, besides those the flow uses")
    private_variables: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="variables of leads, and answers of servers, that no language model is told; the flow may say them",
    )
    engine: Literal["scripted", "llm", "realtime"] = Field(
        "scripted", description="who decides by the flow: phrases and digits, a language model, or speech to speech"
    )
    llm: Llm | None = Field(None, description="with the engine llm: which model, and how")
    realtime: Realtime | None = Field(None, description="with the engine realtime: which model, and how")
    transcriber: Transcription = Transcription()
    voice: Voice = Voice()
    analysis: Analysis | None = Field(
        None, description="what a language model reads from the transcript; None: nothing"
    )
    turns: Turns = Turns()
    retry: RetryPolicy = RetryPolicy()
    calling_window: CallingWindow | None = Field(None, description="None: at any hour")
    ring_timeout_s: int = Field(30, ge=5, le=600)
    max_call_s: int = Field(600, ge=5, le=14_400)
    record: bool = True
    recording_days: int | None = Field(
        None, ge=1, le=36_500, description="days until our copy of a recording is deleted; None: it is kept"
    )
    delete_recording_at_provider: bool = Field(
        False, description="delete the recording at Twilio once our copy has been read back"
    )
    detect_voicemail: bool = Field(True, description="ask Twilio who answered, and listen for greetings and beeps")
    voicemail: VoicemailPolicy = Field(
        "hang_up", description='on machines: hang_up, go_on, or {"leave_message": "…"}, said after the beep'
    )
    transfer: TransferPolicy | None = Field(None, description="who takes callers over, and how")
    webhook_url: HttpUrl | None = Field(
        None, description="receives a signed report when a lead that had a line is FINISHED"
    )

    @model_validator(mode="after")
    def _somebody_to_transfer_to(self) -> Self:
        if self.flow.transfers and self.transfer is None:
            raise ValueError("the flow transfers callers to a human: say to whom in `transfer`")
        return self

    @model_validator(mode="after")
    def _engine_is_described(self) -> Self:
        for engine, choice in (("llm", self.llm), ("realtime", self.realtime)):
            if (self.engine == engine) != (choice is not None):
                raise ValueError(
                    f"`{engine}` says which model speaks: it goes with `engine: {engine}`, and is needed there"
                )
        _ = self._instructed  # its braces are names
        return self

    @model_validator(mode="after")
    def _private_is_kept(self) -> Self:
        private = frozenset(self.private_variables)
        if told := sorted(private & self._instructed):
            raise ValueError(f"the model's `instructions` say {told[0]!r}, which `private_variables` keeps from it")
        if said := sorted(private & frozenset(self.flow.typed_answers)):
            raise ValueError(
                f"{said[0]!r} in `private_variables` is what callers say, and a model hears it: ask for it in a node "
                "that is `sensitive`"
            )
        return self

    @property
    def _instructed(self) -> frozenset[str]:
        """The placeholders of the instructions to a model that leads must fill."""
        choice = self.llm or self.realtime
        return placeholders(choice.instructions) - self.flow.answers if choice is not None else frozenset()

    @property
    def plugins(self) -> frozenset[str]:
        """The LiveKit plugins that calls with this template may use, those to fall back to included."""
        choices = [self.transcriber, *self.transcriber.fallback, self.voice, *self.voice.fallback]
        models = [one for one in (self.llm, self.llm.fallback) if one is not None] if self.llm is not None else []
        return frozenset(one.plugin for one in (*choices, *models) if one.plugin is not None)

    @property
    def providers(self) -> frozenset[Provider]:
        """Who must be configured for calls with this template, those to fall back to included."""
        choices = [self.transcriber, *self.transcriber.fallback, self.voice, *self.voice.fallback]
        llm = (self.llm, self.llm.fallback) if self.llm is not None else ()
        models = [one for one in (*llm, self.realtime, self.analysis) if one is not None]
        return frozenset(one for choice in (*choices, *models) if (one := provider_of(choice)) is not None)

    @cached_property
    def required_variables(self) -> frozenset[str]:
        """What a lead must bring: the variables listed and those that the flow's messages use."""
        left = self.voicemail.leave_message if isinstance(self.voicemail, LeaveMessage) else ""
        return frozenset(self.variables) | self.flow.variables | self._instructed | placeholders(left)

    def check_variables(self, variables: dict[str, str]) -> None:
        """Raise MissingVariables, which names them, unless `variables` has all that the template needs."""
        missing = sorted(name for name in self.required_variables if not variables.get(name, "").strip())
        if missing:
            raise MissingVariables(missing)


class StoredTemplate(BaseModel):
    """A template with its identity. `version` grows by one with each update."""

    model_config = ConfigDict(frozen=True)

    id: str
    version: int
    created_at: datetime
    updated_at: datetime
    template: Template
