"""Histories of earlier versions go on under this one: a change of workflow code that breaks running leads fails here.

`make histories` writes them anew, for a change that is meant to break them.
"""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from breeze_buddy.activities.payloads import data_converter
from breeze_buddy.cli.worker import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_saved_history_replays(file: Path) -> None:
    history = WorkflowHistory.from_json(file.stem, file.read_text())
    replayer = Replayer(workflows=WORKFLOWS, data_converter=data_converter)
    await replayer.replay_workflow(history)


async def test_a_changed_history_does_not_replay() -> None:
    file = next(file for file in HISTORIES if file.stem == "lead_retry")
    told = json.loads(file.read_text())
    scheduled = next(event for event in told["events"] if "activityTaskScheduledEventAttributes" in event)
    scheduled["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "something_else"
    replayer = Replayer(workflows=WORKFLOWS, data_converter=data_converter)
    with pytest.raises(Exception, match=r"(?i)nondeterminism|something_else"):
        await replayer.replay_workflow(WorkflowHistory.from_json("changed", json.dumps(told)))


def test_there_are_histories_of_leads_and_campaigns() -> None:
    names = {file.stem for file in HISTORIES}
    assert {"lead_retry", "lead_lost_callback", "lead_lost_request", "lead_cancelled_in_cooldown"} <= names
    assert {"lead_retry_dialled_at_once", "lead_lost_request_dialled_at_once"} <= names
    assert {"lead_kept_and_reported", "lead_reported_twice"} <= names
    assert {"campaign_completed", "campaign_started_by_the_clock"} <= names
    assert {"transfer_talked", "transfer_came_back", "transfer_lost_callback"} <= names
