"""Dispatch at scale"""

import sqlalchemy as sa
from alembic import op

from breeze_buddy.store.schema import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEST_FIRST: list[str | sa.TextClause] = [sa.text("priority DESC"), sa.text("attempts DESC"), "due_at"]
INDEXES: list[tuple[str, list[str | sa.TextClause], sa.TextClause | None]] = [
    ("ix_leads_campaign_id_phone", ["campaign_id", "phone"], None),
    ("ix_leads_ready", ["campaign_id", "zones", *BEST_FIRST], sa.text("status = 'BACKLOG' AND ready")),
    ("ix_leads_waiting", ["campaign_id", "due_at"], sa.text("status = 'BACKLOG' AND NOT ready")),
    ("ix_leads_expiring", ["expires_at"], sa.text("expires_at IS NOT NULL AND status IN ('BACKLOG', 'RETRY')")),
]


def upgrade() -> None:
    op.create_table(
        "do_not_call",
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("call_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("phone", name=op.f("pk_do_not_call")),
    )
    op.create_table(
        "pacing_clocks",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("next_dial_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("virtual_time", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_pacing_clocks")),
    )
    op.create_table(
        "number_days",
        sa.Column("number_id", sa.String(length=36), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["number_id"], ["numbers.id"], name=op.f("fk_number_days_number_id")),
        sa.PrimaryKeyConstraint("number_id", "day", name=op.f("pk_number_days")),
    )
    op.create_table(
        "campaign_zones",
        sa.Column("campaign_id", sa.String(length=36), nullable=False),
        sa.Column("zones", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_zones_campaign_id")),
        sa.PrimaryKeyConstraint("campaign_id", "zones", name=op.f("pk_campaign_zones")),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("campaign_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("file_name", sa.String(length=255), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_uploads_campaign_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_uploads_campaign_id"), ["campaign_id"], unique=False)

    op.create_table(
        "upload_refusals",
        sa.Column("upload_id", sa.String(length=36), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("fk_upload_refusals_upload_id")),
        sa.PrimaryKeyConstraint("upload_id", "line", name=op.f("pk_upload_refusals")),
    )
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.create_index("ix_calls_campaign_id_settled_at", ["campaign_id", "settled_at"], unique=False)

    # Column by column: on SQLite a table made anew would be dropped from under the rows that refer to it.
    op.add_column("campaigns", sa.Column("finish_tag", sa.Float(), server_default=sa.text("0"), nullable=False))
    op.add_column("campaigns", sa.Column("start_at", UtcDateTime(timezone=True), nullable=True))
    op.add_column("campaigns", sa.Column("recurrence", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("campaigns", sa.Column("cloned_from", sa.String(length=36), nullable=True))
    op.add_column("campaigns", sa.Column("circuit_breaker", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("campaigns", sa.Column("resumed_at", UtcDateTime(timezone=True), nullable=True))

    op.add_column("leads", sa.Column("zones", sa.String(length=255), server_default="", nullable=False))
    op.add_column("leads", sa.Column("ready", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("leads", sa.Column("not_before", UtcDateTime(timezone=True), nullable=True))
    op.add_column("leads", sa.Column("expires_at", UtcDateTime(timezone=True), nullable=True))

    op.drop_index("ix_leads_backlog", table_name="leads")
    for name, columns, where in INDEXES:
        op.create_index(name, "leads", columns, sqlite_where=where, postgresql_where=where)

    # Leads from before have the zone of their template's window, or the one they brought.
    op.execute("UPDATE leads SET zones = time_zone WHERE time_zone IS NOT NULL")
    op.execute("INSERT INTO campaign_zones (campaign_id, zones) SELECT DISTINCT campaign_id, zones FROM leads")
    # Those that wait for a later time are made ready when it comes, and wake their campaign for it.
    op.execute("UPDATE leads SET ready = false WHERE status = 'BACKLOG'")

    op.add_column("numbers", sa.Column("daily_cap", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("numbers", "daily_cap")

    for name, _, _ in reversed(INDEXES):
        op.drop_index(name, table_name="leads")
    backlog = sa.text("status = 'BACKLOG'")
    op.create_index(
        "ix_leads_backlog",
        "leads",
        ["campaign_id", *BEST_FIRST],
        sqlite_where=backlog,
        postgresql_where=backlog,
    )
    op.drop_column("leads", "expires_at")
    op.drop_column("leads", "not_before")
    op.drop_column("leads", "ready")
    op.drop_column("leads", "zones")

    op.drop_column("campaigns", "resumed_at")
    op.drop_column("campaigns", "circuit_breaker")
    op.drop_column("campaigns", "cloned_from")
    op.drop_column("campaigns", "recurrence")
    op.drop_column("campaigns", "start_at")
    op.drop_column("campaigns", "finish_tag")

    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.drop_index("ix_calls_campaign_id_settled_at")

    op.drop_table("upload_refusals")
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_uploads_campaign_id"))

    op.drop_table("uploads")
    op.drop_table("campaign_zones")
    op.drop_table("number_days")
    op.drop_table("pacing_clocks")
    op.drop_table("do_not_call")
