"""Words of listening: which they are, and that they are no answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breeze_buddy.domain.back_channels import BACK_CHANNELS, counting_words, is_back_channel, usual_in
from breeze_buddy.domain.turns import Turns

ENGLISH = usual_in("en")


@pytest.mark.parametrize("text", ["Mm-hm.", "mm hm", "Uh-huh.", "Okay, okay.", "Okay. I see!", "Right, got it."])
def test_listening(text: str) -> None:
    assert is_back_channel(text, ENGLISH)
    assert counting_words(text, ENGLISH) == 0


@pytest.mark.parametrize("text", ["", "Yes.", "No", "okay no", "I see a problem", "stop", "uh, wait"])
def test_not_listening(text: str) -> None:
    assert not is_back_channel(text, ENGLISH)
    assert counting_words(text, ENGLISH) == len(text.split())


@given(st.lists(st.sampled_from(ENGLISH), min_size=1, max_size=6))
def test_several_are_one(phrases: list[str]) -> None:
    assert is_back_channel(", ".join(phrases), ENGLISH)


@pytest.mark.parametrize("language", BACK_CHANNELS)
def test_every_language_knows_its_own(language: str) -> None:
    assert all(is_back_channel(phrase, usual_in(language)) for phrase in BACK_CHANNELS[language])
    assert set(BACK_CHANNELS[language]) <= set(usual_in("multi"))


def test_a_template_has_its_own_list_for_a_language_or_the_usual_one() -> None:
    turns = Turns(back_channels={"en": ("yep",)})
    assert turns.back_channels_in("en-GB") == ("yep",)
    assert turns.back_channels_in("de") == usual_in("de")
    assert turns.back_channels_in("eo") == ENGLISH
    assert Turns(back_channels={"en": ()}).back_channels_in("en") == ()


def test_waits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="between"):
        Turns(end_of_turn_ms=700, end_of_turn_min_ms=800)
    with pytest.raises(ValueError, match="between"):
        Turns(end_of_turn_ms=700, end_of_turn_max_ms=600)
    assert (Turns(end_of_turn_ms=300).least_wait_ms, Turns().least_wait_ms, Turns().most_wait_ms) == (300, 500, 1400)
