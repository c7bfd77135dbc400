"""What a caller says, and what the agent takes it for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeze_buddy.domain.flow import Function
from breeze_buddy.media.phrases import choose_function
from breeze_buddy.media.speech.loops import believable
from breeze_buddy.media.speech.spelling import spell_out
from breeze_buddy.media.spoken_numbers import only_digits, spoken_digits

FUNCTIONS = [
    Function(name="confirm", phrases=("yes", "correct", "that is right"), go="a"),
    Function(name="change", phrases=("no", "not correct", "wrong"), go="b"),
    Function(name="stop", phrases=("don't call me", "stop calling"), go="c"),
    Function(name="later", phrases=("call me", "at ten"), go="d"),
]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Yes.", "confirm"),
        ("Yes, that's right!", "confirm"),
        ("Yeah, okay", "confirm"),
        ("That is correct.", "confirm"),
        ("That is not correct.", "change"),
        ("That isn't correct", "change"),
        ("No, that is not correct.", "change"),
        ("it is not really wrong", None),
        ("That is never right", None),
        ("incorrect", None),
        ("yesterday", None),
        ("Please do not call me again", "stop"),
        ("Please call me tomorrow", "later"),
        ("tomorrow at 10", "later"),
        ("Yes, no problem", "confirm"),
        ("", None),
        ("!?", None),
    ],
)
def test_the_longest_phrase_that_was_really_said_decides(said: str, meant: str | None) -> None:
    chosen = choose_function(said, FUNCTIONS)
    assert (chosen.name if chosen else None) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("No, thank you.", "change"),
        ("No 12 Garden Street", None),
        ("Wrong Street", None),
        ("yes yes please", "confirm"),
    ],
)
def test_beside_a_capture_a_phrase_must_be_the_whole_answer(said: str, meant: str | None) -> None:
    chosen = choose_function(said, FUNCTIONS, whole=True)
    assert (chosen.name if chosen else None) == meant


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("nine eight seven", "987"),
        ("My number is 9 8 7, 6 5 4 3 2 1 0", "9876543210"),
        ("It is 999-9888.", "9999888"),
        ("double five triple 2", "55222"),
        ("oh one two", "012"),
        ("twenty-one forty", "2140"),
        ("one two, and 34", "1234"),
        ("none", ""),
        ("7 to 9 5", "7295"),
        ("it is 5 for 5", "545"),
        ("to 9 5", "295"),
        ("for my house 12", "12"),
        ("I want to", ""),
    ],
)
def test_digits_are_understood_however_they_are_said(said: str, digits: str) -> None:
    assert spoken_digits(said) == digits


@pytest.mark.parametrize(("said", "digits"), [("One.", "1"), ("two five", "25"), ("one moment", None), ("", None)])
def test_a_choice_by_number_is_nothing_but_the_number(said: str, digits: str | None) -> None:
    assert only_digits(said) == digits


@settings(deadline=None)
@given(st.text(alphabet="0123456789", min_size=1, max_size=12))
def test_digits_said_one_by_one_come_back_as_they_are(digits: str) -> None:
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    assert spoken_digits(" ".join(names[int(digit)] for digit in digits)) == digits


@pytest.mark.parametrize(
    ("heard", "seconds", "believed"),
    [
        ("Yes.", 0.8, "Yes."),
        ("Yes. Yes. Yes. Yes. Yes. Yes. Yes. Yes", 0.8, "Yes."),
        ("Yes that is correct. Yes that is correct. Yes that is", 1.7, "Yes that is correct."),
        ("No, no, no.", 1.2, "No, no, no."),
        ("Yes, please. Yes, please. Yes, please.", 1.2, "Yes, please."),
        ("9 9 9 8 8 8", 2.3, "9 9 9 8 8 8"),
        ("1 2 3 1 2 3", 2.3, "1 2 3 1 2 3"),
        ("It is 9 9 9 8 8 8 8 8 8 8 8 8 8 8 8 8 8", 1.5, "It is 9 9 9 8 8 8"),
        ("12 Garden Street. 12 Garden Street. 12", 2.0, "12 Garden Street."),
        ("1, 2, 3, 4, 1, 2, 3,", 1.2, "1, 2, 3, 4,"),
        ("1, 2, 3, 4. 1, 2, 3,", 1.24, "1, 2, 3, 4."),  # four digits are 1.1 to 1.24 s of sound
        ("9999, 9999.", 1.84, "9999, 9999."),
        ("555. 1 2 3 4.", 1.5, "555. 1 2 3 4."),
        ("9999 9999 9999 9999 9999 9999", 1.84, "9999 9999"),
        ("[BLANK_AUDIO]", 1.0, ""),
        ("(coughs) hello ♪", 1.0, "hello"),
        ("", 1.0, ""),
    ],
)
def test_a_recogniser_in_a_loop_is_not_believed(heard: str, seconds: float, believed: str) -> None:
    assert believable(heard, seconds) == believed


@pytest.mark.parametrize(
    ("heard", "believed"),
    [
        ("719352846. 719352846. 719352846. 71935", "719352846."),
        ("719 352846. 719 352846. 719 352846. 719 35", "719 352846."),
        ("719 352 98 9", "719 352 98 9"),
    ],
)
def test_a_repetition_that_ends_within_a_number_is_folded(heard: str, believed: str) -> None:
    assert believable(heard, 3.0, voiced_s=1.5) == believed


def test_silence_is_no_time_in_which_digits_were_said() -> None:
    assert believable("1, 2, 3, 4. 1, 2, 3,", 3.5, voiced_s=1.2) == "1, 2, 3, 4."
    assert believable("1, 2, 3, 4. 1, 2, 3,", 3.5, voiced_s=2.0) == "1, 2, 3, 4. 1, 2, 3,"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Order AB12 is ready.", "Order A, B, 1, 2 is ready."),
        ("Call +919876543210.", "Call 9 1 9 8 7 6 5 4 3 2 1 0."),
        ("At 10AM on the 3rd, 1250 rupees, 5KG.", "At 10AM on the 3rd, 1250 rupees, 5KG."),
        ("It costs 1,250,000.50.", "It costs 1,250,000.50."),
    ],
)
def test_codes_and_long_numbers_are_read_one_by_one(written: str, read: str) -> None:
    assert spell_out(written) == read
