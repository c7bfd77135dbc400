"""The media server process: the server of `breeze_buddy.media` with the database and Temporal behind it."""

from breeze_buddy.activities.clients import connect, twilio_client
from breeze_buddy.activities.signals import Signals
from breeze_buddy.media import server
from breeze_buddy.media.registration import Registration, pod_of
from breeze_buddy.media.stored_calls import StoredCalls
from breeze_buddy.settings import Settings
from breeze_buddy.store.database import Database
from breeze_buddy.store.migrate import check_current


async def serve(settings: Settings) -> None:
    """Serve streams until SIGTERM or SIGINT. Raises SchemaOutdated when migrations are missing."""
    database = Database(settings.database_url)
    twilio = twilio_client(settings)
    try:
        await check_current(database)
        signals = Signals(await connect(settings), settings.temporal_task_queue)
        pod = pod_of(settings)
        directory = StoredCalls(database, signals, settings.stream_secret, twilio, pod=pod.name)
        await server.serve(settings, directory, registration=Registration(database, pod))
    finally:
        await twilio.aclose()
        await database.close()
