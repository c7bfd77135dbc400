"""docs/campaigns.md says what the rules do."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.flow import ScheduleCallback
from breeze_buddy.domain.outcome import Attempt, Outcome
from breeze_buddy.domain.retry import RETRIED, Finish, RetryPolicy, next_step
from breeze_buddy.domain.template import Template
from breeze_buddy.domain.window import CallingWindow

PAGE = (Path(__file__).parent.parent.parent / "docs/campaigns.md").read_text()
TEMPLATE = Template.model_validate(json.loads(PAGE.partition("```json\n")[2].partition("```")[0]))
NOON = datetime(2026, 7, 21, 12, 0, tzinfo=UTC)


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def first_column(name: str) -> set[str]:
    rows = re.findall(r"(?m)^\| (`.+?) \|", section(name))
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def test_the_tables_name_every_field() -> None:
    assert first_column("When a lead may be called") == set(CallingWindow.model_fields)
    assert set(RetryPolicy.model_fields) <= first_column("Retries")
    assert first_column("A promised call") == set(ScheduleCallback.model_fields) - {"action"}


def test_the_table_of_outcomes_names_those_that_are_called_again() -> None:
    assert first_column("Retries") - set(RetryPolicy.model_fields) == {str(outcome) for outcome in RETRIED}


def test_the_example_does_what_the_page_says_of_it() -> None:
    busy = Attempt(status=CallStatus.BUSY)
    made: list[Attempt] = []
    waits_min = []
    while True:
        made.append(busy)
        step = next_step(TEMPLATE.retry, made, now=NOON, seed="lead")
        if isinstance(step, Finish):
            break
        waits_min.append((step.at - NOON).total_seconds() / 60)
    assert (len(made), step.outcome) == (5, Outcome.BUSY)
    assert all(least <= wait <= least * 1.2 for least, wait in zip([5, 10, 20, 40], waits_min, strict=True))
