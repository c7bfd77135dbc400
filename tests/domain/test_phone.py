"""Phone numbers: one spelling for each, and never a whole one where people read."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breeze_buddy.domain.errors import InvalidPhoneNumber
from breeze_buddy.domain.phone import mask, parse_e164

EXAMPLES = sorted(
    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for region in phonenumbers.SUPPORTED_REGIONS
    if (number := phonenumbers.example_number(region)) is not None
)


@pytest.mark.parametrize(
    "text",
    ["+14155550123", "+1 415 555 0123", "+1 (415) 555-0123", "  +1-415-555-0123\n", "+１４１５５５５０１２３"],
)
def test_every_spelling_of_a_number_is_one_number(text):
    assert parse_e164(text) == "+14155550123"


def test_a_number_without_country_needs_a_region():
    assert parse_e164("098765 43210", default_region="IN") == "+919876543210"
    with pytest.raises(InvalidPhoneNumber, match=r"starting with \+ and the country code"):
        parse_e164("098765 43210")


@given(st.sampled_from(EXAMPLES))
def test_numbers_of_every_country_stay_as_they_are(number):
    assert parse_e164(number) == number


def spelled(text):
    """The number that `text` is read as, or the refusal."""
    try:
        return parse_e164(text)
    except InvalidPhoneNumber as error:
        return error


@given(st.text(max_size=24))
def test_any_text_is_a_number_or_refused_with_a_reason(text):
    read = spelled(text)
    if isinstance(read, str):
        assert parse_e164(read) == read
    else:
        assert (read.code, repr(text) in str(read)) == ("invalid_phone_number", True)


@pytest.mark.parametrize("text", ["", "+", "hello", "+1415", "+14155550123456789", "+999123456789", "4155550123"])
def test_text_that_is_no_number_is_refused(text):
    with pytest.raises(InvalidPhoneNumber):
        parse_e164(text)


@given(st.sampled_from(EXAMPLES))
def test_a_masked_number_cannot_be_dialled(number):
    shown = mask(number)
    assert "…" in shown
    assert number not in shown
    assert sum(character.isdigit() for character in shown) < sum(character.isdigit() for character in number)


def test_a_masked_number_can_be_recognised():
    assert mask("+14155550123") == "+14…0123"
    assert mask("12345") == "…"
