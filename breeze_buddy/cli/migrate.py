"""`breeze migrate`: the database and Temporal, brought to what this version needs."""

import logging

from breeze_buddy.settings import Settings

log = logging.getLogger(__name__)


async def migrate_all(settings: Settings, *, temporal_wait_s: float | None) -> None:
    """Migrate the database, then set up Temporal unless `temporal_wait_s` is None. Raises SetupFailed."""
    from breeze_buddy.store.migrate import upgrade

    revision = await upgrade(settings.database_url)
    log.info("the database is at revision %s", revision)
    if temporal_wait_s is None:
        return
    from breeze_buddy.cli.temporal_setup import connect, prepare

    client = await connect(settings.temporal_address, settings.temporal_namespace, wait_s=temporal_wait_s)
    await prepare(client, retention_days=settings.temporal_retention_days)
    log.info("Temporal at %s is ready, namespace %s", settings.temporal_address, settings.temporal_namespace)
