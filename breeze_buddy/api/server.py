"""The API process."""

import gc
import ipaddress
import logging

import uvicorn

from breeze_buddy.activities.clients import connect
from breeze_buddy.api.app import SHUTDOWN_GRACE, create_app
from breeze_buddy.settings import Settings
from breeze_buddy.store.database import Database
from breeze_buddy.store.migrate import check_current

logger = logging.getLogger(__name__)


class UnsafeListening(ValueError):
    """An API that would let anybody place calls."""


def check_listening(settings: Settings) -> None:
    """Raise UnsafeListening unless an API key protects an address beyond loopback."""
    try:
        loopback = ipaddress.ip_address(settings.api_host).is_loopback
    except ValueError:
        loopback = settings.api_host == "localhost"
    if not loopback and settings.api_key is None:
        raise UnsafeListening(f"API_HOST {settings.api_host} is reachable from elsewhere: set API_KEY first")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises UnsafeListening, SchemaOutdated."""
    check_listening(settings)
    database = Database(settings.database_url)
    try:
        await check_current(database)
        app = create_app(settings, database, await connect(settings))
        config = uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=int(SHUTDOWN_GRACE.total_seconds()),
            proxy_headers=False,
        )
        # What lives as long as the process is left out of collections: each would stall every request for a tenth
        # of a second.
        gc.collect()
        gc.freeze()
        logger.info("the API listens on %s:%d", settings.api_host, settings.api_port)
        await uvicorn.Server(config).serve()
    finally:
        await database.close()
