"""Phone numbers in E.164, by the numbering plans of the `phonenumbers` package."""

from typing import Annotated

import phonenumbers
from pydantic import AfterValidator, ValidationInfo

from breeze_buddy.domain.errors import InvalidPhoneNumber


def parse_e164(text: str, *, default_region: str | None = None) -> str:
    """Return `text` as an E.164 number (`+14155550123`).

    `default_region` is an ISO 3166 code for numbers written without a country code.
    Raises InvalidPhoneNumber with the reason.
    """
    try:
        number = phonenumbers.parse(text.strip(), default_region)
    except phonenumbers.NumberParseException as error:
        hint = "" if default_region else "; write it in E.164, starting with + and the country code"
        raise InvalidPhoneNumber(f"{text!r} is not a phone number ({error}){hint}") from error
    if not phonenumbers.is_possible_number(number):
        raise InvalidPhoneNumber(f"{text!r} has too few or too many digits for its country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def mask(phone: str) -> str:
    """A form of the number that is safe in logs and in the Temporal UI: `+14…0123`."""
    return f"{phone[:3]}…{phone[-4:]}" if len(phone) > 7 else "…"


def _known_region(text: str) -> str:
    region = text.strip().upper()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{text!r} is not a country: write its ISO 3166 code, like IN or US")
    return region


Region = Annotated[str, AfterValidator(_known_region)]
"""A pydantic field type: a country, by its ISO 3166 code of two letters."""

_REGION = "default_region"


def read_with_region(region: str | None) -> dict[str, str | None]:
    """The context of a validation in which E164 also takes numbers as they are written in that country."""
    return {_REGION: region}


def _e164(text: str, info: ValidationInfo) -> str:
    return parse_e164(text, default_region=info.context.get(_REGION) if isinstance(info.context, dict) else None)


E164 = Annotated[str, AfterValidator(_e164)]
"""A pydantic field type: any dialable text with a country code, normalised to E.164."""
