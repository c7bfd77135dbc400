"""Leads of the backlog by what they wait for, in the very words of the partial indexes: SQLite uses those for nothing
else."""

from sqlalchemy import text

READY = text("leads.status = 'BACKLOG' AND leads.ready")
WAITING = text("leads.status = 'BACKLOG' AND NOT leads.ready")
EXPIRING = text("leads.expires_at IS NOT NULL AND leads.status IN ('BACKLOG', 'RETRY')")
# The same as READY in other words, for rows that are looked up by id: PostgreSQL, when it thinks that few leads are
# ready, would rather read all of them in the index.
STILL_READY = text("leads.status || '' = 'BACKLOG' AND leads.ready")
