"""Recognition by providers: every word once, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from breeze_buddy.domain.providers import TranscriberChoice
from breeze_buddy.media.engines import Transcriber, Transcript
from breeze_buddy.media.providers import deepgram
from breeze_buddy.media.providers.connections import Connections
from breeze_buddy.media.providers.deepgram import DeepgramTranscriber
from breeze_buddy.media.providers.failover import Candidate, FailoverTranscriber, Health
from breeze_buddy.media.providers.failures import ProviderFailed
from breeze_buddy.media.providers.openai_transcription import OpenAiTranscriber
from tests.media.vendors.deepgram import Deepgram, Fault
from tests.media.vendors.openai_audio import OpenAiAudio
from tests.media.vendors.serving import serving

SAID = "please send it to twelve garden street thank you"


async def spoken(sound: bytes, *, paced: bool = True) -> AsyncIterator[bytes]:
    """A turn in windows of 32 ms, some of them at a time."""
    for at in range(0, len(sound), 256):
        yield sound[at : at + 256]
        if paced:
            await asyncio.sleep(0)


async def understood(transcriber: Transcriber, sound: bytes) -> tuple[str, list[Transcript]]:
    transcripts = [one async for one in transcriber.transcribe(spoken(sound))]
    return " ".join(one.text for one in transcripts if one.final), transcripts


@pytest.fixture
def vendor() -> Deepgram:
    return Deepgram()


@pytest.fixture
async def transcriber(vendor: Deepgram, connections: Connections) -> AsyncIterator[DeepgramTranscriber]:
    async with serving(vendor.app) as place:
        made = DeepgramTranscriber(
            connections,
            key="dg-key",
            address=f"ws://{place}",
            choice=TranscriberChoice(engine="deepgram", keywords=("Breeze",)),
        )
        yield made
        await made.close()


async def test_deepgram_hears_the_turn_while_it_is_spoken_and_one_socket_serves_many_turns(
    vendor: Deepgram, transcriber: DeepgramTranscriber
) -> None:
    transcriber.prepare()
    for _ in range(3):
        text, transcripts = await understood(transcriber, vendor.sound_of(SAID))
        assert text == SAID
        assert "please send" in [one.text for one in transcripts if not one.final]
    assert vendor.audio_words == [SAID.split() * 3]
    (query,) = vendor.queries
    assert (query["model"], query["keyterm"], query["interim_results"]) == ("nova-3", "Breeze", "true")


async def test_callers_who_speak_at_once_have_a_socket_each(vendor: Deepgram, transcriber: DeepgramTranscriber) -> None:
    texts = ["yes", "no", "call me later"]
    sounds = [vendor.sound_of(text) for text in texts]
    assert [text for text, _ in await asyncio.gather(*(understood(transcriber, one) for one in sounds))] == texts


@pytest.mark.parametrize("fault", ["drops", "garbage", "error", "binary"])
@pytest.mark.parametrize("final_every_words", [100, 2])
async def test_a_socket_that_breaks_in_mid_utterance_is_replaced_and_only_what_was_not_final_is_heard_again(
    vendor: Deepgram, transcriber: DeepgramTranscriber, fault: Fault, final_every_words: int
) -> None:
    vendor.faults = [(fault, 5)]
    vendor.final_every_words = final_every_words
    text, _ = await understood(transcriber, vendor.sound_of(SAID))
    assert text == SAID
    first, second = vendor.audio_words
    assert first[:5] == SAID.split()[:5]
    assert second == SAID.split()[0 if final_every_words == 100 else 4 :]


async def test_a_socket_that_says_nothing_is_given_up(
    vendor: Deepgram, transcriber: DeepgramTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram, "LAST_RESULT_S", 0.1)
    vendor.faults = [("says_nothing", 0)]
    text, _ = await understood(transcriber, vendor.sound_of("yes please"))
    assert text == "yes please"
    assert len(vendor.queries) == 2


async def test_words_that_were_never_made_final_count_and_the_socket_is_not_used_again(
    vendor: Deepgram, transcriber: DeepgramTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram, "LAST_RESULT_S", 0.1)
    vendor.faults = [("no_finalize_answer", 0)]
    assert (await understood(transcriber, vendor.sound_of("yes please")))[0] == "yes please"
    assert (await understood(transcriber, vendor.sound_of("no")))[0] == "no"
    assert vendor.audio_words == [["yes", "please"], ["no"]]


async def test_a_caller_who_hangs_up_in_mid_utterance_leaves_no_socket_for_others(
    vendor: Deepgram, transcriber: DeepgramTranscriber
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield vendor.sound_of("my secret")
        await asyncio.Event().wait()

    transcripts = transcriber.transcribe(endless())
    assert (await anext(transcripts)).text == "my"
    await transcripts.aclose()  # type: ignore[attr-defined]
    assert (await understood(transcriber, vendor.sound_of("yes")))[0] == "yes"
    assert vendor.audio_words[1] == ["yes"]


@pytest.mark.parametrize(("status", "tries"), [(401, 1), (429, 1), (503, 3)])
async def test_a_refusal_says_what_it_is_and_is_tried_again_only_if_that_can_help(
    vendor: Deepgram, transcriber: DeepgramTranscriber, status: int, tries: int
) -> None:
    vendor.refusals = [status] * 5
    with pytest.raises(ProviderFailed, match=str(status)):
        await understood(transcriber, vendor.sound_of("yes"))
    assert len(vendor.refusals) == 5 - tries


async def test_a_wrong_key_says_which_setting_to_check(vendor: Deepgram, transcriber: DeepgramTranscriber) -> None:
    vendor.key = "another"
    with pytest.raises(ProviderFailed, match="DEEPGRAM_API_KEY"):
        await understood(transcriber, vendor.sound_of("yes"))


async def test_an_idle_socket_is_kept_alive_and_closed_after_a_while(
    vendor: Deepgram, transcriber: DeepgramTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram, "KEEP_ALIVE_S", 0.02)
    monkeypatch.setattr(deepgram, "IDLE_S", 0.2)
    await understood(transcriber, vendor.sound_of("yes"))
    async with asyncio.timeout(5):
        await vendor.all_closed.wait()
    assert vendor.keep_alives >= 2


async def test_another_provider_takes_over_the_turn_and_the_next_ones_for_a_while(
    vendor: Deepgram, transcriber: DeepgramTranscriber, connections: Connections
) -> None:
    other = OpenAiAudio(text="Yes, please.")
    async with serving(other.app) as place:
        second = OpenAiTranscriber(
            connections,
            key="sk-test",
            address=f"http://{place}/v1",
            choice=TranscriberChoice(engine="openai", language="en-US", keywords=("Breeze", "Buddy")),
        )
        health = Health("deepgram")
        both: FailoverTranscriber = FailoverTranscriber(
            [Candidate(transcriber, health), Candidate(second, Health("openai"))]
        )
        vendor.faults = [("drops", 1), ("drops", 1), ("drops", 1)]
        text, transcripts = await understood(both, vendor.sound_of("yes please"))
        assert (text, transcripts[-1].final) == ("Yes, please.", True)
        assert sum(one.final for one in transcripts) == 1
        assert other.heard == [
            {
                "seconds": 0.6,
                "model": "gpt-4o-mini-transcribe",
                "response_format": "json",
                "language": "en",
                "prompt": "Breeze, Buddy",
            }
        ]
        await understood(both, vendor.sound_of("no"))
        assert (len(other.heard), len(vendor.queries)) == (2, 3)
        health.rests_until_s = 0
        assert (await understood(both, vendor.sound_of("no")))[0] == "no"


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_transcription_that_is_refused_fails_with_its_status(connections: Connections, status: int) -> None:
    vendor = OpenAiAudio(refusals=[status])
    async with serving(vendor.app) as place:
        transcriber = OpenAiTranscriber(
            connections, key="sk-test", address=f"http://{place}/v1", choice=TranscriberChoice(engine="openai")
        )
        with pytest.raises(ProviderFailed, match=str(status)):
            await understood(transcriber, b"\x55" * 4000)
        vendor.raw_answer = b"<html>"
        with pytest.raises(ProviderFailed, match="no transcript"):
            await understood(transcriber, b"\x55" * 4000)
    with pytest.raises(ProviderFailed, match="connection failed"):
        await understood(transcriber, b"\x55" * 4000)
