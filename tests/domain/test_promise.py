"""A promised call is made when the caller's own clock shows the time that was promised."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breeze_buddy.domain.promise import ClockTime, promised_at

KOLKATA, NEW_YORK = ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")
TUESDAY = datetime(2026, 7, 21, 12, 0, tzinfo=UTC)  # 17:30 in India, 08:00 in New York

instants = st.integers(0, 2 * 366 * 86_400).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
clocks = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]).map(ZoneInfo)
times = st.builds(time, st.integers(4, 23), st.sampled_from([0, 30]))  # no clock skips these


@pytest.mark.parametrize(
    ("promise", "clock", "local"),
    [
        (ClockTime(time(17), days_ahead=1), KOLKATA, "2026-07-22T17:00"),
        (ClockTime(time(17), days_ahead=1), NEW_YORK, "2026-07-22T17:00"),
        (ClockTime(time(17)), KOLKATA, "2026-07-22T17:00"),  # it is half past five already
        (ClockTime(time(17)), NEW_YORK, "2026-07-21T17:00"),
        (ClockTime(time(10), weekday=0), KOLKATA, "2026-07-27T10:00"),
        (ClockTime(time(10), weekday=1), KOLKATA, "2026-07-28T10:00"),
        (ClockTime(time(10), weekday=1), NEW_YORK, "2026-07-21T10:00"),
        (ClockTime(days_ahead=1), NEW_YORK, "2026-07-22T08:00"),
    ],
)
def test_the_promised_time_is_that_of_the_callers_clock(promise, clock, local):
    assert promised_at(promise, now=TUESDAY, clock=clock) == datetime.fromisoformat(local).replace(tzinfo=clock)


def test_five_tomorrow_is_five_although_clocks_change_in_the_night():
    saturday = datetime(2026, 3, 7, 12, 0, tzinfo=NEW_YORK)
    promised = promised_at(ClockTime(time(17), days_ahead=1), now=saturday, clock=NEW_YORK)
    assert promised == datetime(2026, 3, 8, 17, 0, tzinfo=NEW_YORK)
    assert promised - saturday.astimezone(UTC) == timedelta(hours=28)


@given(instants, clocks, times, st.none() | st.integers(0, 6))
def test_a_promise_without_a_date_is_the_next_time_the_clock_shows_it(now, clock, at, weekday):
    promised = promised_at(ClockTime(at, weekday=weekday), now=now, clock=clock)
    local = promised.astimezone(clock)
    assert local.time() == at
    assert weekday is None or local.weekday() == weekday
    assert now < promised <= now + timedelta(days=1 if weekday is None else 7, hours=1)


@given(instants, clocks, st.timedeltas(timedelta(0), timedelta(days=30)))
def test_a_while_is_a_while_on_every_clock(now, clock, wait):
    assert promised_at(wait, now=now, clock=clock) == now + wait
