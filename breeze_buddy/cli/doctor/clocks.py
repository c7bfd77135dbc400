"""Whether another clock agrees with ours."""

from breeze_buddy.cli.doctor.finding import Area, Finding

MOST_S = 5.0
"""Twilio tells its time in whole seconds, and late by the way of its answer; more than this is a wrong clock."""


def compare(area: Area, whose: str, ahead_s: float) -> Finding:
    """`ahead_s`: their clock before ours."""
    if abs(ahead_s) <= MOST_S:
        return area.ok("clock", f"agrees with {whose} clock within {MOST_S:g} s")
    how = "behind" if ahead_s > 0 else "ahead of"
    return area.failed(
        "clock",
        f"this machine is {abs(ahead_s):.0f} s {how} {whose} clock",
        "set the clocks of all machines by NTP: calls are found and windows are opened by them",
    )
