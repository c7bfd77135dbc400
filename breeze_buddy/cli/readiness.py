"""How the supervisor knows that a process serves: it asks it."""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

Probe = Callable[[int], Awaitable[bool]]
"""Answers whether the process with this id serves; it is asked again until it does."""

_ASK_TIMEOUT_S = 5.0


def http_ok(url: str) -> Probe:
    """A probe: GET `url` (plain http) answers 2xx."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()

    async def probe(_pid: int) -> bool:
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(request)
                status_line = await reader.readline()
                writer.close()
        except (OSError, TimeoutError):
            return False
        return status_line.split()[1:2] != [] and status_line.split()[1].startswith(b"2")

    return probe


def tcp_accepts(host: str, port: int) -> Probe:
    """A probe: a connection to host and port is accepted."""

    async def probe(_pid: int) -> bool:
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return probe


def polls_temporal(address: str, namespace: str, task_queue: str) -> Probe:
    """A probe: Temporal knows the process as one that takes work from the queue.

    A worker's identity begins with its process id, unless it is given another one.
    """

    async def probe(pid: int) -> bool:
        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.taskqueue.v1 import TaskQueue
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
        from temporalio.client import Client
        from temporalio.service import RPCError

        try:
            client = await Client.connect(address, namespace=namespace)
            answer = await client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=namespace,
                    task_queue=TaskQueue(name=task_queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                )
            )
        except (RuntimeError, RPCError):
            return False
        return any(poller.identity.startswith(f"{pid}@") for poller in answer.pollers)

    return probe


async def is_running(_pid: int) -> bool:
    """A probe for processes that serve as soon as they run."""
    return True
