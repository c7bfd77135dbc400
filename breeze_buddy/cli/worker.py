"""The worker process: workflows, their activities, and the relay."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from breeze_buddy.activities.analysis import AnalysisActivities
from breeze_buddy.activities.at_once import AtOnceLimit
from breeze_buddy.activities.backlog import BacklogActivities
from breeze_buddy.activities.calls import CallActivities
from breeze_buddy.activities.campaigns import CampaignActivities
from breeze_buddy.activities.clients import account_limits, answers, call_plan, connect, twilio_client
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.inbound import InboundActivities
from breeze_buddy.activities.notifications import NotificationActivities, WebhookPolicy
from breeze_buddy.activities.recording_store import RecordingStore
from breeze_buddy.activities.recordings import RecordingActivities
from breeze_buddy.activities.relay import Relay
from breeze_buddy.activities.schedules import CampaignSchedules
from breeze_buddy.activities.signals import Signals
from breeze_buddy.activities.sweep import SweepActivities
from breeze_buddy.activities.telephony import TelephonyActivities
from breeze_buddy.activities.transfers import TransferActivities
from breeze_buddy.activities.wrapping_up import WrapUpActivities
from breeze_buddy.cli.in_the_loop import InTheLoop
from breeze_buddy.domain.messages import RETENTION_SCHEDULE_ID, SWEEP_SCHEDULE_ID
from breeze_buddy.settings import Settings
from breeze_buddy.store.database import Database
from breeze_buddy.store.migrate import check_current
from breeze_buddy.telephony.client import Twilio
from breeze_buddy.workflows.campaign import CampaignWorkflow
from breeze_buddy.workflows.inbound import InboundCallWorkflow
from breeze_buddy.workflows.lead import LeadWorkflow
from breeze_buddy.workflows.retention import RetentionWorkflow, schedule_retention
from breeze_buddy.workflows.sweep import SweepWorkflow, schedule_sweep
from breeze_buddy.workflows.transfer import TransferWorkflow

logger = logging.getLogger(__name__)

WORKFLOWS = [CampaignWorkflow, LeadWorkflow, InboundCallWorkflow, RetentionWorkflow, SweepWorkflow, TransferWorkflow]


# A workflow whose worker died waits for it this long before another one takes it up: a caller may be on the phone
# meanwhile. A live worker that is slower only reads the workflow's history once more.
_STICKY_S = 3


class WorkerProcess:
    """One worker with the clients it uses.

    `sandboxed` checks workflows for determinism, at twice the cost; `interceptors` see every activity.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        client: Client,
        twilio: Twilio,
        *,
        sandboxed: bool = False,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        signals = Signals(client, settings.temporal_task_queue)
        limits = account_limits(settings)
        dispatcher = Dispatcher(database, signals, limits)
        telephony = TelephonyActivities(database, twilio, call_plan(settings), dispatcher, signals, limits)
        transfers = TransferActivities(database, twilio, answers(settings))
        calls = CallActivities(database, dispatcher, signals)
        inbound = InboundActivities(database, dispatcher, signals, call_plan(settings).waits)
        backlog = BacklogActivities(database, dispatcher, signals)
        campaigns = CampaignActivities(database, dispatcher, signals, default_number=settings.twilio_phone_number)
        files = RecordingStore(settings.recordings_url, settings.recordings_endpoint_url)
        recordings = RecordingActivities(database, twilio, files)
        policy = WebhookPolicy(settings.webhook_signing_secret, settings.webhook_allow_private)
        notifications = self._notifications = NotificationActivities(database, policy)
        wrap_up = WrapUpActivities(recordings, notifications)
        analyses = self._analyses = AnalysisActivities(database, settings)
        sweep = SweepActivities(database, signals, CampaignSchedules(client, settings.temporal_task_queue))
        self.relay = Relay(database, dispatcher, signals)
        self.worker = Worker(
            client,
            task_queue=settings.temporal_task_queue,
            workflows=WORKFLOWS,
            activities=[
                telephony.dial,
                telephony.reconcile,
                telephony.give_up_dial,
                telephony.check_call,
                telephony.hang_up,
                transfers.begin_transfer,
                transfers.move_customer,
                transfers.dial_human,
                transfers.check_leg,
                transfers.look_into_conference,
                transfers.ending_of_legs,
                transfers.hang_up_legs,
                transfers.note_connected,
                transfers.end_transfer,
                calls.finish_attempt,
                inbound.follow_inbound,
                inbound.end_inbound,
                inbound.settle_inbound,
                backlog.rejoin_backlog,
                backlog.withdraw_lead,
                campaigns.enrol_campaign,
                campaigns.begin_campaign,
                campaigns.prime_campaign,
                campaigns.read_progress,
                campaigns.set_campaign_status,
                campaigns.complete_campaign,
                campaigns.update_campaign_pacing,
                campaigns.cancel_campaign,
                recordings.store_recording,
                recordings.delete_expired_recordings,
                sweep.sweep,
                notifications.notify,
                wrap_up.keep_and_report,
                analyses.analyse_call,
            ],
            workflow_task_executor=InTheLoop(1),
            workflow_runner=SandboxedWorkflowRunner() if sandboxed else UnsandboxedWorkflowRunner(),
            interceptors=(AtOnceLimit(), *interceptors),
            max_cached_workflows=2000,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=_STICKY_S),
            graceful_shutdown_timeout=timedelta(seconds=10),
        )

    async def run(self) -> None:
        """Work until cancelled, or until the worker fails for good."""
        relay = asyncio.create_task(self.relay.run())
        try:
            await self.worker.run()
        finally:
            relay.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await relay
            await self._notifications.aclose()
            await self._analyses.aclose()


async def _schedule(client: Client, task_queue: str) -> None:
    """What runs daily and hourly. A worker without it does everything else, so calls are not held up."""
    for schedule, schedule_id, without in (
        (schedule_retention, RETENTION_SCHEDULE_ID, "old recordings stay"),
        (schedule_sweep, SWEEP_SCHEDULE_ID, "leads that lost their workflow wait"),
    ):
        try:
            await schedule(client, task_queue)
        except RPCError as error:
            logger.error("the schedule %s was not made, %s: %s", schedule_id, without, error.message)


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises SchemaOutdated when migrations are missing."""
    database = Database(settings.database_url)
    twilio = twilio_client(settings)
    try:
        await check_current(database)
        client = await connect(settings)
        process = WorkerProcess(settings, database, client, twilio)
        await _schedule(client, settings.temporal_task_queue)
        # What lives as long as the process is left out of collections.
        gc.collect()
        gc.freeze()
        task = asyncio.create_task(process.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        logger.info("the worker polls %s on %s", settings.temporal_task_queue, settings.temporal_address)
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        await twilio.aclose()
        await database.close()
