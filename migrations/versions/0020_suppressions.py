"""Suppressions: a list that can be looked through, kept counters, and what the provider is told."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
NOT_ERASED = sa.text("reason != 'erased'")
WAITS = sa.text("next_try_at IS NOT NULL")
HOUSES_OWN = """
INSERT INTO suppression_relay (canonical, suppressed, changed_at, next_try_at)
SELECT canonical, true, at, at FROM suppression
WHERE reason IN ('manual', 'unsubscribed', 'complained')
    AND source NOT LIKE 'event %' AND source NOT LIKE 'SendGrid''s list of %'
"""
COUNTED = """
INSERT INTO suppression_step (reason, step)
SELECT reason, count(*) FROM suppression GROUP BY reason
"""


def upgrade() -> None:
    """What stands is counted, and what the house suppressed of its own is told from now on."""
    where = {"sqlite_where": NOT_ERASED, "postgresql_where": NOT_ERASED}
    op.create_index("ix_suppression_newest", "suppression", ["at", "canonical"], **where)
    op.create_index(
        "ix_suppression_reason_at_canonical", "suppression", ["reason", "at", "canonical"]
    )
    op.create_index(
        "ix_suppression_beginning",
        "suppression",
        ["canonical"],
        postgresql_ops={"canonical": "text_pattern_ops"},
        **where,
    )
    op.create_table(
        "suppression_step",
        sa.Column("id", ID, primary_key=True),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
    )
    op.create_table(
        "suppression_relay",
        sa.Column("canonical", sa.String(), primary_key=True),
        sa.Column("suppressed", sa.Boolean(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("posted_from", MOMENT, nullable=True),
        sa.Column("posted_until", MOMENT, nullable=True),
        sa.Column("refused", sa.String(), nullable=True),
    )
    op.create_index(
        "ix_suppression_relay_next_try_at",
        "suppression_relay",
        ["next_try_at"],
        sqlite_where=WAITS,
        postgresql_where=WAITS,
    )
    op.create_index(
        "ix_suppression_relay_suppressed_told_at", "suppression_relay", ["suppressed", "told_at"]
    )
    op.execute(COUNTED)
    op.execute(HOUSES_OWN)


def downgrade() -> None:
    op.drop_table("suppression_relay")
    op.drop_table("suppression_step")
    for name in ("beginning", "reason_at_canonical", "newest"):
        op.drop_index(f"ix_suppression_{name}", "suppression")
