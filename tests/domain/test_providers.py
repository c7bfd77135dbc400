"""A template chooses who hears, thinks and speaks."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from breeze_buddy.domain.errors import ProviderNotConfigured
from breeze_buddy.domain.providers import Provider
from breeze_buddy.domain.template import Template
from breeze_buddy.provider_settings import check_providers
from breeze_buddy.settings import Settings

FLOW = {"start": "bye", "nodes": {"bye": {"say": "Hi {name}.", "then": {"action": "end_conversation"}}}}
EVERYBODY = {
    "transcriber": {"engine": "deepgram", "fallback": [{"engine": "openai"}, {"engine": "offline"}]},
    "engine": "llm",
    "llm": {"model": "m", "instructions": "Sell {product}.", "fallback": {"endpoint": "fallback", "model": "n"}},
    "voice": {"engine": "elevenlabs", "voice": "v", "fallback": [{"engine": "livekit", "plugin": "cartesia"}]},
}
KEYS = {
    "openai_base_url": "http://127.0.0.1:1/v1",
    "openai_fallback_api_key": SecretStr("k"),
    "deepgram_api_key": SecretStr("k"),
    "elevenlabs_api_key": SecretStr("k"),
    "livekit_plugins": "cartesia, azure",
}


def template(**more: Any) -> Template:
    return Template.model_validate({"name": "t", "flow": FLOW, **more})


def settings(**more: Any) -> Settings:
    return Settings(_env_file=None, **more)


def test_without_a_choice_everything_is_offline_and_needs_no_key() -> None:
    assert template().providers == frozenset()
    check_providers(settings(), template())


def test_all_providers_are_asked_for_also_those_to_fall_back_to() -> None:
    assert template(**EVERYBODY).providers == frozenset(Provider)
    check_providers(settings(**KEYS), template(**EVERYBODY))


@pytest.mark.parametrize("missing", list(KEYS))
def test_a_provider_without_its_settings_is_refused_in_a_sentence_that_says_what_to_set(missing: str) -> None:
    some = {name: value for name, value in KEYS.items() if name != missing}
    wanted = "OPENAI_API_KEY" if missing == "openai_base_url" else missing.upper()
    with pytest.raises(ProviderNotConfigured, match=wanted):
        check_providers(settings(**some), template(**EVERYBODY))


def test_a_livekit_plugin_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(ProviderNotConfigured, match="plugin cartesia: add it to LIVEKIT_PLUGINS"):
        check_providers(settings(**{**KEYS, "livekit_plugins": "azure"}), template(**EVERYBODY))


def test_a_livekit_plugin_that_only_the_fallback_of_a_language_model_uses_must_be_on_the_list_too() -> None:
    groq = {"endpoint": "livekit", "plugin": "groq", "model": "m", "options": {"service_tier": "flex"}}
    wanted = template(engine="llm", llm={"model": "m", "fallback": groq})
    assert wanted.providers == {Provider.OPENAI, Provider.LIVEKIT}
    with pytest.raises(ProviderNotConfigured, match="plugin groq: add it to LIVEKIT_PLUGINS"):
        check_providers(settings(**KEYS), wanted)
    check_providers(settings(**{**KEYS, "livekit_plugins": "groq"}), wanted)


def test_instructions_have_placeholders_that_leads_must_fill() -> None:
    assert template(**EVERYBODY).required_variables == {"name", "product"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"engine": "llm"}, "says which model"),
        ({"llm": {"model": "m"}}, "goes with `engine: llm`"),
        ({"engine": "realtime"}, "says which model"),
        ({"engine": "llm", "llm": {"model": "m", "instructions": "{oops"}}, "{"),
        ({"voice": {"engine": "elevenlabs"}}, "needs `voice`"),
        ({"voice": {"engine": "elevenlabs", "voice": "../v1/user"}}, "pattern"),
        ({"voice": {"voice": "anna"}}, "one voice"),
        ({"voice": {"engine": "livekit"}}, "`plugin` is needed"),
        ({"voice": {"engine": "openai", "plugin": "cartesia"}}, "`plugin` is needed"),
        ({"voice": {"engine": "livekit", "plugin": "os.path"}}, "pattern"),
        ({"voice": {"engine": "livekit", "plugin": "azure", "options": {"api_key": "x"}}}, "environment"),
        ({"voice": {"engine": "livekit", "plugin": "azure", "options": {"base_url": "x"}}}, "environment"),
        ({"transcriber": {"language": "de"}}, "English"),
        ({"llm": {"model": "m", "base_url": "http://evil"}, "engine": "llm"}, "not permitted"),
        ({"engine": "llm", "llm": {"model": "m", "endpoint": "livekit"}}, "`plugin` is needed"),
        ({"engine": "llm", "llm": {"model": "m", "plugin": "groq"}}, "`plugin` is needed"),
        ({"analysis": {"model": "m", "endpoint": "livekit"}}, "'openai' or 'fallback'"),
        ({"analysis": {"model": "m", "summary": False, "sentiment": False}}, "look for"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        template(**change)
