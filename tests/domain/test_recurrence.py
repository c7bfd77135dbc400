"""Cron expressions that are taken, and what is said of others."""

import pytest
from pydantic import ValidationError

from breeze_buddy.domain.recurrence import Recurrence


@pytest.mark.parametrize(
    "cron",
    [
        "0 9 * * *",
        "*/15 8-17 * * mon-fri",
        "30 9 1,15 * *",
        "0 0 29 feb *",
        "5 10-20/2 * jan-mar,oct 0,7",
        "0 9 31 * *",
        "0-30/10 9 * * SUN",
    ],
)
def test_times_are_taken(cron: str) -> None:
    assert Recurrence(cron=cron).cron == cron.lower()


def test_spaces_do_not_matter() -> None:
    assert str(Recurrence(cron="  0   9 * *  MON ", time_zone="Asia/Kolkata")) == "0 9 * * mon (Asia/Kolkata)"


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 9 * *", "4 fields instead of 5"),
        ("@daily", "1 fields instead of 5"),
        ("60 9 * * *", "'60' is no minute: it is 0 to 59"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 9 0 * *", "'0' is no day of month"),
        ("0 9 * 13 *", "'13' is no month"),
        ("0 9 * * funday", "'funday' is no day of week"),
        ("0 9 * * fri-mon", "begins with the smaller one"),
        ("*/0 9 * * *", "a step of the minute"),
        ("*/x 9 * * *", "a step of the minute"),
        ("1,,2 9 * * *", "'' is no minute"),
        ("-5 9 * * *", "'' is no minute"),
        ("0 9 ² * *", "no day of month"),
        ("0 9 1 * mon", "a day of month or a day of week"),
        ("0 9 31 feb,jun *", "a day that no month has"),
    ],
)
def test_a_wrong_time_says_which_field_and_why(cron: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Recurrence(cron=cron)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="IANA time zone"):
        Recurrence(cron="0 9 * * *", time_zone="Mars/Olympus")
