"""Whole days go by: leads are called when their own clocks say so, and at no other time."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from breeze_buddy.domain.conversation import ConversationReport, Ending
from breeze_buddy.domain.promise import ClockTime, promised_at
from breeze_buddy.store import conversations

from .rig import Rig

NEW_YORK = ZoneInfo("America/New_York")

# Numbers of these zones, and nothing else is known of the leads.
PEOPLE = {
    "Asia/Tokyo": "+81312345678",
    "Asia/Kolkata": "+919812345678",
    "Europe/Berlin": "+4930901820",
    "America/Sao_Paulo": "+5511961234567",
    "America/New_York": "+12125550123",
}
IN_NEW_YORK = PEOPLE["America/New_York"]

# So much after a moment the call that it was waited for has been placed.
SOON = timedelta(seconds=20)
JUST = timedelta(seconds=60)


def days_from(day: date) -> Iterator[date]:
    while True:
        yield day
        day += timedelta(days=1)


def on(day: date, clock: str, zone: ZoneInfo, *, fold: int = 0) -> datetime:
    """When a clock in `zone` shows that time of that day."""
    return datetime.combine(day, time.fromisoformat(clock), zone).replace(fold=fold).astimezone(UTC)


def next_night_of_change(rig: Rig, zone: ZoneInfo, *, forward: bool) -> date:
    """The next day on which the clocks of `zone` are put forward, or back, in its early hours."""
    for day in days_from(rig.clock().astimezone(zone).date() + timedelta(days=2)):
        length = on(day + timedelta(days=1), "00:00", zone) - on(day, "00:00", zone)
        if length != timedelta(days=1) and (length < timedelta(days=1)) is forward:
            return day
    raise AssertionError


def person_at(rig: Rig, phone: str, **behaviour: Any) -> str:
    rig.person(**{"phone": phone, **behaviour})
    return phone


async def dialled(rig: Rig, phone: str, calls: int) -> list[datetime]:
    """When the calls to a phone were placed, by the platform's clock, once there are so many."""

    async def placed() -> list[datetime] | None:
        lead = await rig.lead(phone)
        times = [call["dialled_at"] for call in lead["calls"] if call["dialled_at"]]
        return [datetime.fromisoformat(text) for text in times] if len(times) >= calls else None

    found = await rig.until(placed)
    assert len(found) == len(rig.calls_to(phone)) == calls
    return list(found)


async def waits_until(rig: Rig, phone: str, moment: datetime, *, calls: int) -> None:
    """A call is placed at `moment`, the `calls`-th to this phone, and none before."""
    await rig.skip_to(moment - JUST)
    assert len(rig.calls_to(phone)) == calls - 1
    await rig.skip_to(moment + timedelta(seconds=1))
    times = await dialled(rig, phone, calls)
    assert moment <= times[-1] <= moment + SOON


async def test_five_countries_are_each_called_when_their_own_morning_comes(rig: Rig) -> None:
    start = (rig.clock() + timedelta(days=1)).replace(hour=16, minute=0, second=0, microsecond=0)
    await rig.skip_to(start)  # in Tokyo it is one at night, in New York the morning is over
    phones = [person_at(rig, phone) for phone in PEOPLE.values()]
    await rig.campaign(phones, calling_window={"start": "09:00", "end": "09:30"})
    assert not any(rig.calls_to(phone) for phone in phones)

    mornings = {}
    for zone in PEOPLE:
        today = start.astimezone(ZoneInfo(zone)).date()
        days = (on(day, "09:00", ZoneInfo(zone)) for day in (today, today + timedelta(days=1)))
        mornings[zone] = min(moment for moment in days if moment > start)
    order = sorted(mornings, key=mornings.__getitem__)
    assert len(set(mornings.values())) == 5
    for place, zone in enumerate(order):
        await waits_until(rig, PEOPLE[zone], mornings[zone], calls=1)
        assert [len(rig.calls_to(PEOPLE[other])) for other in order] == [1] * (place + 1) + [0] * (4 - place)


@pytest.mark.parametrize("forward", [True, False])
async def test_nine_in_the_morning_is_nine_after_a_night_of_change(rig: Rig, forward: bool) -> None:
    sunday = next_night_of_change(rig, NEW_YORK, forward=forward)
    evening = on(sunday - timedelta(days=1), "21:30", NEW_YORK)
    await rig.skip_to(evening)
    person_at(rig, IN_NEW_YORK)
    await rig.campaign([IN_NEW_YORK], calling_window={"start": "09:00", "end": "21:00"})
    morning = on(sunday, "09:00", NEW_YORK)
    assert morning - evening == timedelta(hours=10.5 if forward else 12.5)
    await waits_until(rig, IN_NEW_YORK, morning, calls=1)


async def test_a_window_that_opens_in_the_skipped_hour_opens_when_the_clock_has_jumped(rig: Rig) -> None:
    sunday = next_night_of_change(rig, NEW_YORK, forward=True)
    await rig.skip_to(on(sunday, "00:30", NEW_YORK))
    person_at(rig, IN_NEW_YORK)
    await rig.campaign([IN_NEW_YORK], calling_window={"start": "02:30", "end": "04:00"})
    await waits_until(rig, IN_NEW_YORK, on(sunday, "03:00", NEW_YORK), calls=1)


async def test_an_hour_that_comes_twice_is_open_twice(rig: Rig) -> None:
    sunday = next_night_of_change(rig, NEW_YORK, forward=False)
    await rig.skip_to(on(sunday, "00:30", NEW_YORK))
    person_at(rig, IN_NEW_YORK, attempts=["busy"])
    await rig.campaign(
        [IN_NEW_YORK],
        calling_window={"start": "01:00", "end": "01:30"},
        retry={"max_retries": 1, "cooldown": 45 * 60, "jitter": 0},
    )
    first, second = on(sunday, "01:00", NEW_YORK), on(sunday, "01:00", NEW_YORK, fold=1)
    assert second - first == timedelta(hours=1)
    await waits_until(rig, IN_NEW_YORK, first, calls=1)
    await rig.lead_in(IN_NEW_YORK, "RETRY", "BACKLOG")
    await waits_until(rig, IN_NEW_YORK, second, calls=2)


async def test_a_cooldown_that_crosses_the_end_of_the_week_waits_for_the_first_day_that_is_no_holiday(rig: Rig) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    tomorrow = rig.clock().astimezone(tokyo).date() + timedelta(days=1)
    friday = next(day for day in days_from(tomorrow) if day.weekday() == 4)
    await rig.skip_to(on(friday, "20:30", tokyo))
    phone = person_at(rig, PEOPLE["Asia/Tokyo"], attempts=["busy"])
    await rig.campaign(
        [phone],
        calling_window={
            "start": "09:00",
            "end": "21:00",
            "days": ["mon", "tue", "wed", "thu", "fri"],
            "holidays": [str(friday + timedelta(days=3))],
        },
        retry={"max_retries": 1, "cooldown": "PT1H"},
    )
    (first,) = await dialled(rig, phone, 1)
    assert first.astimezone(tokyo).date() == friday
    await rig.lead_in(phone, "RETRY", "BACKLOG")
    tuesday = friday + timedelta(days=4)
    await waits_until(rig, phone, on(tuesday, "09:00", tokyo), calls=2)


async def promise(rig: Rig, phone: str, promised: ClockTime) -> None:
    """What the media server does in a conversation whose caller asks to be called again at that time."""
    await dialled(rig, phone, 1)
    lead = await rig.lead(phone)
    (call,) = lead["calls"]
    now = rig.database.now()
    async with rig.database.write() as tx:
        claimed = await conversations.claim_stream(
            tx, token_id="t", call_id=call["id"], call_sid=call["sid"], stream_sid="MZ1", now=now
        )
        report = ConversationReport(
            call_id=call["id"],
            began_at=now,
            ended_at=now,
            ending=Ending.REACHED_END,
            callback_at=promised_at(promised, now=now, clock=claimed.zone),
        )
        await conversations.save_report(tx, report, now=now)


@pytest.mark.parametrize(
    ("promised", "days", "clock"),
    [("17:00", 1, "17:00"), ("22:30", 2, "09:00")],
    ids=["tomorrow at five", "tomorrow at half past ten at night"],
)
async def test_a_promised_call_comes_when_the_leads_clock_says_so_and_never_at_night(
    rig: Rig, promised: str, days: int, clock: str
) -> None:
    today = (rig.clock() + timedelta(days=1)).astimezone(NEW_YORK).date()
    await rig.skip_to(on(today, "16:00", NEW_YORK))
    person_at(rig, IN_NEW_YORK, talk_s=2)
    await rig.campaign([IN_NEW_YORK], calling_window={"start": "09:00", "end": "21:00"}, retry={"cooldown": 60})
    await promise(rig, IN_NEW_YORK, ClockTime(time.fromisoformat(promised), days_ahead=1))
    await rig.lead_in(IN_NEW_YORK, "RETRY", "BACKLOG")
    await waits_until(rig, IN_NEW_YORK, on(today + timedelta(days=days), clock, NEW_YORK), calls=2)


async def test_a_promise_after_the_leads_time_is_over_is_not_kept(rig: Rig) -> None:
    today = (rig.clock() + timedelta(days=1)).astimezone(NEW_YORK).date()
    await rig.skip_to(on(today, "16:00", NEW_YORK))
    person_at(rig, IN_NEW_YORK, talk_s=2)
    lead = {"phone": IN_NEW_YORK, "expires_at": on(today, "23:00", NEW_YORK).isoformat()}
    await rig.campaign([lead])  # type: ignore[list-item]
    await promise(rig, IN_NEW_YORK, ClockTime(time(17), days_ahead=1))
    await rig.lead_in(IN_NEW_YORK, "RETRY", "BACKLOG")
    await rig.skip_to(on(today + timedelta(days=1), "17:01", NEW_YORK))
    finished = await rig.lead_in(IN_NEW_YORK, "FINISHED")
    assert (finished["outcome"], len(rig.calls_to(IN_NEW_YORK))) == ("EXPIRED", 1)
