"""The first tables"""

import sqlalchemy as sa
from alembic import op

from breeze_buddy.store.schema import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blocked_callers",
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("phone", name=op.f("pk_blocked_callers")),
    )
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("dedupe_key", sa.String(length=128), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("signal", sa.String(length=40), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=True),
        sa.Column("delivered_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callbacks")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_callbacks_dedupe_key")),
    )
    with op.batch_alter_table("callbacks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_callbacks_call_id"), ["call_id"], unique=False)
        batch_op.create_index(
            "ix_callbacks_undelivered",
            ["received_at"],
            unique=False,
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )

    op.create_table(
        "numbers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("inbound", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_numbers")),
        sa.UniqueConstraint("phone", name=op.f("uq_numbers_phone")),
    )
    op.create_table(
        "pods",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("stream_url", sa.Text(), nullable=False),
        sa.Column("pool", sa.String(length=100), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("registered_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("beat_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("doubted_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pods")),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("name", name=op.f("uq_templates_name")),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("template_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("standing", sa.Boolean(), nullable=False),
        sa.Column("max_concurrent_calls", sa.Integer(), nullable=True),
        sa.Column("calls_per_second", sa.Float(), nullable=True),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("pool", sa.String(length=100), nullable=True),
        sa.Column("next_dial_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("open_leads", sa.Integer(), nullable=False),
        sa.Column("total_leads", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_campaigns_template_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("request_id", name=op.f("uq_campaigns_request_id")),
        sa.UniqueConstraint("workflow_id", name=op.f("uq_campaigns_workflow_id")),
    )
    with op.batch_alter_table("campaigns", schema=None) as batch_op:
        batch_op.create_index("ix_campaigns_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(
            "uq_campaigns_standing_template",
            ["template_id"],
            unique=True,
            sqlite_where=sa.text("standing"),
            postgresql_where=sa.text("standing"),
        )

    op.create_table(
        "campaign_numbers",
        sa.Column("campaign_id", sa.String(length=36), nullable=False),
        sa.Column("number_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_numbers_campaign_id")),
        sa.ForeignKeyConstraint(["number_id"], ["numbers.id"], name=op.f("fk_campaign_numbers_number_id")),
        sa.PrimaryKeyConstraint("campaign_id", "number_id", name=op.f("pk_campaign_numbers")),
    )
    op.create_table(
        "leads",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("campaign_id", sa.String(length=36), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("grants", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=True),
        sa.Column("due_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("cancel_requested_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("cancel_hang_up", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_leads_campaign_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leads")),
        sa.UniqueConstraint("campaign_id", "request_id", name=op.f("uq_leads_campaign_id_request_id")),
    )
    with op.batch_alter_table("leads", schema=None) as batch_op:
        batch_op.create_index(
            "ix_leads_backlog",
            ["campaign_id", sa.literal_column("priority DESC"), sa.literal_column("attempts DESC"), "due_at"],
            unique=False,
            sqlite_where=sa.text("status = 'BACKLOG'"),
            postgresql_where=sa.text("status = 'BACKLOG'"),
        )
        batch_op.create_index("ix_leads_campaign_id_status", ["campaign_id", "status"], unique=False)
        batch_op.create_index(
            "ix_leads_cancelling",
            ["cancel_requested_at"],
            unique=False,
            sqlite_where=sa.text("cancel_requested_at IS NOT NULL AND status <> 'FINISHED'"),
            postgresql_where=sa.text("cancel_requested_at IS NOT NULL AND status <> 'FINISHED'"),
        )
        batch_op.create_index("ix_leads_created_at_id", ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_leads_phone"), ["phone"], unique=False)
        batch_op.create_index(
            "ix_leads_retry_due_at",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("status = 'RETRY'"),
            postgresql_where=sa.text("status = 'RETRY'"),
        )

    op.create_table(
        "calls",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("direction", sa.String(length=10), nullable=False),
        sa.Column("lead_id", sa.String(length=36), nullable=True),
        sa.Column("campaign_id", sa.String(length=36), nullable=True),
        sa.Column("template_id", sa.String(length=36), nullable=True),
        sa.Column("number_id", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("from_phone", sa.String(length=20), nullable=False),
        sa.Column("to_phone", sa.String(length=20), nullable=False),
        sa.Column("progress", sa.String(length=20), nullable=False),
        sa.Column("refusal", sa.String(length=20), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("granted_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("dial_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("intended_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("dialled_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("settled_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("followed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("no_media", sa.Boolean(), nullable=False),
        sa.Column("cancelled_by_us", sa.Boolean(), nullable=False),
        sa.Column("streams", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=True),
        sa.Column("initiated_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ringing_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("answered_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("duration_s", sa.Integer(), nullable=True),
        sa.Column("sip_code", sa.Integer(), nullable=True),
        sa.Column("answered_by", sa.String(length=20), nullable=True),
        sa.Column("error_code", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_calls_campaign_id")),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_calls_lead_id")),
        sa.ForeignKeyConstraint(["number_id"], ["numbers.id"], name=op.f("fk_calls_number_id")),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name=op.f("fk_calls_template_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
        sa.UniqueConstraint("sid", name=op.f("uq_calls_sid")),
    )
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.create_index("ix_calls_from_phone_granted_at", ["from_phone", "granted_at"], unique=False)
        batch_op.create_index("ix_calls_granted_at_id", ["granted_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_calls_lead_id"), ["lead_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_calls_number_id"), ["number_id"], unique=False)
        batch_op.create_index("ix_calls_to_phone_granted_at", ["to_phone", "granted_at"], unique=False)
        batch_op.create_index(
            "ix_calls_unaccepted",
            ["granted_at"],
            unique=False,
            sqlite_where=sa.text("progress = 'granted'"),
            postgresql_where=sa.text("progress = 'granted'"),
        )
        batch_op.create_index(
            "ix_calls_unfollowed",
            ["granted_at"],
            unique=False,
            sqlite_where=sa.text("direction = 'inbound' AND followed_at IS NULL AND settled_at IS NULL"),
            postgresql_where=sa.text("direction = 'inbound' AND followed_at IS NULL AND settled_at IS NULL"),
        )
        batch_op.create_index(
            "ix_calls_unsettled",
            ["granted_at"],
            unique=False,
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        )
        batch_op.create_index(
            "uq_calls_live_phone",
            ["to_phone"],
            unique=True,
            sqlite_where=sa.text("direction = 'outbound' AND progress IN ('granted', 'intended', 'dialled')"),
            postgresql_where=sa.text("direction = 'outbound' AND progress IN ('granted', 'intended', 'dialled')"),
        )

    op.create_table(
        "lead_history",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_lead_history_lead_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_history")),
    )
    with op.batch_alter_table("lead_history", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lead_history_lead_id"), ["lead_id"], unique=False)

    op.create_table(
        "conversations",
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.JSON(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("reported_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_conversations_call_id")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_conversations")),
    )
    op.create_table(
        "lines",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("number_id", sa.String(length=36), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=True),
        sa.Column("campaign_id", sa.String(length=36), nullable=True),
        sa.Column("leased_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_lines_call_id")),
        sa.ForeignKeyConstraint(["number_id"], ["numbers.id"], name=op.f("fk_lines_number_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lines")),
        sa.UniqueConstraint("call_id", name=op.f("uq_lines_call_id")),
        sa.UniqueConstraint("number_id", "channel", name=op.f("uq_lines_number_id_channel")),
    )
    with op.batch_alter_table("lines", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lines_campaign_id"), ["campaign_id"], unique=False)

    op.create_table(
        "pod_leases",
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("pod", sa.String(length=100), nullable=False),
        sa.Column("leased_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("released_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_pod_leases_call_id")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_pod_leases")),
    )
    with op.batch_alter_table("pod_leases", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pod_leases_open",
            ["pod"],
            unique=False,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "recordings",
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("started_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Integer(), nullable=True),
        sa.Column("stored_as", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=True),
        sa.Column("stored_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("provider_deleted_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_recordings_call_id")),
        sa.PrimaryKeyConstraint("sid", name=op.f("pk_recordings")),
    )
    with op.batch_alter_table("recordings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recordings_call_id"), ["call_id"], unique=False)
        batch_op.create_index("ix_recordings_stored_at", ["stored_at"], unique=False)

    op.create_table(
        "stream_claims",
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("stream_sid", sa.String(length=64), nullable=False),
        sa.Column("claimed_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_stream_claims_call_id")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_stream_claims")),
    )
    with op.batch_alter_table("stream_claims", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stream_claims_call_id"), ["call_id"], unique=False)

    op.create_table(
        "transfers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("order", sa.String(length=20), nullable=False),
        sa.Column("asked_by", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("conference_name", sa.String(length=64), nullable=False),
        sa.Column("conference_sid", sa.String(length=64), nullable=True),
        sa.Column("requested_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("customer_moved_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("customer_joined_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("connected_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.String(length=30), nullable=True),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_transfers_call_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("conference_name", name=op.f("uq_transfers_conference_name")),
    )
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.create_index("ix_transfers_call_id", ["call_id"], unique=False)
        batch_op.create_index(
            "uq_transfers_open_call",
            ["call_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "transfer_legs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("transfer_id", sa.String(length=36), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("answered_by", sa.String(length=20), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("intended_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("answered_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("joined_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("ending", sa.String(length=30), nullable=True),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_transfer_legs_transfer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_legs")),
        sa.UniqueConstraint("sid", name=op.f("uq_transfer_legs_sid")),
    )
    with op.batch_alter_table("transfer_legs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_transfer_legs_transfer_id"), ["transfer_id"], unique=False)
        batch_op.create_index(
            "uq_transfer_legs_live_phone",
            ["phone"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("transfer_legs", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_transfer_legs_live_phone",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_transfer_legs_transfer_id"))

    op.drop_table("transfer_legs")
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_transfers_open_call",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_transfers_call_id")

    op.drop_table("transfers")
    with op.batch_alter_table("stream_claims", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stream_claims_call_id"))

    op.drop_table("stream_claims")
    with op.batch_alter_table("recordings", schema=None) as batch_op:
        batch_op.drop_index("ix_recordings_stored_at")
        batch_op.drop_index(batch_op.f("ix_recordings_call_id"))

    op.drop_table("recordings")
    with op.batch_alter_table("pod_leases", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_pod_leases_open",
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.drop_table("pod_leases")
    with op.batch_alter_table("lines", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lines_campaign_id"))

    op.drop_table("lines")
    op.drop_table("conversations")
    with op.batch_alter_table("lead_history", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lead_history_lead_id"))

    op.drop_table("lead_history")
    with op.batch_alter_table("calls", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_calls_live_phone",
            sqlite_where=sa.text("direction = 'outbound' AND progress IN ('granted', 'intended', 'dialled')"),
            postgresql_where=sa.text("direction = 'outbound' AND progress IN ('granted', 'intended', 'dialled')"),
        )
        batch_op.drop_index(
            "ix_calls_unsettled",
            sqlite_where=sa.text("settled_at IS NULL"),
            postgresql_where=sa.text("settled_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_calls_unfollowed",
            sqlite_where=sa.text("direction = 'inbound' AND followed_at IS NULL AND settled_at IS NULL"),
            postgresql_where=sa.text("direction = 'inbound' AND followed_at IS NULL AND settled_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_calls_unaccepted",
            sqlite_where=sa.text("progress = 'granted'"),
            postgresql_where=sa.text("progress = 'granted'"),
        )
        batch_op.drop_index("ix_calls_to_phone_granted_at")
        batch_op.drop_index(batch_op.f("ix_calls_number_id"))
        batch_op.drop_index(batch_op.f("ix_calls_lead_id"))
        batch_op.drop_index("ix_calls_granted_at_id")
        batch_op.drop_index("ix_calls_from_phone_granted_at")

    op.drop_table("calls")
    with op.batch_alter_table("leads", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_leads_retry_due_at",
            sqlite_where=sa.text("status = 'RETRY'"),
            postgresql_where=sa.text("status = 'RETRY'"),
        )
        batch_op.drop_index(batch_op.f("ix_leads_phone"))
        batch_op.drop_index("ix_leads_created_at_id")
        batch_op.drop_index(
            "ix_leads_cancelling",
            sqlite_where=sa.text("cancel_requested_at IS NOT NULL AND status <> 'FINISHED'"),
            postgresql_where=sa.text("cancel_requested_at IS NOT NULL AND status <> 'FINISHED'"),
        )
        batch_op.drop_index("ix_leads_campaign_id_status")
        batch_op.drop_index(
            "ix_leads_backlog",
            sqlite_where=sa.text("status = 'BACKLOG'"),
            postgresql_where=sa.text("status = 'BACKLOG'"),
        )

    op.drop_table("leads")
    op.drop_table("campaign_numbers")
    with op.batch_alter_table("campaigns", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_campaigns_standing_template", sqlite_where=sa.text("standing"), postgresql_where=sa.text("standing")
        )
        batch_op.drop_index("ix_campaigns_created_at_id")

    op.drop_table("campaigns")
    op.drop_table("templates")
    op.drop_table("pods")
    op.drop_table("numbers")
    with op.batch_alter_table("callbacks", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_callbacks_undelivered",
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_callbacks_call_id"))

    op.drop_table("callbacks")
    op.drop_table("blocked_callers")
