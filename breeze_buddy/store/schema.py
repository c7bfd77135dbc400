"""The tables. Portable between SQLite and PostgreSQL; the migrations create exactly these."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in and out, kept in UTC (SQLite has no time zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the store are aware: this one has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> Column[str]:
    return Column("id", String(36), primary_key=True)


def _to(table: str, *, nullable: bool = False, index: bool = False) -> Column[str]:
    name = f"{table.removesuffix('s')}_id"
    return Column(name, String(36), ForeignKey(f"{table}.id"), nullable=nullable, index=index)


def _time(name: str, *, nullable: bool = True) -> Column[datetime]:
    return Column(name, UtcDateTime, nullable=nullable)


templates = Table(
    "templates",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("definition", JSON, nullable=False),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
)

numbers = Table(
    "numbers",
    metadata,
    _id(),
    Column("phone", String(20), nullable=False, unique=True),
    Column("provider", String(20), nullable=False),
    Column("channels", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # How many calls it may make in a day (UTC); none: as many as its channels carry.
    Column("daily_cap", Integer),
    # How calls to it are answered; none: they are refused.
    Column("inbound", JSON(none_as_null=True)),
    _time("created_at", nullable=False),
)

# How many calls a number was granted in a day (UTC).
number_days = Table(
    "number_days",
    metadata,
    Column("number_id", String(36), ForeignKey("numbers.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("calls", Integer, nullable=False),
)

# The account's one row: when it may place its next call, whether a due lead waits for a rate, and the virtual
# time of weighted fair sharing (see campaigns.finish_tag).
pacing_clocks = Table(
    "pacing_clocks",
    metadata,
    Column("key", String(64), primary_key=True),
    _time("next_dial_at"),
    Column("held", Boolean, nullable=False),
    Column("virtual_time", Float, nullable=False),
)

# Who must not be called, whichever campaign asks.
do_not_call = Table(
    "do_not_call",
    metadata,
    Column("phone", String(20), primary_key=True),
    # api, import or conversation
    Column("source", String(20), nullable=False),
    Column("reason", Text),
    # The call in which it was asked for.
    Column("call_id", String(36)),
    _time("created_at", nullable=False),
)

# Callers whose calls to us are refused.
blocked_callers = Table(
    "blocked_callers",
    metadata,
    Column("phone", String(20), primary_key=True),
    Column("reason", Text),
    _time("created_at", nullable=False),
)

campaigns = Table(
    "campaigns",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    _to("templates"),
    Column("status", String(20), nullable=False),
    Column("status_reason", Text),
    Column("standing", Boolean, nullable=False),
    Column("max_concurrent_calls", Integer),
    Column("calls_per_second", Float),
    Column("weight", Float, nullable=False),
    Column("priority", Integer, nullable=False),
    # Pods that serve it before those of the general pool.
    Column("pool", String(100)),
    _time("next_dial_at"),
    # Calls granted so far over its weight: what start-time fair queueing orders by.
    Column("finish_tag", Float, nullable=False, server_default=text("0")),
    # It starts by itself at this time, or again and again by a Temporal Schedule.
    _time("start_at"),
    Column("recurrence", JSON(none_as_null=True)),
    Column("cloned_from", String(36)),
    # When it is paused by itself: see CircuitBreaker. Failures before `resumed_at` are forgotten.
    Column("circuit_breaker", JSON(none_as_null=True)),
    _time("resumed_at"),
    Column("workflow_id", String(255), unique=True),
    Column("request_id", String(128), unique=True),
    Column("open_leads", Integer, nullable=False),
    Column("total_leads", Integer, nullable=False),
    _time("created_at", nullable=False),
    _time("started_at"),
    _time("ended_at"),
)
Index(
    "uq_campaigns_standing_template",
    campaigns.c.template_id,
    unique=True,
    sqlite_where=text("standing"),
    postgresql_where=text("standing"),
)
Index("ix_campaigns_created_at_id", campaigns.c.created_at, campaigns.c.id)

campaign_numbers = Table(
    "campaign_numbers",
    metadata,
    Column("campaign_id", String(36), ForeignKey("campaigns.id"), primary_key=True),
    Column("number_id", String(36), ForeignKey("numbers.id"), primary_key=True),
)

# The zones (see leads.zones) that a campaign has leads in.
campaign_zones = Table(
    "campaign_zones",
    metadata,
    Column("campaign_id", String(36), ForeignKey("campaigns.id"), primary_key=True),
    Column("zones", String(255), primary_key=True),
)

leads = Table(
    "leads",
    metadata,
    _id(),
    _to("campaigns"),
    Column("phone", String(20), nullable=False, index=True),
    Column("variables", JSON, nullable=False),
    Column("time_zone", String(64)),
    # Every zone its clock may show, joined by |: the one given, or those of its number; empty: the window's own.
    Column("zones", String(255), nullable=False, server_default=""),
    # As it was given, or 1000 above that until the attempt that is to be made before all others is over.
    Column("priority", Integer, nullable=False),
    Column("request_id", String(128)),
    Column("status", String(20), nullable=False),
    # In the backlog and due. One that is to wait longer is made ready when its time comes.
    Column("ready", Boolean, nullable=False, server_default=true()),
    Column("outcome", String(32)),
    Column("attempts", Integer, nullable=False),
    # How many lines were ever granted to it: above zero, a workflow has been started for it.
    Column("grants", Integer, nullable=False),
    # The attempt that holds its line now.
    Column("call_id", String(36)),
    _time("due_at", nullable=False),
    _time("not_before"),
    _time("expires_at"),
    _time("cancel_requested_at"),
    Column("cancel_hang_up", Boolean, nullable=False),
    _time("created_at", nullable=False),
    _time("finished_at"),
    UniqueConstraint("campaign_id", "request_id"),
)
# SQLite uses a partial index only where the query has the same words: see READY and WAITING in store/candidates.py.
_ready = text("status = 'BACKLOG' AND ready")
Index(
    "ix_leads_ready",
    leads.c.campaign_id,
    leads.c.zones,
    leads.c.priority.desc(),
    leads.c.attempts.desc(),
    leads.c.due_at,
    sqlite_where=_ready,
    postgresql_where=_ready,
)
_waiting = text("status = 'BACKLOG' AND NOT ready")
Index("ix_leads_waiting", leads.c.campaign_id, leads.c.due_at, sqlite_where=_waiting, postgresql_where=_waiting)
_expiring = text("expires_at IS NOT NULL AND status IN ('BACKLOG', 'RETRY')")
Index("ix_leads_expiring", leads.c.expires_at, sqlite_where=_expiring, postgresql_where=_expiring)
Index("ix_leads_campaign_id_phone", leads.c.campaign_id, leads.c.phone)
Index("ix_leads_campaign_id_status", leads.c.campaign_id, leads.c.status)
Index("ix_leads_created_at_id", leads.c.created_at, leads.c.id)
_cooling_down = text("status = 'RETRY'")
Index("ix_leads_retry_due_at", leads.c.due_at, sqlite_where=_cooling_down, postgresql_where=_cooling_down)
_cancelling = text("cancel_requested_at IS NOT NULL AND status <> 'FINISHED'")
Index("ix_leads_cancelling", leads.c.cancel_requested_at, sqlite_where=_cancelling, postgresql_where=_cancelling)

# Every change of a lead's status after its creation.
lead_history = Table(
    "lead_history",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    _to("leads", index=True),
    Column("status", String(20), nullable=False),
    Column("reason", Text),
    _time("at", nullable=False),
)

calls = Table(
    "calls",
    metadata,
    _id(),
    Column("direction", String(10), nullable=False),
    # An outbound call is an attempt at a lead; an inbound one has the template of its number.
    _to("leads", index=True, nullable=True),
    _to("campaigns", nullable=True),
    _to("templates", nullable=True),
    _to("numbers", index=True),
    Column("attempt", Integer, nullable=False),
    Column("from_phone", String(20), nullable=False),
    Column("to_phone", String(20), nullable=False),
    # Our own side of it
    Column("progress", String(20), nullable=False),
    Column("refusal", String(20)),
    Column("error_message", Text),
    _time("granted_at", nullable=False),
    _time("dial_at", nullable=False),
    _time("intended_at"),
    _time("dialled_at"),
    _time("settled_at"),
    # When the workflow of an inbound call took it up; until then the relay starts that workflow again.
    _time("followed_at"),
    Column("no_media", Boolean, nullable=False),
    Column("cancelled_by_us", Boolean, nullable=False),
    Column("streams", Integer, nullable=False),
    # Facts, from Twilio alone: see CallFacts
    Column("status", String(20)),
    Column("sequence", Integer, nullable=False),
    Column("sid", String(64), unique=True),
    _time("initiated_at"),
    _time("ringing_at"),
    _time("answered_at"),
    _time("ended_at"),
    Column("duration_s", Integer),
    Column("sip_code", Integer),
    Column("answered_by", String(20)),
    Column("error_code", Integer),
)
_unaccepted = text("progress = 'granted'")
Index("ix_calls_unaccepted", calls.c.granted_at, sqlite_where=_unaccepted, postgresql_where=_unaccepted)
_unsettled = text("settled_at IS NULL")
Index("ix_calls_unsettled", calls.c.granted_at, sqlite_where=_unsettled, postgresql_where=_unsettled)
_live = text("direction = 'outbound' AND progress IN ('granted', 'intended', 'dialled')")
# The last guard of "never two calls to one person at once".
Index("uq_calls_live_phone", calls.c.to_phone, unique=True, sqlite_where=_live, postgresql_where=_live)
_unfollowed = text("direction = 'inbound' AND followed_at IS NULL AND settled_at IS NULL")
Index("ix_calls_unfollowed", calls.c.granted_at, sqlite_where=_unfollowed, postgresql_where=_unfollowed)
# The call history, whole and of one person.
Index("ix_calls_granted_at_id", calls.c.granted_at, calls.c.id)
Index("ix_calls_campaign_id_settled_at", calls.c.campaign_id, calls.c.settled_at)
Index("ix_calls_from_phone_granted_at", calls.c.from_phone, calls.c.granted_at)
Index("ix_calls_to_phone_granted_at", calls.c.to_phone, calls.c.granted_at)

lines = Table(
    "lines",
    metadata,
    _id(),
    _to("numbers"),
    Column("channel", Integer, nullable=False),
    Column("call_id", String(36), ForeignKey("calls.id"), unique=True),
    Column("campaign_id", String(36), index=True),
    _time("leased_at"),
    UniqueConstraint("number_id", "channel"),
)

callbacks = Table(
    "callbacks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("dedupe_key", String(128), nullable=False, unique=True),
    Column("call_id", String(36), nullable=False, index=True),
    Column("workflow_id", String(255), nullable=False),
    Column("fields", JSON, nullable=False),
    _time("received_at", nullable=False),
    # The signal that this callback causes; none when it does not change the course of the call.
    Column("signal", String(40)),
    Column("payload", JSON),
    _time("delivered_at"),
)
_undelivered = text("delivered_at IS NULL")
Index("ix_callbacks_undelivered", callbacks.c.received_at, sqlite_where=_undelivered, postgresql_where=_undelivered)

recordings = Table(
    "recordings",
    metadata,
    Column("sid", String(64), primary_key=True),
    _to("calls", index=True),
    Column("status", String(20), nullable=False),
    Column("url", Text),
    Column("duration_s", Integer),
    Column("channels", Integer),
    _time("started_at"),
    Column("error_code", Integer),
    Column("stored_as", Text),
    Column("size_bytes", Integer),
    _time("stored_at"),
    # Deleted at Twilio once our copy was safe; our copy deleted when its days were over.
    _time("provider_deleted_at"),
    _time("deleted_at"),
)
Index("ix_recordings_stored_at", recordings.c.stored_at)

conversations = Table(
    "conversations",
    metadata,
    Column("call_id", String(36), ForeignKey("calls.id"), primary_key=True),
    Column("state", JSON),
    Column("report", JSON),
    _time("updated_at", nullable=False),
    _time("reported_at"),
)

# Stream tokens that were taken; each only once.
stream_claims = Table(
    "stream_claims",
    metadata,
    Column("token_id", String(64), primary_key=True),
    _to("calls", index=True),
    Column("stream_sid", String(64), nullable=False),
    _time("claimed_at", nullable=False),
)

# Media servers that take streams.
pods = Table(
    "pods",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("stream_url", Text, nullable=False),
    Column("pool", String(100)),
    Column("capacity", Integer, nullable=False),
    Column("draining", Boolean, nullable=False),
    _time("registered_at", nullable=False),
    _time("beat_at", nullable=False),
    # A stream of it failed: other pods are preferred until it beats again.
    _time("doubted_at"),
)

# Which pod a call was given to; one row a call, open while the stream lives.
pod_leases = Table(
    "pod_leases",
    metadata,
    Column("call_id", String(36), ForeignKey("calls.id"), primary_key=True),
    Column("pod", String(100), nullable=False),
    _time("leased_at", nullable=False),
    _time("released_at"),
)
_open_lease = text("released_at IS NULL")
Index("ix_pod_leases_open", pod_leases.c.pod, sqlite_where=_open_lease, postgresql_where=_open_lease)

# A call handed to a human, or the try.
transfers = Table(
    "transfers",
    metadata,
    _id(),
    _to("calls"),
    Column("order", String(20), nullable=False),
    Column("asked_by", String(20), nullable=False),
    Column("reason", Text),
    Column("status", String(20), nullable=False),
    # Unique for ever: a reused name would merge two calls.
    Column("conference_name", String(64), nullable=False, unique=True),
    Column("conference_sid", String(64)),
    _time("requested_at", nullable=False),
    _time("customer_moved_at"),
    _time("customer_joined_at"),
    _time("connected_at"),
    _time("ended_at"),
    Column("ending", String(30)),
)
_open_transfer = text("ended_at IS NULL")
Index(
    "uq_transfers_open_call",
    transfers.c.call_id,
    unique=True,
    sqlite_where=_open_transfer,
    postgresql_where=_open_transfer,
)
Index("ix_transfers_call_id", transfers.c.call_id)

# One dialled human of a transfer.
transfer_legs = Table(
    "transfer_legs",
    metadata,
    _id(),
    _to("transfers", index=True),
    Column("phone", String(20), nullable=False),
    Column("sid", String(64), unique=True),
    Column("status", String(20)),
    Column("sequence", Integer, nullable=False),
    Column("answered_by", String(20)),
    Column("error_message", Text),
    _time("intended_at", nullable=False),
    _time("answered_at"),
    _time("accepted_at"),
    _time("joined_at"),
    _time("ended_at"),
    Column("ending", String(30)),
)
# A human has one phone: one transfer rings it at a time.
Index(
    "uq_transfer_legs_live_phone",
    transfer_legs.c.phone,
    unique=True,
    sqlite_where=_open_transfer,
    postgresql_where=_open_transfer,
)

# A file of leads that was uploaded: read in pages, each page a transaction.
uploads = Table(
    "uploads",
    metadata,
    _id(),
    _to("campaigns", index=True),
    Column("status", String(20), nullable=False),
    Column("file_name", String(255)),
    Column("rows", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("error", Text),
    _time("created_at", nullable=False),
    _time("updated_at", nullable=False),
    _time("ended_at"),
)

# Rows of it that are no leads.
upload_refusals = Table(
    "upload_refusals",
    metadata,
    Column("upload_id", String(36), ForeignKey("uploads.id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("field", String(128), nullable=False),
    Column("reason", Text, nullable=False),
)
