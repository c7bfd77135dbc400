"""Whether this installation has what a template's providers need: asked at its push, and when a call begins."""

from breeze_buddy.domain.errors import ProviderNotConfigured
from breeze_buddy.domain.providers import Provider
from breeze_buddy.domain.template import Template
from breeze_buddy.settings import Settings

_NEEDS = {
    Provider.OPENAI: "OPENAI_API_KEY (or OPENAI_BASE_URL, of an endpoint that wants no key)",
    Provider.OPENAI_FALLBACK: "OPENAI_FALLBACK_API_KEY (or OPENAI_FALLBACK_BASE_URL)",
    Provider.DEEPGRAM: "DEEPGRAM_API_KEY",
    Provider.ELEVENLABS: "ELEVENLABS_API_KEY",
    Provider.LIVEKIT: "LIVEKIT_PLUGINS",
}


def is_configured(settings: Settings, provider: Provider) -> bool:
    """Whether the settings have a key for it, or an address that may do without one."""
    match provider:
        case Provider.OPENAI:
            return bool(settings.openai_api_key or settings.openai_base_url)
        case Provider.OPENAI_FALLBACK:
            return bool(settings.openai_fallback_api_key or settings.openai_fallback_base_url)
        case Provider.DEEPGRAM:
            return bool(settings.deepgram_api_key)
        case Provider.ELEVENLABS:
            return bool(settings.elevenlabs_api_key)
        case Provider.LIVEKIT:
            return bool(allowed_plugins(settings))


def allowed_plugins(settings: Settings) -> frozenset[str]:
    """The LiveKit plugins that templates may name."""
    return frozenset(name.strip() for name in settings.livekit_plugins.split(",") if name.strip())


def what_is_missing(settings: Settings, provider: Provider) -> str:
    """A sentence that says what to set."""
    return f"the template uses {provider.value}, which is not configured here: set {_NEEDS[provider]}"


def check_providers(settings: Settings, template: Template) -> None:
    """Raise ProviderNotConfigured, which names the settings, unless all providers of the template are configured."""
    missing = sorted(one for one in template.providers if not is_configured(settings, one))
    problems = [what_is_missing(settings, one) for one in missing]
    if Provider.LIVEKIT not in missing:
        problems += [
            f"the template uses the LiveKit plugin {name}: add it to LIVEKIT_PLUGINS"
            for name in sorted(template.plugins - allowed_plugins(settings))
        ]
    if problems:
        raise ProviderNotConfigured("; ".join(problems))
