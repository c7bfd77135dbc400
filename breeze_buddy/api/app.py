"""The HTTP application: REST under its prefix, Twilio's callbacks beside it."""

from datetime import timedelta
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi_offline import FastAPIOffline
from temporalio.client import Client

from breeze_buddy.activities.clients import account_limits, answers
from breeze_buddy.activities.dispatch import Dispatcher
from breeze_buddy.activities.recording_store import RecordingStore
from breeze_buddy.activities.schedules import CampaignSchedules
from breeze_buddy.activities.signals import Signals
from breeze_buddy.api import (
    blocked_callers,
    calls,
    campaign_copies,
    campaign_schedules,
    campaigns,
    do_not_call,
    echo_callback,
    errors,
    health,
    inbound_callbacks,
    leads,
    numbers,
    pods,
    results,
    templates,
    transfer_callbacks,
    transfers,
    twilio_callbacks,
    uploads,
)
from breeze_buddy.api.bodies import BodyLimit
from breeze_buddy.api.context import Context, require_key
from breeze_buddy.api.router import OneServer, SmartRouter, StreamRouter
from breeze_buddy.settings import PREFIX, Settings
from breeze_buddy.store.database import Database
from breeze_buddy.telephony.signatures import SignatureCheck

_ABOUT = """Phone campaigns held by a voice agent over Twilio.

A template says what the agent says; a number brings lines; a campaign is a template, numbers and leads.
Leads go BACKLOG → PROCESSING → (RETRY → BACKLOG …) → FINISHED, each with one call at a time at the most.
"""


def create_app(settings: Settings, database: Database, temporal: Client) -> FastAPI:
    """The application over clients that the caller makes and closes."""
    signals = Signals(temporal, settings.temporal_task_queue)
    # The documentation page loads its scripts from us: it works on a machine without a network.
    app = FastAPIOffline(
        title="Breeze Buddy",
        version=version("breeze-buddy"),
        description=_ABOUT,
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
        static_url=f"{PREFIX}/docs-assets",
        swagger_ui_oauth2_redirect_url=f"{PREFIX}/docs/oauth2-redirect",
        openapi_url=f"{PREFIX}/openapi.json",
    )
    app.state.temporal = temporal
    app.state.context = Context(
        settings=settings,
        database=database,
        signals=signals,
        schedules=CampaignSchedules(temporal, settings.temporal_task_queue),
        dispatcher=Dispatcher(database, signals, account_limits(settings)),
        answers=answers(settings),
        router=_router(settings, database),
        recordings=RecordingStore(settings.recordings_url, settings.recordings_endpoint_url),
        signatures=SignatureCheck(settings.twilio_auth_token.get_secret_value(), settings.public_url),
    )
    # Routes are tried in this order, and Twilio is the one who waits.
    app.include_router(twilio_callbacks.router)
    app.include_router(inbound_callbacks.router)
    app.include_router(transfer_callbacks.router)
    app.include_router(echo_callback.router)
    rest = APIRouter(prefix=PREFIX, dependencies=[Depends(require_key)])
    rooms = (templates, numbers, campaigns, campaign_copies, campaign_schedules, uploads, leads, calls, transfers)
    for room in (*rooms, results, blocked_callers, do_not_call, pods):
        rest.include_router(room.router)
    app.include_router(rest)
    app.include_router(health.router, prefix=PREFIX)
    errors.install(app)
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.body_max_bytes,
        max_file_bytes=settings.upload_max_bytes,
        by_prefix={twilio_callbacks.PREFIX: twilio_callbacks.MAX_BYTES},
    )
    return app


def _router(settings: Settings, database: Database) -> StreamRouter:
    if settings.pod_isolation:
        return SmartRouter(database, limit_s=settings.router_timeout_s)
    return OneServer(database, settings.stream_url)


SHUTDOWN_GRACE = timedelta(seconds=10)
