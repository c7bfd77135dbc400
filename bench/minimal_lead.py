"""The yardstick, the least that a durable call is: one activity, one signal with a time-out, one activity.

python -m bench.minimal_lead ADDRESS        a worker for it, unsandboxed like ours
"""

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

TASK_QUEUE = "minimal-lead"
_AT_MOST = timedelta(seconds=60)


@activity.defn
async def dial(phone: str) -> str:
    """Stands for the request that places the call."""
    return f"call to {phone}"


@activity.defn
async def finish(call: str) -> str:
    """Stands for the transaction that ends the attempt."""
    return f"{call} is over"


@workflow.defn
class MinimalLead:
    """Dialled, followed to its end, finished."""

    def __init__(self) -> None:
        self._over = False

    @workflow.run
    async def run(self, phone: str) -> str:
        call = await workflow.execute_activity(dial, phone, start_to_close_timeout=_AT_MOST)
        await workflow.wait_condition(lambda: self._over, timeout=timedelta(minutes=10))
        return await workflow.execute_activity(finish, call, start_to_close_timeout=_AT_MOST)

    @workflow.signal
    def over(self) -> None:
        self._over = True


async def one_lead(client: Client, phone: str, *, run: str, call_s: float) -> str:
    """Start one, end its call after a while, and wait for its result; its workflow's id."""
    workflow_id = f"minimal-{run}-{phone}"
    handle = await client.start_workflow(MinimalLead.run, phone, id=workflow_id, task_queue=TASK_QUEUE)
    await asyncio.sleep(call_s)
    await handle.signal(MinimalLead.over)
    await handle.result()
    return workflow_id


async def _serve(address: str) -> None:
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    await Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[MinimalLead],
        activities=[dial, finish],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=2000,
    ).run()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
