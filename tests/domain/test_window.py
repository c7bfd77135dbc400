"""Calling hours by the lead's own clock, over midnight and in the nights when clocks change."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import timezone as numbering
from phonenumbers.tzdata import TIMEZONE_DATA
from pydantic import ValidationError

from breeze_buddy.domain.window import WEEKDAYS, CallingWindow, distinct_zones, lead_zones, zone, zones_of_text
from breeze_buddy.store.schema import leads

ZONES = [
    "UTC",
    "Asia/Kolkata",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
]
NEW_YORK = ZoneInfo("America/New_York")
QUARTER = timedelta(minutes=15)

clock_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
days = st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(lambda kept: tuple(sorted(kept)))
anytime = st.integers(0, 2 * 366 * 86_400).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
dates = st.integers(0, 2 * 366).map(lambda days: date(2025, 1, 1) + timedelta(days=days))
stretches = st.builds(
    lambda first, length: [first + timedelta(days=ahead) for ahead in range(length)], dates, st.integers(0, 20)
)
holidays = st.lists(stretches, max_size=3).map(lambda some: tuple(sorted({day for few in some for day in few})))
windows = st.builds(
    CallingWindow,
    start=clock_times,
    end=clock_times,
    days=days,
    holidays=st.just(()) | holidays,
    time_zone=st.sampled_from(ZONES),
)
clocks = st.lists(st.sampled_from(ZONES).map(ZoneInfo), max_size=4).map(tuple)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock_says_open(window, at, tz):
    """The rule in words: the clock on the lead's wall, and the day on which the window began."""
    local = at.astimezone(tz)
    minute, start, end = (t.hour * 60 + t.minute for t in (local.time(), window.start, window.end))

    def began(day):
        return WEEKDAYS[day.weekday()] in window.days and day not in window.holidays

    today, yesterday = local.date(), local.date() - timedelta(days=1)
    if start < end:
        return began(today) and start <= minute < end
    return (minute >= start and began(today)) or (minute < end and began(yesterday))


def agree_some_time_of_the_week(window, at, zones):
    """Whether clocks set as they are now would ever all say so, in a week without holidays or changes."""
    frozen = [timezone(at.astimezone(tz).utcoffset()) for tz in zones]
    plain = window.model_copy(update={"holidays": ()})
    quarters = (at.replace(minute=0, second=0) + quarter * QUARTER for quarter in range(-1, 7 * 96))
    moments = (moment + minute for moment in quarters for minute in (timedelta(0), timedelta(minutes=14)))
    return any(all(clock_says_open(plain, moment, tz) for tz in frozen) for moment in moments)


@given(windows, anytime, clocks)
def test_a_window_is_open_when_all_the_clocks_of_a_lead_say_so(window, at, zones):
    counting = zones
    if not zones or not agree_some_time_of_the_week(window, at, zones):
        counting = (ZoneInfo(window.time_zone),)
    assert window.is_open(at, zones) == all(clock_says_open(window, at, tz) for tz in counting)


@given(windows, anytime, clocks, st.lists(st.floats(0, 1, exclude_max=True), max_size=20))
def test_the_next_opening_is_open_and_nothing_before_it_is(window, at, zones, samples):
    opens = window.next_open(at, zones)
    assert opens.utcoffset() is not None
    assert at <= opens <= max(at, *(datetime.combine(day, time(0), UTC) for day in window.holidays), at) + timedelta(16)
    assert window.is_open(opens, zones)
    before = [at + (opens - at) * share for share in samples] + [opens - timedelta(seconds=1)]
    assert not any(window.is_open(moment, zones) for moment in before if at <= moment < opens)


@given(windows, anytime, clocks)
def test_an_open_window_is_not_waited_for(window, at, zones):
    assert (window.next_open(at, zones) == at) == window.is_open(at, zones)


NIGHTS = ["2026-03-08", "2026-11-01"]  # New York puts its clocks forward, and back


@pytest.mark.parametrize("night", NIGHTS)
@given(start=clock_times, end=clock_times)
def test_every_quarter_of_an_hour_of_a_night_of_change_agrees_with_the_clock(night, start, end):
    window = CallingWindow(start=start, end=end)
    at = utc(night) - timedelta(hours=2)
    quarters = [at + QUARTER * number for number in range(4 * 30)]
    open_at = {quarter: clock_says_open(window, quarter, NEW_YORK) for quarter in quarters}
    for quarter in quarters:
        assert window.is_open(quarter, (NEW_YORK,)) == open_at[quarter]
    opens = window.next_open(at, (NEW_YORK,))
    assert not any(is_open for quarter, is_open in open_at.items() if quarter < opens)


@pytest.mark.parametrize(
    ("start", "end", "asked", "opens"),
    [
        # Clocks go from 02:00 EST (07:00 UTC) to 03:00 EDT.
        ("02:30", "21:00", "2026-03-08T05:00", "2026-03-08T07:00"),  # the skipped half hour is not waited for
        ("02:10", "02:50", "2026-03-08T05:00", "2026-03-09T06:10"),  # a window that is skipped is not made up for
        ("09:00", "21:00", "2026-03-08T02:00", "2026-03-08T13:00"),  # nine o'clock is nine o'clock
        ("22:00", "02:30", "2026-03-08T06:59", "2026-03-08T06:59"),  # open until the clocks change
        ("22:00", "02:30", "2026-03-08T07:00", "2026-03-09T02:00"),
        # Clocks go from 02:00 EDT (06:00 UTC) back to 01:00 EST.
        ("01:30", "01:45", "2026-11-01T05:45", "2026-11-01T06:30"),  # the half hour that comes twice
        ("01:30", "01:45", "2026-11-01T06:45", "2026-11-02T06:30"),
        ("00:30", "01:30", "2026-11-01T05:30", "2026-11-01T06:00"),  # open again when clocks go back
        ("09:00", "21:00", "2026-11-01T04:00", "2026-11-01T14:00"),
    ],
)
def test_clocks_that_change_in_new_york(start, end, asked, opens):
    window = CallingWindow(start=time.fromisoformat(start), end=time.fromisoformat(end))
    assert window.next_open(utc(asked), (NEW_YORK,)) == utc(opens)


def test_a_weekly_window_in_the_skipped_hour_is_the_one_a_week_later():
    window = CallingWindow(start=time(2, 10), end=time(2, 50), days=("sun",))
    assert window.next_open(utc("2026-03-02T00:00"), (NEW_YORK,)) == utc("2026-03-15T06:10")


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on():
    window = CallingWindow(start=time(22), end=time(2), days=("fri",))
    friday, saturday, sunday = "2026-07-24", "2026-07-25", "2026-07-26"
    assert not window.is_open(utc(f"{friday}T01:00"))
    assert window.is_open(utc(f"{friday}T22:00"))
    assert window.is_open(utc(f"{saturday}T01:59"))
    assert not window.is_open(utc(f"{saturday}T02:00"))
    assert not window.is_open(utc(f"{saturday}T23:00"))
    assert not window.is_open(utc(f"{sunday}T01:00"))


def test_equal_ends_are_the_whole_day():
    window = CallingWindow(start=time(9), end=time(9), days=("fri",))
    assert window.is_open(utc("2026-07-24T09:00"))
    assert window.is_open(utc("2026-07-25T08:59"))
    assert not window.is_open(utc("2026-07-25T09:00"))


def test_leads_in_different_zones_are_called_in_their_own_morning():
    window = CallingWindow(start=time(9), end=time(12))
    at = utc("2026-07-21T00:00")
    opens = {name: window.next_open(at, (ZoneInfo(name),)) for name in ("Asia/Kolkata", "Europe/Berlin", "UTC")}
    assert opens == {
        "Asia/Kolkata": utc("2026-07-21T03:30"),
        "Europe/Berlin": utc("2026-07-21T07:00"),
        "UTC": utc("2026-07-21T09:00"),
    }


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"days": ["monday"]}, "mon, tue"),
        ({"days": []}, "at least one day"),
        ({"time_zone": "IST"}, "Asia/Kolkata"),
        ({"time_zone": "../etc/passwd"}, "IANA"),
        ({"start": "25:00"}, "hour"),
        ({"holidays": ["2026-02-30"]}, "date"),
        ({"holidays": [str(date(2026, 1, 1) + timedelta(days=n)) for n in range(367)]}, "366"),
    ],
)
def test_a_window_that_cannot_be_says_what_to_write(wrong, says):
    with pytest.raises(ValidationError, match=says):
        CallingWindow.model_validate(wrong)


def test_nothing_starts_on_a_holiday_but_the_night_before_ends():
    window = CallingWindow(start=time(22), end=time(2), holidays=(date(2026, 7, 25), date(2026, 7, 26)))
    friday, monday = "2026-07-24", "2026-07-27"
    assert window.is_open(utc(f"{friday}T23:00"))
    assert window.is_open(utc("2026-07-25T01:59"))
    assert window.next_open(utc("2026-07-25T02:00")) == utc(f"{monday}T22:00")


def test_a_holiday_is_one_on_the_leads_own_calendar():
    window = CallingWindow(start=time(9), end=time(21), holidays=(date(2026, 12, 25),))
    morning_in_india = utc("2026-12-25T04:00")
    assert not window.is_open(morning_in_india, (ZoneInfo("Asia/Kolkata"),))
    assert window.is_open(utc("2026-12-25T04:00"), (ZoneInfo("America/Los_Angeles"),))  # Thursday evening


def test_a_year_of_holidays_is_waited_out():
    days = tuple(date(2026, 1, 1) + timedelta(days=ahead) for ahead in range(366))
    window = CallingWindow(start=time(9), end=time(21), holidays=days)
    assert window.next_open(utc("2026-01-01T00:00")) == utc("2027-01-02T09:00")


RUSSIA = "+79161234567"
TOLL_FREE = "+18005550123"


@pytest.mark.parametrize(
    ("given", "phone", "zones"),
    [
        (None, "+919812345678", ("Asia/Calcutta",)),
        (None, "+12125550123", ("America/New_York",)),
        (None, "+4930901820", ("Europe/Berlin",)),
        ("Asia/Tokyo", "+12125550123", ("Asia/Tokyo",)),
        (None, "+80012345678", ()),  # a number of the whole world
        (None, "+17800", ()),
    ],
)
def test_a_leads_zone_is_the_one_given_otherwise_that_of_its_number(given, phone, zones):
    assert lead_zones(given, phone) == zones
    assert [str(clock) for clock in zones_of_text("|".join(zones))] == list(zones)


def test_a_mobile_number_of_a_wide_country_may_be_in_any_of_its_zones():
    zones = lead_zones(None, RUSSIA)
    assert {"Europe/Moscow", "Asia/Vladivostok"} <= set(zones)
    assert zones == tuple(sorted(zones))
    hours = {utc("2026-07-21T12:00").astimezone(ZoneInfo(name)).hour for name in zones}
    assert len(hours) >= 9


def test_zones_whose_clocks_always_agree_are_named_once():
    clocks = [ZoneInfo(name) for name in lead_zones(None, TOLL_FREE)]
    year = [utc("2027-01-01T12:00") + timedelta(days=ahead) for ahead in range(365)]
    shown = [tuple(day.astimezone(clock).utcoffset() for day in year) for clock in clocks]
    assert len(set(shown)) == len(shown)


def test_the_zones_of_every_number_fit_into_their_column():
    plans = {tuple(name for name in names if name != numbering.UNKNOWN_TIMEZONE) for names in TIMEZONE_DATA.values()}
    assert max(len("|".join(distinct_zones(names))) for names in plans) <= leads.c.zones.type.length
    for name in {name for names in plans for name in names}:
        zone(name)


def test_a_number_in_many_zones_is_called_only_while_all_their_clocks_agree():
    window = CallingWindow(start=time(9), end=time(21), time_zone="Europe/Moscow")
    zones = zones_of_text("|".join(lead_zones(None, RUSSIA)))
    opens = window.next_open(utc("2026-07-20T22:00"), zones)
    # Nine at its west end, seven in the evening at its east end.
    assert opens == utc("2026-07-21T06:00")
    assert window.is_open(utc("2026-07-21T08:59"), zones)
    assert not window.is_open(utc("2026-07-21T09:00"), zones)


def test_where_clocks_never_agree_the_windows_own_zone_decides():
    window = CallingWindow(start=time(9), end=time(12), time_zone="Europe/Moscow")
    zones = zones_of_text("|".join(lead_zones(None, RUSSIA)))
    assert window.next_open(utc("2026-07-20T22:00"), zones) == utc("2026-07-21T06:00")
    assert window.is_open(utc("2026-07-21T08:59"), zones)
    assert not window.is_open(utc("2026-07-21T09:00"), zones)
