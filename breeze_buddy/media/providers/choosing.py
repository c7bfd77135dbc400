"""The engines of a call, as its template chooses them.

What the settings have a key for is imported when the server starts, in a thread: the client of a language model takes
a second to import, which no call should hear. What a template wants and this server does not have is logged and left
out, and its fallbacks take the place; the last of them is what works offline: a caller is not left in silence.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from breeze_buddy.domain.providers import (
    Choice,
    DialogueModel,
    Llm,
    Provider,
    Realtime,
    TranscriberChoice,
    Transcription,
    Voice,
    VoiceChoice,
    provider_of,
)
from breeze_buddy.domain.template import Template
from breeze_buddy.media.engines import Engines, Speaker, Transcriber
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failover import Candidate, FailoverSpeaker, FailoverTranscriber, Health
from breeze_buddy.media.providers.kept_speech import KeptSpeech
from breeze_buddy.media.requests import Requests
from breeze_buddy.provider_settings import allowed_plugins, is_configured, what_is_missing
from breeze_buddy.settings import Settings

if TYPE_CHECKING:
    from breeze_buddy.media.llm.dialogue import LlmDialogue
    from breeze_buddy.media.llm.model import Model

log = logging.getLogger(__name__)


class NotHere(Exception):
    """This media server cannot do what a template chose; the message says what to set or install."""


class Providers:
    """Shared by all calls. Engines that calls can share are made once."""

    def __init__(self, settings: Settings, requests: Requests) -> None:
        self._settings = settings
        self._requests = requests
        self._connections = Connections()
        self._kept = KeptSpeech()
        self._healths: dict[str, Health] = {}
        self._made: dict[str, Any] = {}

    def load(self) -> None:
        """Import what is configured. Blocks."""
        for provider in (Provider.OPENAI, Provider.OPENAI_FALLBACK):
            if is_configured(self._settings, provider):
                try:
                    self._client(provider)
                except NotHere as error:
                    log.warning("%s", error)

    async def close(self) -> None:
        for engine in self._made.values():
            if (close := getattr(engine, "close", None)) is not None:
                await close()
        await self._connections.close()

    def choose(self, offline: Engines, template: Template) -> Engines:
        """The engines for a call with this template. On the event loop; blocks nobody."""
        chosen = offline
        if template.transcriber != Transcription():
            chosen = replace(chosen, transcriber=self._transcriber(offline.transcriber, template.transcriber))
        if template.voice.engine != "offline":
            chosen = replace(chosen, speaker=self._speaker(offline.speaker, template.voice))
        if (dialogue := self.dialogue(template)) is not None:
            chosen = replace(chosen, dialogue=dialogue)
        if template.realtime is not None:
            chosen = self._speech_to_speech(chosen, template.realtime)
        return chosen

    # --- ears and mouths ---------------------------------------------------------------------------------------

    def _transcriber(self, offline: Transcriber, wanted: Transcription) -> Transcriber:
        candidates: list[Candidate[Transcriber]] = []
        for choice in (wanted, *wanted.fallback):
            try:
                engine = offline if choice.engine == "offline" else self._one_transcriber(choice)
            except NotHere as error:
                log.error("%s", error)
                continue
            prepare = getattr(engine, "prepare", None)
            if prepare is not None and not candidates:
                prepare()
            candidates.append(Candidate(engine, self._health(f"{choice.engine} recognition")))
        if len(candidates) > 1:
            return FailoverTranscriber(candidates)
        return candidates[0].engine if candidates else offline

    def _one_transcriber(self, choice: TranscriberChoice) -> Transcriber:
        self._need(choice)
        settings, connections = self._settings, self._connections
        bare = TranscriberChoice.model_validate(choice.model_dump(include=set(TranscriberChoice.model_fields)))

        def make() -> Transcriber:
            if choice.engine == "livekit":
                return _livekit_transcriber(choice, settings, connections)
            if choice.engine == "deepgram":
                from breeze_buddy.media.providers.deepgram import DeepgramTranscriber

                key = _secret(settings.deepgram_api_key) or ""
                return DeepgramTranscriber(connections, key=key, address=settings.deepgram_base_url, choice=bare)
            from breeze_buddy.media.providers.openai_transcription import OpenAiTranscriber

            key_or_none = _secret(settings.openai_api_key)
            return OpenAiTranscriber(connections, key=key_or_none, address=settings.openai_base_url, choice=bare)

        made: Transcriber = self._once(f"transcriber {bare.model_dump_json()}", make)
        return made

    def _speaker(self, offline: Speaker, wanted: Voice) -> Speaker:
        candidates: list[Candidate[Speaker]] = []
        for choice in (wanted, *wanted.fallback):
            try:
                engine = offline if choice.engine == "offline" else self._one_speaker(choice)
            except NotHere as error:
                log.error("%s", error)
                continue
            candidates.append(Candidate(engine, self._health(f"{choice.engine} speech"), choice))
        if not any(one.engine is offline for one in candidates):
            speed = wanted.speed
            candidates.append(Candidate(offline, self._health("offline speech"), VoiceChoice(speed=speed)))
        return FailoverSpeaker(candidates)

    def _one_speaker(self, choice: VoiceChoice) -> Speaker:
        self._need(choice)
        settings, connections = self._settings, self._connections

        def make() -> Speaker:
            if choice.engine == "livekit":
                return self._kept.of(_livekit_speaker(choice, settings, connections))
            if choice.engine == "elevenlabs":
                from breeze_buddy.media.providers.elevenlabs import ElevenLabsSpeaker

                key = _secret(settings.elevenlabs_api_key) or ""
                return self._kept.of(ElevenLabsSpeaker(connections, key=key, address=settings.elevenlabs_base_url))
            try:
                from breeze_buddy.media.providers.openai_speech import OpenAiSpeaker
            except ImportError as error:
                raise NotHere(_not_installed(error)) from error
            key_or_none = _secret(settings.openai_api_key)
            return self._kept.of(OpenAiSpeaker(connections, key=key_or_none, address=settings.openai_base_url))

        # A plugin's voice is made with all that was chosen of it; the others are told with each sentence.
        which = choice.model_dump_json(exclude={"fallback"}) if choice.engine == "livekit" else choice.engine
        made: Speaker = self._once(f"speaker {which}", make)
        return made

    # --- minds -------------------------------------------------------------------------------------------------

    def dialogue(self, template: Template) -> "LlmDialogue | None":
        """The template's language model on its flow; None where it has none, or where none of those can be had."""
        llm = template.llm
        if llm is None:
            return None
        models: list[Candidate[Model]] = []
        for choice in (llm, llm.fallback):
            if choice is None:
                continue
            try:
                models.append(self._model(choice, llm))
            except NotHere as error:
                log.error("%s", error)
        if not models:
            return None
        from breeze_buddy.media.llm.dialogue import LlmDialogue
        from breeze_buddy.media.llm.guided_flow import GuidedDialogue

        return LlmDialogue(GuidedDialogue(self._requests), models, llm)

    def _speech_to_speech(self, behind: Engines, realtime: Realtime) -> Engines:
        """`behind` goes on when there is no connection."""
        try:
            self._need(realtime)
        except NotHere as error:
            log.error("%s", error)
            return behind
        from breeze_buddy.media.llm.guided_flow import GuidedDialogue
        from breeze_buddy.media.realtime.call import RealtimeCall
        from breeze_buddy.media.realtime.dialogue import RealtimeDialogue
        from breeze_buddy.media.realtime.link import Link

        engine = RealtimeCall(
            realtime,
            open_link=lambda: Link.open(
                self._connections,
                key=_secret(self._settings.openai_api_key),
                address=self._settings.openai_base_url,
                model=realtime.model,
            ),
            flows=GuidedDialogue(self._requests),
            transcriber=behind.transcriber,
            speaker=behind.speaker,
            kept=self._kept,
        )
        voices: list[Candidate[Speaker]] = [
            Candidate(engine, Health("openai realtime")),
            Candidate(behind.speaker, Health("the voice behind it")),
        ]
        return replace(
            behind,
            transcriber=engine,
            dialogue=RealtimeDialogue(engine, realtime),
            speaker=FailoverSpeaker(voices),
            release=engine.release,
        )

    def _model(self, choice: DialogueModel, llm: Llm) -> "Candidate[Model]":
        self._need(choice)
        if choice.endpoint == "livekit":
            return self._livekit_model(choice, llm)
        provider = provider_of(choice)
        assert provider is not None
        client = self._client(provider)

        def make() -> "Model":
            from breeze_buddy.media.llm.openai_model import OpenAiModel

            return OpenAiModel(client, choice.model, setting=f"{provider.value.upper()}_API_KEY")

        model: Model = self._once(f"model {provider} {choice.model}", make)
        return Candidate(model, self._health(f"{choice.model} ({provider.value})"))

    def _livekit_model(self, choice: DialogueModel, llm: Llm) -> "Candidate[Model]":
        # A plugin's model is made with all that is asked of it.
        limits: dict[str, Any] = dict.fromkeys(
            ("max_completion_tokens", "max_output_tokens", "max_tokens"), llm.max_tokens
        )
        more = {**limits, "temperature": llm.temperature}
        bare = DialogueModel.model_validate(choice.model_dump(include=set(DialogueModel.model_fields)))

        def make() -> "Model":
            from breeze_buddy.media.llm.livekit_model import LivekitModel
            from breeze_buddy.media.providers.livekit import make

            return LivekitModel(_of_livekit(make, "LLM", bare, self._settings, self._connections, more))

        model: Model = self._once(f"model {bare.model_dump_json()} {llm.max_tokens} {llm.temperature}", make)
        return Candidate(model, self._health(f"{choice.model} (livekit {choice.plugin})"))

    def _client(self, provider: Provider) -> Any:
        settings = self._settings

        def make() -> Any:
            try:
                from breeze_buddy.media.llm.openai_model import open_client
            except ImportError as error:
                raise NotHere(_not_installed(error)) from error
            if provider is Provider.OPENAI:
                return open_client(_secret(settings.openai_api_key), settings.openai_base_url)
            return open_client(_secret(settings.openai_fallback_api_key), settings.openai_fallback_base_url)

        return self._once(f"client {provider}", make)

    # --- what is there -----------------------------------------------------------------------------------------

    def _need(self, choice: Choice) -> None:
        provider = provider_of(choice)
        if provider is not None and not is_configured(self._settings, provider):
            raise NotHere(what_is_missing(self._settings, provider))

    def _health(self, name: str) -> Health:
        return self._healths.setdefault(name, Health(name))

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _livekit_transcriber(choice: TranscriberChoice, settings: Settings, connections: Connections) -> Transcriber:
    from breeze_buddy.media.providers.livekit import LivekitTranscriber, make

    return LivekitTranscriber(_of_livekit(make, "STT", choice, settings, connections))


def _livekit_speaker(choice: VoiceChoice, settings: Settings, connections: Connections) -> Speaker:
    from breeze_buddy.media.providers.livekit import LivekitSpeaker, make

    return LivekitSpeaker(_of_livekit(make, "TTS", choice, settings, connections))


def _of_livekit(
    make: Callable[..., Any],
    kind: str,
    choice: TranscriberChoice | VoiceChoice | DialogueModel,
    settings: Settings,
    connections: Connections,
    more: Mapping[str, Any] | None = None,
) -> Any:
    if choice.plugin not in allowed_plugins(settings):
        raise NotHere(f"the LiveKit plugin {choice.plugin} is not in LIVEKIT_PLUGINS")
    try:
        return make(kind, choice, connections, more)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # not installed, no key, options it has not
        raise NotHere(f"the LiveKit plugin {choice.plugin} cannot be used as chosen: {error}") from error


def _secret(value: Any) -> str | None:
    return value.get_secret_value() if value is not None else None


def _not_installed(error: ImportError) -> str:
    return f"the extra llm is not installed ({error}); install it with: pip install 'breeze-buddy[llm]'"
