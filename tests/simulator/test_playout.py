"""What waits to be played comes out in order, 20 ms at a time, and marks come back when their sound has been heard."""

import pytest

from breeze_buddy.simulator.errors import CallFault
from breeze_buddy.simulator.playout import BUFFER_MAX_BYTES, Playout


def test_sound_of_any_size_leaves_in_frames_and_its_end_is_padded_with_silence():
    playout = Playout()
    playout.media(b"a" * 100)
    playout.media(b"b" * 100)
    assert playout.next_frame() == b"a" * 100 + b"b" * 60
    assert playout.next_frame() == b"b" * 40 + b"\xff" * 120
    assert playout.next_frame() is None


def test_a_mark_is_due_only_when_all_sound_before_it_was_handed_out():
    playout = Playout()
    playout.media(b"a" * 161)
    playout.mark("one")
    playout.media(b"b" * 159)
    playout.mark("two")
    assert playout.due_marks() == []
    playout.next_frame()
    assert playout.due_marks() == []
    playout.next_frame()
    assert playout.due_marks() == ["one", "two"]
    assert playout.due_marks() == []


def test_a_mark_on_nothing_is_due_at_once():
    playout = Playout()
    playout.mark("empty")
    assert playout.due_marks() == ["empty"]


def test_clear_returns_pending_marks_once_and_later_sound_is_counted_anew():
    playout = Playout()
    playout.media(b"a" * 1000)
    playout.mark("dropped")
    assert playout.clear() == ["dropped"]
    assert playout.clear() == []
    assert playout.next_frame() is None
    playout.media(b"b" * 160)
    playout.mark("later")
    assert playout.due_marks() == []
    playout.next_frame()
    assert playout.due_marks() == ["later"]


def test_ten_minutes_fit_and_one_byte_more_does_not():
    playout = Playout()
    playout.media(b"a" * BUFFER_MAX_BYTES)
    with pytest.raises(CallFault) as caught:
        playout.media(b"a")
    assert caught.value.code == 31931
