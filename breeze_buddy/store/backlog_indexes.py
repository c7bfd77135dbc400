"""Leads of the backlog by what they wait for, in the very words of the partial indexes: SQLite uses those for nothing
else."""

from sqlalchemy import text

READY = text("leads.status = 'BACKLOG' AND leads.ready")
WAITING = text("leads.status = 'BACKLOG' AND NOT leads.ready")
EXPIRING = text("leads.expires_at IS NOT NULL AND leads.status IN ('BACKLOG', 'RETRY')")
