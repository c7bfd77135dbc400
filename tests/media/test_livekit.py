"""LiveKit's plugins as engines.

Run where `breeze-buddy[livekit]`, livekit-plugins-deepgram and livekit-plugins-openai are installed, as
`make test-livekit` does.
"""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from breeze_buddy.domain.providers import TranscriberChoice, VoiceChoice
from breeze_buddy.media.engines import EngineUnavailable
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.failures import ProviderFailed
from breeze_buddy.media.providers.livekit import LivekitSpeaker, LivekitTranscriber, import_plugins, make
from breeze_buddy.settings import Settings
from tests.media.fakes import said, template_of
from tests.media.test_llm_calls import GREETING, called
from tests.media.vendors.deepgram import Deepgram
from tests.media.vendors.openai_chat import OpenAiChat, Reply
from tests.media.vendors.serving import serving


def test_a_plugin_that_is_not_installed_is_named_with_what_to_install() -> None:
    with pytest.raises(EngineUnavailable, match="pip install 'breeze-buddy\\[livekit\\]' livekit-plugins-no-such-one"):
        import_plugins(["no_such_one"])


async def test_a_plugin_hears_a_turn_and_speaks(connections: Connections) -> None:
    pytest.importorskip("livekit.plugins.deepgram")
    vendor = Deepgram(encoding="linear16")

    async def speak(request: web.Request) -> web.Response:
        text = (await request.json())["text"]
        return web.Response(body=b"\x00\x20" * 640 * len(text), content_type="audio/pcm")

    app = vendor.app
    app.router.add_post("/v1/speak", speak)
    async with serving(app) as place:
        hears = TranscriberChoice.model_construct(
            engine="livekit",
            plugin="deepgram",
            options={"base_url": f"http://{place}/v1/listen", "api_key": "dg-key", "vad_events": False},
        )
        transcriber = LivekitTranscriber(make("STT", hears, connections))

        async def turn() -> AsyncIterator[bytes]:
            sound = vendor.sound_of("yes please")
            for at in range(0, len(sound), 256):
                yield sound[at : at + 256]

        found = [one async for one in transcriber.transcribe(turn())]
        assert " ".join(one.text for one in found if one.final) == "yes please"
        speaks = VoiceChoice.model_construct(
            engine="livekit", plugin="deepgram", options={"base_url": f"http://{place}/v1/speak", "api_key": "dg-key"}
        )
        speaker = LivekitSpeaker(make("TTS", speaks, connections))
        chunks = [chunk async for chunk in speaker.speak("Two lamps, all right?", VoiceChoice())]
        assert " ".join(chunk.text for chunk in chunks if chunk.text) == "Two lamps, all right?"
        assert sum(len(chunk.audio) for chunk in chunks) == pytest.approx(640 * 21, rel=0.05)
        await transcriber.close()
        vendor.key = "another"
        refused = LivekitTranscriber(make("STT", hears, connections))
        with pytest.raises(ProviderFailed):
            [one async for one in refused.transcribe(turn())]
        await refused.close()
        await speaker.close()


async def test_a_plugins_language_model_holds_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key and address come from its own variables; `test_llm_dialogue.py` holds it to all that a model must do."""
    pytest.importorskip("livekit.plugins.openai")
    chat = OpenAiChat([Reply(words=["Two lamps. ", "All right?"]), Reply(calls=[("confirm", {})])], key="lk-key")
    ears = Deepgram()
    async with serving(chat.app) as models, serving(ears.app) as place:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://{models}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "lk-key")
        settings = Settings(
            _env_file=None,
            livekit_plugins="openai",
            deepgram_api_key="dg-key",  # type: ignore[arg-type]
            deepgram_base_url=f"ws://{place}",
        )
        template = template_of(
            engine="llm",
            llm={"endpoint": "livekit", "plugin": "openai", "model": "m", "max_tokens": 60},
            transcriber={"engine": "deepgram"},
        )
        report, _ = await called(
            settings, template, ears.sound_of("what did I order"), ears.sound_of("that sounds alright")
        )
    assert said(report) == [
        GREETING,
        "caller: what did I order",
        "agent: Two lamps. All right?",
        "caller: that sounds alright",
        "agent: Thank you very much. Goodbye.",
    ]
    assert [one["max_completion_tokens"] for one in chat.requests] == [60, 60]
    assert report.figures is not None
    assert all(turn.first_token_ms is not None for turn in report.figures.turns)
