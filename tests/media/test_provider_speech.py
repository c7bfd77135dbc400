"""Speech by providers: every word once, as early as can be, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from breeze_buddy.domain.providers import VoiceChoice
from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import Speaker, SpokenChunk
from breeze_buddy.media.providers import failover
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.elevenlabs import ElevenLabsSpeaker
from breeze_buddy.media.providers.failover import Candidate, FailoverSpeaker, Health
from breeze_buddy.media.providers.failures import ProviderFailed
from breeze_buddy.media.providers.kept_speech import KeptSpeech
from breeze_buddy.media.providers.openai_speech import OpenAiSpeaker
from tests.media.fakes import Monotone
from tests.media.vendors.elevenlabs import LETTER_SAMPLES, ElevenLabs, Fault
from tests.media.vendors.openai_audio import OpenAiAudio
from tests.media.vendors.serving import serving

TEXT = "Good morning, is your order of two lamps correct?"
VOICE = VoiceChoice(engine="elevenlabs", voice="anna", speed=1.1)
OPENAI = VoiceChoice(engine="openai", voice="nova", model="tts-1")


async def spoken(speaker: Speaker, text: str, voice: VoiceChoice) -> list[SpokenChunk]:
    return [chunk async for chunk in speaker.speak(text, voice)]


def words(chunks: list[SpokenChunk]) -> str:
    return " ".join(chunk.text for chunk in chunks if chunk.text)


@pytest.fixture
def vendor() -> ElevenLabs:
    return ElevenLabs()


@pytest.fixture
async def speaker(vendor: ElevenLabs, connections: Connections) -> AsyncIterator[ElevenLabsSpeaker]:
    async with serving(vendor.app) as place:
        yield ElevenLabsSpeaker(connections, key="el-key", address=f"http://{place}")


@pytest.fixture
def other() -> OpenAiAudio:
    return OpenAiAudio()


@pytest.fixture
async def second(other: OpenAiAudio, connections: Connections) -> AsyncIterator[OpenAiSpeaker]:
    async with serving(other.app) as place:
        yield OpenAiSpeaker(connections, key="sk-test", address=f"http://{place}/v1")


async def test_elevenlabs_sound_goes_straight_to_the_wire_and_says_which_words_are_in_it(
    vendor: ElevenLabs, speaker: ElevenLabsSpeaker
) -> None:
    chunks = await spoken(speaker, TEXT, VOICE)
    assert words(chunks) == TEXT
    assert len(b"".join(chunk.audio for chunk in chunks)) == len(TEXT) * LETTER_SAMPLES
    assert all(len(chunk.audio) % mulaw.FRAME_BYTES == 0 for chunk in chunks[:-1])  # no gap between pieces
    assert chunks[0].text == "Good"
    said = ""
    for chunk in chunks[:-1]:  # a word is told with the piece that holds its last letter
        said = f"{said} {chunk.text}".strip()
        assert TEXT.startswith(said)
    assert vendor.requests == [
        {"voice": "anna", "text": TEXT, "model_id": "eleven_flash_v2_5", "voice_settings": {"speed": 1.1}}
    ]


async def test_the_first_sound_is_there_before_the_rest_is_made_and_leaving_stops_the_work(
    vendor: ElevenLabs, speaker: ElevenLabsSpeaker
) -> None:
    vendor.go_on = asyncio.Event()
    chunks = speaker.speak(TEXT, VOICE)
    assert (await anext(chunks)).text == "Good"
    await chunks.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        await vendor.aborted.wait()


@pytest.mark.parametrize("status", [401, 402, 422, 429, 500])
async def test_a_refusal_of_elevenlabs_fails_with_its_status(
    vendor: ElevenLabs, speaker: ElevenLabsSpeaker, status: int
) -> None:
    vendor.refusals = [status]
    with pytest.raises(ProviderFailed, match=str(status)):
        await spoken(speaker, TEXT, VOICE)


@pytest.mark.parametrize("fault", ["drops", "garbage", "slow"])
@pytest.mark.parametrize("after", [0, 3])
async def test_another_voice_goes_on_with_the_words_that_were_not_said(
    vendor: ElevenLabs,
    speaker: ElevenLabsSpeaker,
    other: OpenAiAudio,
    second: OpenAiSpeaker,
    fault: Fault,
    after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(failover, "CHUNK_S", 0.2)
    vendor.fault, vendor.after = fault, after
    both = FailoverSpeaker(
        [Candidate(speaker, Health("elevenlabs"), VOICE), Candidate(second, Health("openai"), OPENAI)]
    )
    assert words(await spoken(both, TEXT, VOICE)) == TEXT
    (request,) = other.spoken
    assert TEXT.endswith(request["input"])
    assert (request["input"] == TEXT) == (after == 0)
    assert (request["voice"], request["model"]) == ("nova", "tts-1")
    # The one that failed is left alone for a while.
    await spoken(both, "Again.", VOICE)
    assert (len(vendor.requests), len(other.spoken)) == (1, 2)


async def test_when_all_voices_fail_it_is_said_why(
    vendor: ElevenLabs, speaker: ElevenLabsSpeaker, other: OpenAiAudio, second: OpenAiSpeaker
) -> None:
    vendor.refusals, other.refusals = [401], [500]
    both = FailoverSpeaker(
        [Candidate(speaker, Health("elevenlabs"), VOICE), Candidate(second, Health("openai"), OPENAI)]
    )
    with pytest.raises(ProviderFailed, match="500"):
        await spoken(both, TEXT, VOICE)


async def test_an_answer_without_sound_is_a_failure(vendor: ElevenLabs, speaker: ElevenLabsSpeaker) -> None:
    vendor.fault = "empty"
    with pytest.raises(ProviderFailed, match="without sound"):
        await spoken(speaker, TEXT, VOICE)


async def test_openai_speech_is_the_same_tone_at_the_telephones_rate(second: OpenAiSpeaker) -> None:
    chunks = await spoken(second, TEXT, OPENAI)
    assert words(chunks) == TEXT
    assert sum(1 for chunk in chunks if chunk.text) > 1  # words are told along the way
    pcm = np.frombuffer(mulaw.to_pcm(b"".join(chunk.audio for chunk in chunks)), "<i2").astype(float)
    assert len(pcm) == pytest.approx(len(TEXT) * 1600 / 3, rel=0.01)
    spectrum = np.abs(np.fft.rfft(pcm))
    assert np.fft.rfftfreq(len(pcm), 1 / 8000)[int(np.argmax(spectrum))] == pytest.approx(440, abs=2)


async def test_openai_speech_that_breaks_off_or_is_no_sound_fails(other: OpenAiAudio, second: OpenAiSpeaker) -> None:
    other.drops_after_pieces = 2
    with pytest.raises(ProviderFailed, match="connection failed"):
        await spoken(second, TEXT, OPENAI)
    other.drops_after_pieces, other.content_type = None, "text/html"
    with pytest.raises(ProviderFailed, match="instead of sound"):
        await spoken(second, TEXT, OPENAI)


async def test_a_sentence_is_bought_once_and_only_if_it_was_whole(
    vendor: ElevenLabs, speaker: ElevenLabsSpeaker
) -> None:
    keeping = KeptSpeech().of(speaker)
    interrupted = keeping.speak(TEXT, VOICE)
    await anext(interrupted)
    await interrupted.aclose()  # type: ignore[attr-defined]
    first = await spoken(keeping, TEXT, VOICE)
    assert await spoken(keeping, TEXT, VOICE) == first
    assert len(vendor.requests) == 2
    await spoken(keeping, TEXT, VoiceChoice(engine="elevenlabs", voice="bert"))
    assert len(vendor.requests) == 3


async def test_kept_speech_has_a_limit() -> None:
    class Counting(Monotone):
        asked = 0

        def speak(self, text: str, voice: VoiceChoice) -> AsyncIterator[SpokenChunk]:
            self.asked += 1
            return super().speak(text, voice)  # type: ignore[arg-type]

    counting = Counting()
    keeping = KeptSpeech(most_bytes=3 * 2400).of(counting)  # three words of Monotone
    for text in ("one", "two", "three", "one", "four", "one", "two"):
        await spoken(keeping, text, OPENAI)
    assert counting.asked == 5
