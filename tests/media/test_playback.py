"""The agent's voice on its way: words tied to sound, the lead, and what a stall or an interruption does to them."""

import asyncio
import json
from base64 import b64decode

import pytest

from breeze_buddy.media.engines import SpokenChunk
from breeze_buddy.media.mulaw import FRAME_BYTES, FRAME_S
from breeze_buddy.media.playback import Playback
from breeze_buddy.media.ticker import Ticker
from breeze_buddy.media.twilio import StreamWriter
from tests.media.fakes import in_virtual_time


class Line:
    """What was sent, with its time; plays at once, and returns marks when told."""

    def __init__(self, lead_s: float = 0.2) -> None:
        self._loop = asyncio.get_running_loop()
        self.frames_s: list[float] = []
        self.marks: list[str] = []
        self.after_frames: list[int] = []
        self.clears = 0
        self.bytes = 0
        self.played = asyncio.Event()
        self.playback = Playback(
            writer=StreamWriter("MZ1"), send=self._take, ticker=Ticker(), on_played=self.played.set, lead_s=lead_s
        )

    def _take(self, message: bytes) -> None:
        event = json.loads(message)
        if event["event"] == "media":
            self.frames_s.append(self._loop.time())
            self.bytes += len(b64decode(event["media"]["payload"]))
        elif event["event"] == "mark":
            self.marks.append(event["mark"]["name"])
            self.after_frames.append(len(self.frames_s))
        else:
            self.clears += 1


def sound(seconds: float) -> bytes:
    return b"\x55" * (round(seconds / FRAME_S) * FRAME_BYTES)


QUESTION = ["Is", "your", "order", "of", "two", "lamps", "correct?"]


def test_what_was_heard_ends_with_the_word_whose_mark_came_back_last() -> None:
    async def story() -> None:
        line = Line()
        for word in QUESTION:
            line.playback.add(SpokenChunk(word, sound(0.3)))
        await asyncio.sleep(3)
        assert line.bytes == len(sound(2.1))
        for name in line.marks[:3]:
            line.playback.mark_returned(name)
        unheard = line.playback.clear()
        for name in line.marks[3:]:  # Twilio returns them all when it is cleared
            line.playback.mark_returned(name)
        assert line.playback.take_heard()[0] == "Is your order"
        assert [chunk.text for chunk in unheard] == QUESTION[3:]
        assert not line.played.is_set()

    in_virtual_time(story)


def test_a_mark_follows_the_sound_of_its_word() -> None:
    async def story() -> None:
        line = Line()
        for word, seconds in (("one", 0.5), ("two", 0.52), ("three", 0.8)):
            line.playback.add(SpokenChunk(word, sound(seconds)))
        await asyncio.sleep(2)
        assert line.after_frames == [25, 51, 91]
        for name in line.marks:
            line.playback.mark_returned(name)
        assert line.played.is_set()

    in_virtual_time(story)


@pytest.mark.parametrize("lead_s", [0.1, 0.2, 0.6])
def test_no_more_than_the_lead_is_ever_ahead_of_the_caller(lead_s: float) -> None:
    async def story() -> None:
        line = Line(lead_s)
        line.playback.add(SpokenChunk("a long story", sound(30)))
        await asyncio.sleep(31)
        first = line.frames_s[0]
        ahead = [place * FRAME_S - (at - first) for place, at in enumerate(line.frames_s)]
        assert max(ahead) <= lead_s + 0.001
        assert min(ahead[round(lead_s / FRAME_S) :]) >= lead_s - FRAME_S - 0.001, "without drift"

    in_virtual_time(story)


def test_a_stall_of_the_loop_shorter_than_the_lead_is_not_heard() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        line = Line()
        line.playback.add(SpokenChunk("a long story", sound(10)))
        for stall_s in (0.05, 0.1, 0.17):
            await asyncio.sleep(1)
            loop.now_s += stall_s  # type: ignore[attr-defined]
        await asyncio.sleep(8)
        first = line.frames_s[0]
        late = [at - (first + place * FRAME_S) for place, at in enumerate(line.frames_s)]
        assert max(late) <= 0, "each frame is there when the one before has been heard"
        assert len(line.frames_s) == 500

    in_virtual_time(story)


def test_an_interruption_leaves_nothing_to_be_sent_and_what_comes_next_starts_at_once() -> None:
    async def story() -> None:
        line = Line()
        line.playback.add(SpokenChunk("a long story", sound(10)))
        await asyncio.sleep(1)
        sent = len(line.frames_s)
        line.playback.clear()
        await asyncio.sleep(1)
        assert (len(line.frames_s), line.clears) == (sent, 1)
        now = asyncio.get_running_loop().time()
        line.playback.add(SpokenChunk("another", sound(1)))
        assert line.frames_s[sent] == now

    in_virtual_time(story)
