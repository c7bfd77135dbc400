"""Speech without a network: voice activity, recognition and synthesis by models that ship in packages.

Models are loaded once and shared by all streams. What needs the processor runs in threads outside the event
loop: one for voice activity, which must not wait, and `speech_threads` for recognition and synthesis.
"""

from concurrent.futures import ThreadPoolExecutor

from breeze_buddy.media.engines import Engines, EngineUnavailable
from breeze_buddy.media.providers.choosing import Providers
from breeze_buddy.media.requests import HttpRequests
from breeze_buddy.media.scripted import ScriptedDialogue
from breeze_buddy.settings import Settings


def load_engines(settings: Settings) -> Engines:
    """Load and warm up all models; takes seconds, and is not to be called on the event loop.

    Raises EngineUnavailable when the `speech` extra is not installed or a model named in the settings is missing.
    """
    try:
        from breeze_buddy.media.speech.hibari_speaker import HibariSpeaker
        from breeze_buddy.media.speech.silero import SileroVoiceActivity, packaged_vad_model
        from breeze_buddy.media.speech.whisper import WhisperTranscriber, packaged_whisper_model
    except ImportError as error:
        raise EngineUnavailable(
            f"offline speech is not installed ({error}); install it with: pip install 'breeze-buddy[speech]'"
        ) from error
    vad_model = settings.vad_model or packaged_vad_model()
    whisper_model = settings.whisper_model or packaged_whisper_model()
    for name, path in (("VAD_MODEL", vad_model), ("WHISPER_MODEL", whisper_model)):
        if not path.exists():
            raise EngineUnavailable(f"{name}: there is no {path}")
    pool = ThreadPoolExecutor(settings.speech_threads, thread_name_prefix="speech")
    watch = ThreadPoolExecutor(1, thread_name_prefix="voice-activity")

    def close() -> None:
        for executor in (pool, watch):
            executor.shutdown(wait=False, cancel_futures=True)

    requests = HttpRequests(settings.http_request_hosts, allow_private=settings.http_request_allow_private)
    providers = Providers(settings, requests)
    providers.load()
    return Engines(
        voice_activity=SileroVoiceActivity(vad_model, watch),
        transcriber=WhisperTranscriber(whisper_model, pool, threads=settings.speech_threads),
        dialogue=ScriptedDialogue(requests),
        speaker=HibariSpeaker(pool),
        close=close,
        choose=providers.choose,
        disconnect=providers.close,
    )
