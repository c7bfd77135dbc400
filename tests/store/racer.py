"""One of several dispatchers on one database: grants lines and takes the calls to their end until no lead is open.

    python -m tests.store.racer DATABASE_URL TASKS

Prints one JSON list of the grants that it made: [[lead id, call id], …].
"""

import asyncio
import json
import sys

from breeze_buddy.domain.call import CallStatus
from breeze_buddy.domain.lead import LeadStatus
from breeze_buddy.store import leads
from breeze_buddy.store.acceptance import Accepted
from breeze_buddy.store.database import Database
from tests.store.stage import Stage


async def race(stage: Stage) -> list[tuple[str, str]]:
    """Grant and finish beside others; nobody of them knows of the others."""
    made: list[tuple[str, str]] = []
    while True:
        granted = await stage.grant(limit=3)
        made += [(grant.lead_id, grant.call_id) for grant in granted]
        for grant in granted:
            assert isinstance(await stage.accept(grant.call_id), Accepted)
            await stage.record_dialled(grant.call_id, f"CA{grant.call_id}")
            await stage.end(grant.call_id, CallStatus.COMPLETED)
            await stage.finish(grant.call_id)
        if not granted:
            async with stage.database.read() as tx:
                if not await leads.listed(tx, status=LeadStatus.BACKLOG, limit=1):
                    return made
            # All lines are in the hands of others.
            await asyncio.sleep(0.002)


async def _main(url: str, tasks: int) -> None:
    database = Database(url)
    try:
        found = await asyncio.gather(*(race(Stage(database)) for _ in range(tasks)))
    finally:
        await database.close()
    print(json.dumps([grant for grants in found for grant in grants]))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
