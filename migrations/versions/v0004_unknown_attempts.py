"""Attempts that the database does not know, since it went back in time."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "v0004"
down_revision = "v0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "unknown_attempt",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("send_id", sa.BigInteger()),
        sa.Column("list_slug", sa.String()),
        sa.Column("slot", sa.Date()),
        sa.Column("occasion", sa.String()),
        sa.Column("content", sa.JSON().with_variant(postgresql.JSONB(), "postgresql")),
        sa.Column("first_subscriber_id", sa.BigInteger()),
        sa.Column("last_subscriber_id", sa.BigInteger()),
        sa.Column("copies", sa.Integer()),
        sa.Column("started_at", MOMENT),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("told_at", MOMENT),
        sa.Column("resolved_at", MOMENT),
        sa.Column("resolution", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_unknown_attempt"),
    )
    is_open = sa.text("resolved_at IS NULL")
    op.create_index(
        "ix_unknown_attempt_open",
        "unknown_attempt",
        ["found_at"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def downgrade() -> None:
    op.drop_table("unknown_attempt")
