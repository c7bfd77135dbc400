"""Brings a Temporal server to what the platform needs: a namespace, how long it keeps history, search attributes.

Works with any server, and changes only what is missing or different, so it can be run again at any time.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from breeze_buddy.cli.errors import SetupFailed
from breeze_buddy.domain.messages import INTEGER_ATTRIBUTES, KEYWORD_ATTRIBUTES

log = logging.getLogger(__name__)

_TRY_EVERY_S = 0.25
_SETTLE_S = 30.0

ATTRIBUTES: Mapping[str, "IndexedValueType.ValueType"] = {
    **dict.fromkeys(KEYWORD_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    **dict.fromkeys(INTEGER_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_INT),
}


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What was changed; nothing, when all was as it should be."""

    namespace_registered: bool
    retention_changed: bool
    attributes_added: tuple[str, ...]


async def connect(address: str, namespace: str, *, wait_s: float) -> Client:
    """A client of a server that serves. Raises SetupFailed when none does within `wait_s`."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        try:
            client = await Client.connect(address, namespace=namespace)
            if await client.service_client.check_health():
                return client
            reason = "it does not serve yet"
        except (RuntimeError, RPCError) as error:
            reason = str(error)
        if asyncio.get_running_loop().time() > deadline:
            raise SetupFailed(
                f"Temporal at {address} did not answer within {wait_s:g} s ({reason}).\n"
                "Start it (`breeze temporal` for a development server) or set TEMPORAL_ADDRESS."
            )
        await asyncio.sleep(_TRY_EVERY_S)


async def prepare(client: Client, *, retention_days: int) -> SetupReport:
    """Make the client's namespace ready. Raises SetupFailed, with what to do, when the server refuses."""
    try:
        registered = await _register_namespace(client, retention_days)
        changed = False if registered else await _keep_history(client, retention_days)
        added = await _add_attributes(client)
    except RPCError as error:
        raise SetupFailed(
            f"Temporal refused to set up the namespace {client.namespace!r}: {error.message}\n"
            f"Create it by hand, keeping history for {retention_days} days, with the search attributes "
            + ", ".join(f"{name} ({_type_name(kind)})" for name, kind in ATTRIBUTES.items())
            + "."
        ) from error
    return SetupReport(namespace_registered=registered, retention_changed=changed, attributes_added=added)


async def _register_namespace(client: Client, retention_days: int) -> bool:
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    else:
        return False
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=client.namespace,
            workflow_execution_retention_period=_days(retention_days),
        )
    )
    # Servers learn of a new namespace by looking every few seconds.
    await _until_known(client)
    log.info("registered namespace %s, keeping history for %d days", client.namespace, retention_days)
    return True


async def _until_known(client: Client) -> None:
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while True:
        try:
            await client.count_workflows()
        except RPCError as error:
            waited_enough = asyncio.get_running_loop().time() > deadline
            if error.status is not RPCStatusCode.NOT_FOUND or waited_enough:
                raise
        else:
            return
        await asyncio.sleep(_TRY_EVERY_S)


async def _keep_history(client: Client, retention_days: int) -> bool:
    service = client.workflow_service
    described = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    current = described.config.workflow_execution_retention_ttl.ToTimedelta()
    wanted = timedelta(days=retention_days)
    if current == wanted:
        return False
    await service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=_days(retention_days)),
        )
    )
    log.info("namespace %s now keeps history for %s instead of %s", client.namespace, wanted, current)
    return True


async def _add_attributes(client: Client) -> tuple[str, ...]:
    known = (
        await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    ).custom_attributes
    missing = {name: kind for name, kind in ATTRIBUTES.items() if name not in known}
    wrong = [name for name, kind in ATTRIBUTES.items() if name in known and known[name] != kind]
    if wrong:
        raise SetupFailed(
            f"Namespace {client.namespace!r} has search attributes of another type than the platform's: "
            + ", ".join(f"{name} must be {_type_name(ATTRIBUTES[name])}" for name in wrong)
            + ".\nUse a namespace of its own (TEMPORAL_NAMESPACE), or remove them with "
            "`temporal operator search-attribute remove`."
        )
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
        await _until_searchable(client)
        log.info("added search attributes %s to namespace %s", ", ".join(missing), client.namespace)
    return tuple(missing)


async def _until_searchable(client: Client) -> None:
    """A new attribute is refused in workflows until the server's caches know it; wait for them."""
    query = " OR ".join(f"{name} IS NOT NULL" for name in ATTRIBUTES)
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while True:
        try:
            await client.count_workflows(query)
        except RPCError as error:
            waited_enough = asyncio.get_running_loop().time() > deadline
            if error.status is not RPCStatusCode.INVALID_ARGUMENT or waited_enough:
                raise
        else:
            return
        await asyncio.sleep(_TRY_EVERY_S)


def _days(days: int) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(days=days))
    return duration


def _type_name(kind: "IndexedValueType.ValueType") -> str:
    return IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").capitalize()
