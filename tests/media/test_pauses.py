"""How long a speaker's silence is waited for: rules that hold for every speaker, and the detector that uses them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breeze_buddy.media.pauses import FLUENT_PAUSE_S, MARGIN, EndOfTurn
from breeze_buddy.media.turns import TurnDetector, TurnEvent

WINDOW_S = 0.032
pauses = st.floats(0.0, 5.0)
histories = st.lists(pauses, max_size=30)


def waiting(history: list[float], *, first_s: float = 0.7) -> EndOfTurn:
    rule = EndOfTurn(first_s=first_s, shortest_s=0.5, longest_s=1.4)
    for pause_s in history:
        rule.paused(pause_s)
    return rule


@given(histories)
def test_the_wait_stays_between_the_shortest_and_the_longest(history: list[float]) -> None:
    assert 0.5 <= waiting(history).wait_s <= 1.4


@given(histories, pauses, pauses)
def test_a_longer_pause_never_makes_the_wait_shorter(history: list[float], one_s: float, other_s: float) -> None:
    shorter, longer = sorted(one for one in (one_s, other_s))
    if shorter >= FLUENT_PAUSE_S:
        assert waiting([*history, longer]).wait_s >= waiting([*history, shorter]).wait_s


@given(histories, pauses)
def test_who_pauses_is_not_cut_off_at_the_next_pause_of_that_length(history: list[float], pause_s: float) -> None:
    assert waiting([*history, pause_s]).wait_s >= min(1.4, MARGIN * pause_s if pause_s >= FLUENT_PAUSE_S else 0)


@given(st.lists(st.floats(0.0, 0.5), max_size=30))
def test_who_never_pauses_long_is_never_waited_for_longer_than_a_stranger(history: list[float]) -> None:
    assert waiting(history).wait_s <= 0.7 + 1e-9


@given(histories)
def test_a_speaker_who_becomes_fluent_is_waited_for_less_and_less(history: list[float]) -> None:
    rule = waiting(history)
    waits = []
    for _ in range(40):
        rule.ended(voiced_s=3.0, paused=False)
        waits.append(rule.wait_s)
    assert waits == sorted(waits, reverse=True)
    assert waits[-1] == 0.5


def test_a_short_answer_says_nothing_about_its_speaker() -> None:
    rule = waiting([])
    for _ in range(20):
        rule.ended(voiced_s=0.4, paused=False)
    assert rule.wait_s == pytest.approx(0.7)


def test_the_first_wait_must_lie_between_the_others() -> None:
    with pytest.raises(ValueError, match="between"):
        EndOfTurn(first_s=0.4, shortest_s=0.5, longest_s=1.4)


def turns_of(detector: TurnDetector, *lengths_s: float) -> list[int]:
    """How many turns end in each part; speech and silence in turn, speech first."""
    ended = []
    for place, seconds in enumerate(lengths_s):
        events = [detector.step(1.0 if place % 2 == 0 else 0.0) for _ in range(round(seconds / WINDOW_S))]
        ended.append(events.count(TurnEvent.ENDED))
    return ended


def test_a_hesitant_speaker_is_cut_off_once_and_then_waited_for() -> None:
    detector = TurnDetector(window_s=WINDOW_S, end_of_turn=waiting([]))
    assert turns_of(detector, 1.0, 0.9, 1.0) == [0, 1, 0]  # it was no end: 0.9 s is how this speaker pauses
    assert turns_of(detector, 1.0, 0.9, 1.0, 0.9, 1.0, 1.5) == [0, 0, 0, 0, 0, 1]


def test_a_fluent_speaker_is_answered_sooner_with_each_turn() -> None:
    rule = waiting([])
    detector = TurnDetector(window_s=WINDOW_S, end_of_turn=rule)
    for _ in range(8):
        turns_of(detector, 2.0, 3.0)
    assert rule.wait_s == 0.5


@given(st.lists(st.floats(0.0, 1.0), max_size=400))
def test_turns_begin_and_end_by_turns_and_the_speech_in_them_is_counted(probabilities: list[float]) -> None:
    detector = TurnDetector(window_s=WINDOW_S, end_of_turn=waiting([]))
    events = []
    for probability in probabilities:
        event = detector.step(probability)
        if event is not None:
            events.append(event)
        if detector.in_turn:
            assert 0.13 - WINDOW_S <= detector.voiced_s <= len(probabilities) * WINDOW_S
            assert detector.silent_s <= 1.4 + WINDOW_S
    assert events == [TurnEvent.BEGAN, TurnEvent.ENDED] * (len(events) // 2) + [TurnEvent.BEGAN] * (len(events) % 2)
