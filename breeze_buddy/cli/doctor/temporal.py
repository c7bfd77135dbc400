"""Temporal: reachable, with a namespace that keeps history for long enough, search attributes, and workers."""

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from breeze_buddy.cli.doctor.finding import Area, Finding
from breeze_buddy.cli.temporal_setup import ATTRIBUTES
from breeze_buddy.settings import Settings

AREA = Area("temporal")
_LIMIT_S = 20.0
_CONNECT_S = 8.0
# A worker asks for work at least once a minute.
_SILENT = timedelta(minutes=2)
_MIGRATE = "run `breeze migrate`"


async def look(settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(_CONNECT_S):
            client = await Client.connect(settings.temporal_address, namespace=settings.temporal_namespace)
    except (RuntimeError, TimeoutError) as error:
        why = str(error).partition("\n")[0] or f"no answer within {_CONNECT_S:g} s"
        advice = "start Temporal, or set TEMPORAL_ADDRESS to where it is"
        return [AREA.failed("reachable", f"{settings.temporal_address}: {why}", advice)]
    findings = [AREA.ok("reachable", settings.temporal_address)]
    try:
        async with asyncio.timeout(_LIMIT_S):
            namespace = await _namespace(client, settings.temporal_retention_days)
            findings += namespace
            if len(namespace) > 1:  # it exists
                findings += await _attributes(client)
                findings += [await _workers(client, settings.temporal_task_queue)]
    except (RPCError, TimeoutError) as error:
        why = error.message if isinstance(error, RPCError) else f"no answer within {_LIMIT_S:g} s"
        findings.append(AREA.failed("answers", why, "look at Temporal's own log"))
    return findings


async def _namespace(client: Client, wanted_days: int) -> list[Finding]:
    try:
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        advice = f"{_MIGRATE}, which registers it, or set TEMPORAL_NAMESPACE to the one that is meant"
        return [AREA.failed("namespace", f"there is no namespace {client.namespace!r}", advice)]
    kept = described.config.workflow_execution_retention_ttl.ToTimedelta()
    found = f"call history is kept for {kept / timedelta(days=1):g} days"
    if kept >= timedelta(days=wanted_days):
        retention = AREA.ok("retention", found)
    else:
        advice = f"{_MIGRATE}, which sets it to TEMPORAL_RETENTION_DAYS"
        retention = AREA.failed("retention", f"{found} instead of {wanted_days}", advice)
    return [AREA.ok("namespace", client.namespace), retention]


async def _attributes(client: Client) -> list[Finding]:
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        if error.status not in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            raise
        # A hosted Temporal does not list them for everybody; a query that names them tells as much.
        return [await _queried(client)]
    known = listed.custom_attributes
    if missing := [name for name in ATTRIBUTES if name not in known]:
        return [AREA.failed("search attributes", f"missing: {', '.join(missing)}", f"{_MIGRATE}, which adds them")]
    if wrong := [name for name, kind in ATTRIBUTES.items() if known[name] != kind]:
        advice = "use a namespace of its own (TEMPORAL_NAMESPACE), or remove them and run `breeze migrate`"
        return [AREA.failed("search attributes", f"of another type than ours: {', '.join(wrong)}", advice)]
    return [AREA.ok("search attributes", ", ".join(ATTRIBUTES))]


async def _queried(client: Client) -> Finding:
    try:
        await client.count_workflows(" OR ".join(f"{name} IS NOT NULL" for name in ATTRIBUTES))
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        return AREA.failed("search attributes", error.message, f"add {', '.join(ATTRIBUTES)} to the namespace")
    return AREA.ok("search attributes", ", ".join(ATTRIBUTES))


async def _workers(client: Client, queue: str) -> Finding:
    silent: list[str] = []
    seen: set[str] = set()
    for name, kind in (
        ("workflows", TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        ("activities", TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    ):
        described = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind)
        )
        since = datetime.now(UTC) - _SILENT
        live = {one.identity for one in described.pollers if one.last_access_time.ToDatetime(UTC) >= since}
        seen |= live
        if not live:
            silent.append(name)
    if silent:
        advice = "start `breeze worker`; its TEMPORAL_TASK_QUEUE and TEMPORAL_NAMESPACE must be these"
        return AREA.failed("workers", f"nobody takes {' and '.join(silent)} from queue {queue!r}", advice)
    return AREA.ok("workers", f"{len(seen)} on queue {queue!r}")
