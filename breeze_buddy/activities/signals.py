"""How the rest of the platform reaches workflows: by signals, through one Temporal client."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from breeze_buddy.domain import messages
from breeze_buddy.domain.campaign import Campaign
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.store.grants import Granted

logger = logging.getLogger(__name__)

_RPC_TIMEOUT = timedelta(seconds=5)
# For all tries of the client together: Twilio, who waits for some of these, gives up after 15 seconds.
_LIMIT_S = 5.0
_SILENT = f"no answer within {_LIMIT_S:g} s"

CAMPAIGN_ID = SearchAttributeKey.for_keyword(messages.CAMPAIGN_ID)
LEAD_STATUS = SearchAttributeKey.for_keyword(messages.LEAD_STATUS)
CALL_OUTCOME = SearchAttributeKey.for_keyword(messages.CALL_OUTCOME)
TEMPLATE_NAME = SearchAttributeKey.for_keyword(messages.TEMPLATE_NAME)
ATTEMPTS = SearchAttributeKey.for_int(messages.ATTEMPTS)


class Unreachable(Exception):
    """Temporal did not take a signal. What it was about is in the database, and is sent again."""


class Signals:
    """Sends signals. Every method raises Unreachable when Temporal does not answer."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def grant(self, granted: Granted) -> None:
        """Give a lead its line: starts its workflow, or wakes the one that waits."""
        start = granted.start
        attributes = TypedSearchAttributes(
            [
                SearchAttributePair(CAMPAIGN_ID, start.campaign_id),
                SearchAttributePair(TEMPLATE_NAME, start.template_name),
                SearchAttributePair(LEAD_STATUS, LeadStatus.PROCESSING),
                SearchAttributePair(ATTEMPTS, granted.grant.attempt),
            ]
        )
        await self._start(
            messages.LEAD_WORKFLOW,
            start,
            workflow_id=messages.lead_workflow_id(start.lead_id),
            signal=(messages.GRANT, granted.grant),
            attributes=attributes,
            summary=f"{start.masked_phone} · {start.campaign_name}",
        )

    async def wake_campaign(self, campaign: Campaign, signal: str | None, payload: Any = None) -> None:
        """Start the workflow of a campaign unless it runs, and signal it if there is something to say."""
        if campaign.workflow_id is not None:
            await self.start_campaign(
                campaign.id,
                campaign.workflow_id,
                name=campaign.name,
                template_name=campaign.template_name,
                signal=signal,
                payload=payload,
            )

    async def start_campaign(
        self,
        campaign_id: str,
        workflow_id: str,
        *,
        name: str,
        template_name: str,
        signal: str | None = None,
        payload: Any = None,
    ) -> None:
        """Start the workflow of a campaign unless it runs; with `signal`, wake it either way."""
        await self._start(
            messages.CAMPAIGN_WORKFLOW,
            # Whoever starts a campaign now has written so to the database before.
            messages.CampaignStart(campaign_id=campaign_id, by_clock=True),
            workflow_id=workflow_id,
            signal=(signal, payload) if signal else None,
            attributes=TypedSearchAttributes(
                [SearchAttributePair(CAMPAIGN_ID, campaign_id), SearchAttributePair(TEMPLATE_NAME, template_name)]
            ),
            summary=name,
        )

    async def follow_inbound(self, start: messages.InboundStart) -> None:
        """Start the workflow of a call to us, unless it runs."""
        attributes = [SearchAttributePair(TEMPLATE_NAME, start.template_name)]
        if start.campaign_id is not None:
            attributes.append(SearchAttributePair(CAMPAIGN_ID, start.campaign_id))
        await self._start(
            messages.INBOUND_WORKFLOW,
            start,
            workflow_id=messages.inbound_workflow_id(start.call_sid),
            signal=None,
            attributes=TypedSearchAttributes(attributes),
            summary=f"from {start.masked_phone} · {start.template_name}",
        )

    async def is_running(self, workflow_id: str) -> bool:
        """Whether a workflow of that id is open."""
        try:
            described = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise Unreachable(f"Temporal does not say whether {workflow_id} runs: {error.message}") from error
        return described.status is WorkflowExecutionStatus.RUNNING

    async def to_lead(self, lead_id: str, signal: str, payload: Any) -> bool:
        """False when the lead has no running workflow."""
        return await self.to_workflow(messages.lead_workflow_id(lead_id), signal, payload)

    async def to_workflow(self, workflow_id: str, signal: str, payload: Any = None) -> bool:
        """False when no such workflow runs."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await handle.signal(signal, *([payload] if payload is not None else []))
        except TimeoutError as error:
            raise Unreachable(f"Temporal did not take signal {signal} for {workflow_id}: {_SILENT}") from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise Unreachable(f"Temporal did not take signal {signal} for {workflow_id}: {error.message}") from error
        return True

    async def _start(
        self,
        workflow: str,
        argument: Any,
        *,
        workflow_id: str,
        signal: tuple[str, Any] | None,
        attributes: TypedSearchAttributes,
        summary: str,
    ) -> None:
        name, payload = signal or (None, None)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._client.start_workflow(
                    workflow,
                    argument,
                    id=workflow_id,
                    task_queue=self._task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    start_signal=name,
                    start_signal_args=[payload] if payload is not None else [],
                    search_attributes=attributes,
                    static_summary=summary,
                )
        except TimeoutError as error:
            raise Unreachable(f"Temporal did not start {workflow_id}: {_SILENT}") from error
        except RPCError as error:
            raise Unreachable(f"Temporal did not start {workflow_id}: {error.message}") from error
