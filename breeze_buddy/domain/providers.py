"""Who hears, thinks and speaks in a template's calls: the choice of engines, without keys.

Keys and addresses belong to the installation (`OPENAI_API_KEY`, `DEEPGRAM_API_KEY`, …): a template can choose among
providers that are configured, and cannot send a conversation, or a key, anywhere else.

    transcriber: {engine: deepgram, model: nova-3, fallback: [{engine: offline}]}
    engine: llm
    llm: {model: gpt-4.1-mini, instructions: "You are Maya of Acme.", fallback: {endpoint: fallback, model: llama}}
    voice: {engine: elevenlabs, voice: 21m00Tcm4TlvDq8ikWAM, fallback: [{engine: offline}]}
"""

import re
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.flow import Parameter

Plugin = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Option = str | int | float | bool | list[str]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
_PRIVATE_OPTION = re.compile(r"key|token|secret|password|url|host|session|endpoint|credential", re.IGNORECASE)


class Provider(StrEnum):
    """Somebody outside whom an installation has to be configured for."""

    OPENAI = "openai"
    OPENAI_FALLBACK = "openai_fallback"
    DEEPGRAM = "deepgram"
    ELEVENLABS = "elevenlabs"
    LIVEKIT = "livekit"


class _Choice(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _EngineChoice(_Choice):
    """An engine by name; `plugin` and `options` are those of LiveKit's plugins."""

    plugin: Plugin | None = Field(None, description="livekit: the plugin, such as cartesia")
    options: dict[str, Option] = Field({}, max_length=30, description="livekit: what the plugin's class is made with")

    @property
    def _engine(self) -> str:
        raise NotImplementedError

    @model_validator(mode="after")
    def _plugin_of_livekit(self) -> Self:
        if (self._engine == "livekit") != (self.plugin is not None):
            raise ValueError("`plugin` is needed for livekit, and goes with nothing else")
        if self.options and self.plugin is None:
            raise ValueError("`options` go with livekit only")
        for name in self.options:
            if not name.isidentifier() or _PRIVATE_OPTION.search(name):
                raise ValueError(
                    f"option {name!r} cannot be given in a template: set it in the media server's environment"
                )
        return self


class VoiceChoice(_EngineChoice):
    """One voice. `speed` 1.0 is the engine's own pace."""

    engine: Literal["offline", "elevenlabs", "openai", "livekit"] = "offline"
    speed: float = Field(1.0, ge=0.5, le=2.0)
    voice: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_-]{1,100}$", description="the provider's name or id of the voice; None: its default"
    )
    model: ModelName | None = Field(None, description="None: the provider's default for telephone calls")

    @property
    def _engine(self) -> str:
        return self.engine

    @model_validator(mode="after")
    def _known_to_the_engine(self) -> Self:
        if self.engine == "elevenlabs" and self.voice is None:
            raise ValueError("the engine elevenlabs needs `voice`, the id of a voice of your account")
        if self.engine == "elevenlabs" and not 0.7 <= self.speed <= 1.2:
            raise ValueError("the engine elevenlabs speaks at a `speed` of 0.7 to 1.2")
        if self.engine == "offline" and (self.voice or self.model):
            raise ValueError("the engine offline has one voice: leave out `voice` and `model`")
        return self


class Voice(VoiceChoice):
    """How the agent sounds, and who speaks when that voice fails in the middle of a call."""

    fallback: tuple[VoiceChoice, ...] = Field((), max_length=3)


class TranscriberChoice(_EngineChoice):
    """One engine that understands the caller."""

    engine: Literal["offline", "deepgram", "openai", "livekit"] = "offline"
    model: ModelName | None = Field(None, description="None: the provider's default for telephone calls")
    language: str = Field("en", pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{2,8})?$|^multi$")
    keywords: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        (), max_length=50, description="words that callers say and that the engine may not know: names, products"
    )

    @property
    def _engine(self) -> str:
        return self.engine

    @model_validator(mode="after")
    def _known_to_the_engine(self) -> Self:
        if self.engine == "offline" and (self.model or self.keywords or self.language != "en"):
            raise ValueError("the engine offline understands English with its own model: leave out the rest")
        return self


class Transcription(TranscriberChoice):
    """Who understands the caller, and who goes on when that engine fails in the middle of a call."""

    fallback: tuple[TranscriberChoice, ...] = Field((), max_length=3)


class LanguageModel(_Choice):
    """A model at one of the installation's two endpoints."""

    endpoint: Literal["openai", "fallback"] = Field(
        "openai", description="openai: OPENAI_BASE_URL; fallback: OPENAI_FALLBACK_BASE_URL"
    )
    model: ModelName


class DialogueModel(_EngineChoice):
    """A model that holds conversations, at one of the installation's two endpoints, or a LiveKit plugin's."""

    endpoint: Literal["openai", "fallback", "livekit"] = Field(
        "openai", description="openai: OPENAI_BASE_URL; fallback: OPENAI_FALLBACK_BASE_URL; livekit: `plugin`"
    )
    model: ModelName

    @property
    def _engine(self) -> str:
        return self.endpoint


class Llm(DialogueModel):
    """A language model that chooses the flow's functions, and finds words where the flow has none.

    With `wording` exact the messages of nodes are said as they are written, and the model says only what the caller's
    questions need; with free it words the questions too. The last message of a call is always as written.
    """

    instructions: str = Field("", max_length=20_000, description="who the agent is; may hold placeholders")
    wording: Literal["exact", "free"] = "exact"
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int = Field(250, ge=16, le=4096, description="of one reply")
    history_tokens: int = Field(4000, ge=200, le=200_000, description="of the conversation that is sent, about")
    max_call_tokens: int = Field(
        200_000, ge=1000, description="of the whole call, both ways; then the scripted engine goes on"
    )
    timeout_s: float = Field(4.0, gt=0, le=30, description="to the first word, of each endpoint")
    filler: str | None = Field("One moment, please.", max_length=300, description="said when the first word is slow")
    filler_after_s: float = Field(1.5, ge=0, le=30)
    max_turns: int = Field(
        8, ge=1, le=100, description="answers in one node without going on, before it goes `otherwise`"
    )
    fallback: DialogueModel | None = Field(None, description="asked when the first one fails or is too slow")


class Realtime(_Choice):
    """Speech to speech: one model of OpenAI's Realtime interface hears, thinks and speaks, over the same flow.

    When it cannot be had, the template's `transcriber` and `voice` go on with the scripted engine.
    """

    model: ModelName = "gpt-realtime-2"
    voice: str = Field("marin", pattern=r"^[A-Za-z0-9_-]{1,100}$")
    instructions: str = Field("", max_length=20_000, description="who the agent is; may hold placeholders")
    wording: Literal["exact", "free"] = "exact"
    transcription_model: ModelName = "gpt-4o-mini-transcribe"
    language: str | None = Field(None, pattern=r"^[a-z]{2}$", description="of the caller; None: found out")
    speed: float = Field(1.0, ge=0.25, le=1.5)
    max_tokens: int = Field(800, ge=16, le=4096, description="of one reply, its sound included")
    timeout_s: float = Field(4.0, gt=0, le=30, description="to the first sound of a reply")
    max_turns: int = Field(
        8, ge=1, le=100, description="answers in one node without going on, before it goes `otherwise`"
    )


class Analysis(LanguageModel):
    """What a language model makes of the transcript after the call: a summary, a mood, and variables with types."""

    summary: bool = True
    sentiment: bool = True
    instructions: str = Field("", max_length=5000, description="what to look for")
    variables: tuple[Parameter, ...] = Field((), max_length=30, description="read from the transcript, by name")
    timeout_s: float = Field(60, gt=0, le=600)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        names = [one.name for one in self.variables]
        if len(names) != len(set(names)):
            raise ValueError("`variables` names one of them twice")
        if not (self.summary or self.sentiment or self.variables):
            raise ValueError("an analysis needs a summary, a sentiment or variables to look for")
        return self


Choice = VoiceChoice | TranscriberChoice | DialogueModel | LanguageModel | Realtime
_ENDPOINTS = {"openai": Provider.OPENAI, "fallback": Provider.OPENAI_FALLBACK, "livekit": Provider.LIVEKIT}


def provider_of(choice: Choice) -> Provider | None:
    """Who must be configured for it; None: nobody outside."""
    if isinstance(choice, DialogueModel | LanguageModel):
        return _ENDPOINTS[choice.endpoint]
    if isinstance(choice, Realtime):
        return Provider.OPENAI
    return None if choice.engine == "offline" else Provider(choice.engine)
