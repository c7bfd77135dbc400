"""When a caller says when to be called again, that is when."""

from datetime import time, timedelta

import pytest

from breeze_buddy.domain.promise import ClockTime
from breeze_buddy.media.spoken_times import spoken_time


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Tomorrow at five.", ClockTime(time(17), days_ahead=1)),
        ("tomorrow at ten in the morning", ClockTime(time(10), days_ahead=1)),
        ("Call me tomorrow at 10:30, please.", ClockTime(time(10, 30), days_ahead=1)),
        ("at seven in the morning", ClockTime(time(7))),
        ("at 7 a.m. tomorrow", ClockTime(time(7), days_ahead=1)),
        ("tomorrow, 5 p.m.", ClockTime(time(17), days_ahead=1)),
        ("five o'clock", ClockTime(time(17))),
        ("nine tomorrow", ClockTime(time(9), days_ahead=1)),
        ("tomorrow nine thirty", ClockTime(time(9, 30), days_ahead=1)),
        ("half past nine", ClockTime(time(9, 30))),
        ("a quarter to four this afternoon", ClockTime(time(15, 45), days_ahead=0)),
        ("twenty past eleven", ClockTime(time(11, 20))),
        ("at 17:15", ClockTime(time(17, 15))),
        ("at twelve", ClockTime(time(12))),
        ("at noon on Friday", ClockTime(time(12), weekday=4)),
        ("Monday at ten", ClockTime(time(10), weekday=0)),
        ("next Monday morning", ClockTime(time(10), weekday=0)),
        ("tomorrow evening", ClockTime(time(19), days_ahead=1)),
        ("tonight", ClockTime(time(19), days_ahead=0)),
        ("tonight at eight", ClockTime(time(20), days_ahead=0)),
        ("the day after tomorrow at three", ClockTime(time(15), days_ahead=2)),
        ("in three days at nine", ClockTime(time(9), days_ahead=3)),
        ("in a week at two", ClockTime(time(14), days_ahead=7)),
        ("tomorrow", ClockTime(days_ahead=1)),
        ("in half an hour", timedelta(minutes=30)),
        ("in twenty minutes", timedelta(minutes=20)),
        ("in an hour and a half", timedelta(minutes=90)),
        ("in about two hours", timedelta(hours=2)),
        ("in two weeks", timedelta(days=14)),
        ("in ninety days", None),
        ("later", None),
        ("I don't know", None),
        ("at ninety nine", None),
        ("", None),
    ],
)
def test_a_time_is_understood_as_it_was_said(said, meant):
    assert spoken_time(said) == meant
