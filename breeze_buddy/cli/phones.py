"""Phone numbers as arguments of commands."""

from breeze_buddy.cli.errors import OptionError
from breeze_buddy.domain.errors import InvalidPhoneNumber
from breeze_buddy.domain.phone import parse_e164


def given_phone(text: str) -> str:
    """The number in E.164. Raises OptionError with the reason."""
    try:
        return parse_e164(text)
    except InvalidPhoneNumber as error:
        raise OptionError(str(error)) from None
