"""Campaigns that recur in the nights in which clocks change: the times that Temporal says are next."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from .rig import Rig

BERLIN = ZoneInfo("Europe/Berlin")
DAYLIGHT_SAVING_H, NORMAL_H = 2, 1


def next_night(*, forward: bool) -> date:
    """The next Sunday with 23 hours, or 25."""
    day = datetime.now(BERLIN).date() + timedelta(days=3)
    while _length(day) != timedelta(hours=23 if forward else 25):
        day += timedelta(days=1)
    return day


def _length(day: date) -> timedelta:
    begins, ends = (datetime.combine(each, datetime.min.time(), BERLIN) for each in (day, day + timedelta(days=1)))
    return ends.astimezone(UTC) - begins.astimezone(UTC)


async def times(rig: Rig, cron: str, *, since: date, until: date) -> list[tuple[int, str, int]]:
    """When a campaign would run in these days: the day counted from the first, what the clock shows, and how many
    hours it is ahead of UTC then."""
    begin, end = (datetime.combine(day, datetime.min.time(), BERLIN) for day in (since, until))
    pacing = {"recurrence": {"cron": cron, "time_zone": "Europe/Berlin"}, "start_at": begin.isoformat()}
    campaign_id = await rig.created([rig.person()], number=await rig.number(), pacing=pacing)
    answer = await rig.api.get(f"/campaigns/{campaign_id}/schedule")
    found = [datetime.fromisoformat(text).astimezone(BERLIN) for text in answer.json()["next_times"]]
    return [
        ((at.date() - since).days, f"{at:%H:%M}", int((at.utcoffset() or timedelta(0)).total_seconds() // 3600))
        for at in found
        if at < end
    ]


@pytest.mark.parametrize("forward", [True, False])
async def test_nine_in_the_morning_stays_nine(real_time_rig: Rig, forward: bool) -> None:
    night = next_night(forward=forward)
    before, after = (NORMAL_H, DAYLIGHT_SAVING_H) if forward else (DAYLIGHT_SAVING_H, NORMAL_H)
    day = timedelta(days=1)
    found = await times(real_time_rig, "0 9 * * *", since=night - day, until=night + 2 * day)
    assert found == [(0, "09:00", before), (1, "09:00", after), (2, "09:00", after)]


async def test_a_time_in_the_hour_that_is_skipped_is_left_out_that_day_and_the_next_hour_is_not(
    real_time_rig: Rig,
) -> None:
    night = next_night(forward=True)
    day = timedelta(days=1)
    found = await times(real_time_rig, "30 2 * * *", since=night - day, until=night + 2 * day)
    assert found == [(0, "02:30", NORMAL_H), (2, "02:30", DAYLIGHT_SAVING_H)]
    found = await times(real_time_rig, "0 1-4 * * *", since=night, until=night + day)
    assert found == [(0, "01:00", NORMAL_H), (0, "03:00", DAYLIGHT_SAVING_H), (0, "04:00", DAYLIGHT_SAVING_H)]


async def test_a_time_in_the_hour_that_comes_twice_is_there_once(real_time_rig: Rig) -> None:
    night = next_night(forward=False)
    day = timedelta(days=1)
    for cron, clock in (("30 2 * * *", "02:30"), ("0 2 * * sun", "02:00")):
        found = await times(real_time_rig, cron, since=night, until=night + day)
        assert [(place, shown) for place, shown, _ in found] == [(0, clock)]
    found = await times(real_time_rig, "*/30 1-3 * * *", since=night, until=night + day)
    assert [shown for _, shown, _ in found] == ["01:00", "01:30", "02:00", "02:30", "03:00", "03:30"]
    assert (found[0][2], found[-1][2]) == (DAYLIGHT_SAVING_H, NORMAL_H)
