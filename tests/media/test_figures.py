"""How long answers took: in the report of the call, and for Prometheus."""

from collections.abc import AsyncIterable, AsyncIterator

import pytest

from breeze_buddy.domain.conversation import ConversationReport
from breeze_buddy.media import metrics
from breeze_buddy.media.engines import Transcript
from breeze_buddy.media.metrics import Histogram
from breeze_buddy.media.mulaw import SILENCE
from tests.media.fakes import KnownSounds, MemoryDirectory, Phone, call_of, in_virtual_time, said, template_of


def test_the_report_says_how_long_each_answer_took() -> None:
    async def whole() -> ConversationReport:
        directory = MemoryDirectory()
        directory.expect(call_of())
        phone = Phone(directory)
        await phone.answer()
        await phone.listen()
        await phone.wait(7)  # a silence
        await phone.listen()
        await phone.say("no")
        await phone.listen()
        await phone.say("12 Garden Street")
        await phone.wait(1.5)
        phone.hang_up()
        return await phone.ended()

    figures = in_virtual_time(whole).figures
    assert figures is not None
    assert figures.first_word_ms == pytest.approx(10, abs=2)  # what the speaker takes
    assert (figures.silences, figures.interruptions) == (1, 0)
    assert len(figures.turns) == 2
    for turn in figures.turns:
        assert turn.waited_ms == pytest.approx(700, abs=25)
        assert turn.transcript_ms == pytest.approx(turn.waited_ms + 100, abs=5)  # what the recogniser takes
        assert turn.first_token_ms is None  # nobody asked a model
        assert turn.reply_ms == pytest.approx(turn.transcript_ms, abs=5)
        assert turn.audio_ms == pytest.approx(turn.transcript_ms + 10, abs=5)
        assert turn.sent_ms == pytest.approx(turn.transcript_ms + 10, abs=5)


def test_prometheus_is_told_too() -> None:
    before = metrics.exposition(streams=0, capacity=1, draining=False).decode()
    test_the_report_says_how_long_each_answer_took()
    after = metrics.exposition(streams=0, capacity=1, draining=False).decode()

    def count(page: str, name: str) -> float:
        return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"{name} "))

    for name, more in (("turn_sent_seconds_count", 2), ("turn_waited_seconds_count", 2), ("silences_total", 1),
                       ("answer_to_first_word_seconds_count", 1), ("turn_waited_seconds_sum", 1.4)):  # fmt: skip
        grown = count(after, f"breeze_media_{name}") - count(before, f"breeze_media_{name}")
        assert grown == pytest.approx(more, abs=0.05), name


def test_a_histogram_counts_by_bounds() -> None:
    histogram = Histogram("h", "Help.")
    for seconds in (0.001, 0.005, 0.3, 99):
        histogram.observe(seconds)
    lines = histogram.exposition().splitlines()
    assert lines[:2] == ["# HELP h Help.", "# TYPE h histogram"]
    assert 'h_bucket{le="0.005"} 2' in lines
    assert 'h_bucket{le="0.2"} 2' in lines
    assert 'h_bucket{le="0.35"} 3' in lines
    assert 'h_bucket{le="+Inf"} 4' in lines
    assert lines[-2:] == ["h_sum 99.306000", "h_count 4"]


class TellsWhileItListens(KnownSounds):
    """A recogniser that streams: each word is told when its sound is over."""

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        heard = b""
        words = 0
        async for chunk in turn:
            heard += chunk.replace(SILENCE, b"")
            text = self._known.get(heard[-1], "") if heard else ""
            said_words = text.split()[: len(heard) // 2400]
            if len(said_words) > words:
                words = len(said_words)
                yield Transcript(" ".join(said_words), final=False)
        if text:
            yield Transcript(text)


class GivesUpAtOnce(KnownSounds):
    """A recogniser that fails while the caller is still speaking, the first time."""

    async def transcribe(self, turn: AsyncIterable[bytes]) -> AsyncIterator[Transcript]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the connection is lost")
        async for transcript in super().transcribe(turn):
            yield transcript


def test_a_recogniser_that_fails_in_the_middle_of_a_turn_costs_only_that_turn() -> None:
    async def whole() -> ConversationReport:
        directory = MemoryDirectory()
        directory.expect(call_of())
        phone = Phone(directory, sounds=GivesUpAtOnce())
        phone.sounds.failures = 1
        await phone.answer()
        await phone.listen()
        await phone.say("yes that is correct")
        await phone.listen()
        await phone.say("yes")
        return await phone.ended()

    assert in_virtual_time(whole).result == "confirmed"


@pytest.mark.parametrize(("sounds", "after_s"), [(TellsWhileItListens(), 0.9), (KnownSounds(), 2.3)])
def test_with_a_minimum_of_words_the_agent_speaks_until_they_are_understood(
    sounds: KnownSounds, after_s: float
) -> None:
    """While they are spoken, by a recogniser that streams; at the end of the turn otherwise."""

    async def whole() -> tuple[ConversationReport, Phone, float]:
        directory = MemoryDirectory()
        flow = {
            "nodes": {
                "start": {"say": "One two three four five six seven eight nine ten eleven twelve thirteen fourteen.",
                          "functions": [{"name": "a", "phrases": ["stop"], "go": "bye"}]},
                "bye": {"say": "Bye.", "then": {"action": "end_conversation", "result": "stopped"}},
            }
        }  # fmt: skip
        directory.expect(call_of(template_of(flow, turns={"barge_in_min_words": 3})))
        phone = Phone(directory, sounds=sounds)
        await phone.answer()
        await phone.wait(1.3)
        began_s = phone.now_s
        await phone.say("stop it now please you")  # 1.5 s
        return await phone.ended(), phone, began_s

    report, phone, began_s = in_virtual_time(whole)
    assert phone.clears_s == [pytest.approx(began_s + after_s, abs=0.1)]
    assert report.result == "stopped"
    assert said(report)[0].endswith("–")
