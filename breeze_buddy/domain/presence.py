"""Local presence: how near a number of ours is to the person it calls."""

from functools import lru_cache
from typing import NamedTuple

import phonenumbers


class Locality(NamedTuple):
    """Where a number belongs: its country code, and its area code when it is a geographic number."""

    country_code: int
    area_code: str | None


@lru_cache(maxsize=20_000)
def locality(phone: str) -> Locality:
    """The locality of an E.164 number. Raises phonenumbers.NumberParseException for anything else."""
    number = phonenumbers.parse(phone)
    length = phonenumbers.length_of_geographical_area_code(number)
    national = phonenumbers.national_significant_number(number)
    return Locality(number.country_code or 0, national[:length] if length else None)


def nearness(ours: str, theirs: str) -> int:
    """2: same country and area code; 1: same country; 0: abroad."""
    here, there = locality(ours), locality(theirs)
    if here.country_code != there.country_code:
        return 0
    return 2 if here.area_code is not None and here.area_code == there.area_code else 1
