"""Campaigns by Temporal's own command: started, paused, found and cancelled without our API."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError

from .stack import Stack, template

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def temporal(stack: Stack, *arguments: str) -> str:
    """Run the `temporal` command against the stack; returns what it printed."""
    binary = Path(sys.executable).parent / "temporal"
    process = await asyncio.create_subprocess_exec(
        str(binary),
        *arguments,
        "--address",
        stack.temporal_address,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def definition(stack: Stack, phones: list[str], **changes: Any) -> dict[str, Any]:
    name = f"by-command-{uuid4().hex[:8]}"
    return {
        "name": name,
        "template": template(name, **changes),
        "numbers": [await stack.number()],
        "leads": [{"phone": phone, "variables": {"name": "Ada", "item": "a lamp"}} for phone in phones],
    }


async def start(stack: Stack, given: Any) -> str:
    workflow_id = f"by-command-{uuid4().hex[:8]}"
    await temporal(
        stack,
        *("workflow", "start", "--type", "CampaignWorkflow", "--task-queue", "breeze-buddy"),
        *("--workflow-id", workflow_id, "--input", json.dumps(given)),
    )
    return workflow_id


async def test_a_campaign_given_inline_runs_to_its_end(stack: Stack) -> None:
    phone = await stack.person(script=["Yes, that is correct."])
    workflow_id = await start(stack, await definition(stack, [phone]))
    result = await asyncio.wait_for(stack.temporal.get_workflow_handle(workflow_id).result(), 60)
    assert result["status"] == "COMPLETED"
    assert result["outcomes"] == {"COMPLETED": 1}
    assert len(await stack.witness(phone)) == 1


async def test_pause_list_query_resume_and_cancel(stack: Stack) -> None:
    phones = [await stack.person(behaviour="no_answer", ring_s=0.2) for _ in range(2)]
    given = await definition(stack, phones, retry={"max_retries": 3, "cooldown": 600}, ring_timeout_s=5)
    workflow_id = await start(stack, given)

    async def listed(query: str) -> list[dict[str, Any]]:
        found = json.loads(await temporal(stack, "workflow", "list", "--query", query, "--output", "json"))
        assert isinstance(found, list)
        return found

    mine = f"LeadStatus='RETRY' AND TemplateName='{given['name']}'"

    async def both_sleep() -> bool:
        return len(await listed(mine)) == 2

    await stack.until(both_sleep, 30)
    campaign_id = (await stack.temporal.get_workflow_handle(workflow_id).query("progress"))["campaign_id"]

    await temporal(stack, "workflow", "signal", "--workflow-id", workflow_id, "--name", "pause")

    async def status() -> str:
        return str((await stack.get(f"/campaigns/{campaign_id}"))["status"])

    async def paused() -> bool:
        return await status() == "PAUSED"

    await stack.until(paused, 20)
    await temporal(stack, "workflow", "signal", "--workflow-id", workflow_id, "--name", "resume")

    async def running() -> bool:
        return await status() == "RUNNING"

    await stack.until(running, 20)
    await temporal(stack, "workflow", "signal", "--workflow-id", workflow_id, "--name", "cancel")
    result = await asyncio.wait_for(stack.temporal.get_workflow_handle(workflow_id).result(), 60)
    assert result["status"] == "CANCELLED"
    assert result["outcomes"] == {"CANCELLED": 2}
    assert [len(await stack.witness(phone)) for phone in phones] == [1, 1]


async def test_a_malformed_definition_fails_with_a_sentence(stack: Stack) -> None:
    workflow_id = await start(stack, {"name": "nothing else"})
    with pytest.raises(WorkflowFailureError) as failed:
        await stack.temporal.get_workflow_handle(workflow_id).result()
    assert str(failed.value.cause) == "InvalidDefinition: give exactly one of template_id, template_name and template"


async def test_the_history_of_a_lead_reads_as_a_call_history(stack: Stack) -> None:
    phone = await stack.person(attempts=["busy"], script=["Yes, that is correct."])
    leads = await stack.finished(await stack.campaign([phone]))
    lead = leads[phone]
    handle = stack.temporal.get_workflow_handle(f"lead-{lead['id']}")
    described = await handle.describe()
    summary = await described.static_summary()
    assert summary is not None
    assert phone not in summary
    assert phone[-4:] in summary
    assert described.typed_search_attributes is not None
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert attributes["LeadStatus"] == "FINISHED"
    assert attributes["CallOutcome"] == "COMPLETED"
    assert attributes["Attempts"] == 2
    assert attributes["CampaignId"] == lead["campaign_id"]
    history = await handle.fetch_history()
    told = history.to_json()
    assert phone not in told, "a whole phone number is in Temporal"
    summaries = [
        json.loads(event.user_metadata.summary.data) for event in history.events if event.user_metadata.summary.data
    ]
    assert [text for text in summaries if text.startswith("attempt ")] == [
        f"attempt {n} to +14…{phone[-4:]}" for n in (1, 2)
    ]
    assert "cooldown before attempt 2" in summaries
