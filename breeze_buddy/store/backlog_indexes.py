"""Leads of the backlog by what they wait for, and live calls, in the very words of the partial indexes: SQLite uses
those for nothing else. Words in a statement are also cheaper than values that are given to it each time."""

from collections.abc import Iterable

from sqlalchemy import text

from breeze_buddy.domain.call import TERMINAL, Direction, Progress

READY = text("leads.status = 'BACKLOG' AND leads.ready")
WAITING = text("leads.status = 'BACKLOG' AND NOT leads.ready")
EXPIRING = text("leads.expires_at IS NOT NULL AND leads.status IN ('BACKLOG', 'RETRY')")
# The same as READY in other words, for rows that are looked up by id: PostgreSQL, when it thinks that few leads are
# ready, would rather read all of them in the index.
STILL_READY = text("leads.status || '' = 'BACKLOG' AND leads.ready")


def _words(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_LIVE = f"calls.progress IN ({_words((Progress.GRANTED, Progress.INTENDED, Progress.DIALLED))})"

LIVE_OUTBOUND = text(f"calls.direction = '{Direction.OUTBOUND}' AND {_LIVE}")
LIVE_INBOUND = text(f"calls.direction = '{Direction.INBOUND}' AND {_LIVE}")
NOT_CREATED_BUT_ALIVE = text(
    f"calls.progress = '{Progress.NOT_CREATED}' AND calls.sid IS NOT NULL"
    f" AND calls.status NOT IN ({_words(sorted(TERMINAL))})"
)
