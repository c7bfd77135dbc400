"""Which words of a sentence have been heard when its sound is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeze_buddy.media import mulaw
from breeze_buddy.media.engines import SpokenChunk
from breeze_buddy.media.mulaw import FRAME_BYTES
from breeze_buddy.media.words_in_sound import SHORTEST_FRAMES, pieces_of

LOUD, QUIET = b"\x33", mulaw.SILENCE


def spoken(*words: tuple[str, int]) -> SpokenChunk:
    """Words of so many frames, with two quiet ones between them."""
    sounds = [LOUD * (frames * FRAME_BYTES) for _, frames in words]
    return SpokenChunk(" ".join(word for word, _ in words), (QUIET * (2 * FRAME_BYTES)).join(sounds))


def test_words_part_where_it_is_quiet() -> None:
    chunk = spoken(("Your", 14), ("seventeen", 34), ("lamps", 24), ("will", 16), ("arrive", 26), ("tomorrow.", 44))
    pieces = pieces_of(chunk)
    assert [piece.text for piece in pieces] == chunk.text.split()
    assert [round(len(piece.audio) / FRAME_BYTES) for piece in pieces] == pytest.approx([15, 36, 26, 18, 28, 45], abs=1)


def test_a_word_too_short_for_a_mark_of_its_own_goes_with_the_next() -> None:
    pieces = pieces_of(spoken(("I", 6), ("cannot", 30), ("do", 8), ("that.", 24)))
    assert [piece.text for piece in pieces] == ["I cannot", "do that."]


@pytest.mark.parametrize("text", ["", "Hello.", "one two"])
def test_what_is_short_is_one_piece(text: str) -> None:
    chunk = SpokenChunk(text, LOUD * (20 * FRAME_BYTES))
    assert pieces_of(chunk) == [chunk]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("abcdefghij,.!?-", min_size=1, max_size=14), max_size=12),
    st.lists(st.sampled_from([0, 0, 20, 400, 3000, 12_000]), max_size=200),
    st.integers(0, FRAME_BYTES - 1),
)
def test_no_word_and_no_sound_is_lost_however_it_is_cut(words: list[str], levels: list[int], rest: int) -> None:
    samples = np.repeat(np.array(levels, "<i2"), FRAME_BYTES)
    chunk = SpokenChunk(" ".join(words), mulaw.from_pcm(samples.tobytes()) + QUIET * rest)
    pieces = pieces_of(chunk)
    assert b"".join(piece.audio for piece in pieces) == chunk.audio
    assert " ".join(piece.text for piece in pieces) == chunk.text
    assert len(pieces) == 1 or all(len(piece.audio) > (SHORTEST_FRAMES - 1) * FRAME_BYTES for piece in pieces)
