"""A value that the caller is asked for, and what was given of it so far.

A number may come with a breath in it: what is too short is kept, and the rest awaited.
"""

from datetime import date
from enum import Enum, auto

from breeze_buddy.domain.flow import Capture, Parameter
from breeze_buddy.media.spoken_numbers import spoken_digits
from breeze_buddy.media.spoken_values import keyed_value, keys_in_all, spoken_value

_DICTATED = frozenset({"digits", "phone"})
SHORTEST_PHONE = 8
"""Fewer digits are the beginning of a phone number."""


class Unclear(Enum):
    """What was given is no value: the rest is awaited, or it was not understood."""

    MORE = auto()
    NOTHING = auto()


class Asked:
    """One question for a value. `today` is the date on the caller's calendar."""

    def __init__(self, wanted: Capture | Parameter, *, today: date) -> None:
        self.wanted = wanted
        self._today = today
        self._terminator = wanted.terminator if isinstance(wanted, Capture) else "#"
        self._partial = ""

    def forget(self) -> None:
        """The question is asked anew."""
        self._partial = ""

    def heard(self, text: str) -> str | Unclear:
        """The value, when these words make it whole."""
        if self.wanted.value_type not in _DICTATED:
            return spoken_value(self.wanted, text, today=self._today) or Unclear.NOTHING
        whole = f"{self._partial} {text}" if self._partial else text
        self._partial += spoken_digits(text)
        value = spoken_value(self.wanted, whole, today=self._today)
        return value if value is not None else self._so_far(goes_on=True)

    def pressed(self, keys: str) -> str | Unclear:
        """The value, when these keys make it whole."""
        ended = self._terminator is not None and keys.endswith(self._terminator)
        given = self._partial + (keys[:-1] if ended else keys)
        if self.wanted.value_type in _DICTATED and given.isdigit():
            self._partial = given
        value = keyed_value(self.wanted, given, today=self._today)
        return value if value is not None else self._so_far(goes_on=given.isdigit() and not ended)

    def completes(self, keys: str) -> bool:
        """Whether a pause or more keys need not be waited for."""
        if self.wanted.value_type == "string":
            return True
        ended = self._terminator is not None and keys.endswith(self._terminator)
        most = keys_in_all(self.wanted)
        return ended or (most is not None and len(self._partial) + len(keys) >= most)

    @property
    def shortest(self) -> int:
        """So many digits at least are asked for; 0 when any number of them will do."""
        return {
            "digits": self.wanted.length or self.wanted.min_length or 0,
            "phone": SHORTEST_PHONE,
        }.get(self.wanted.value_type, 0)

    def _so_far(self, *, goes_on: bool) -> Unclear:
        return Unclear.MORE if goes_on and 0 < len(self._partial) < self.shortest else Unclear.NOTHING
