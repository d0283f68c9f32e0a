"""Canaries are mails now, and posts of events that were turned away are recorded.

The marks of time of before prove nothing any more, so they are not kept. A batch that was undecided
before goes on waiting; its quiet period begins with the upgrade.
"""

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.drop_table("canary")
    op.create_table(
        "canary",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("posted_at", MOMENT, nullable=False),
        sa.Column("accepted", sa.Boolean()),
        sa.Column("heard_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_canary"),
    )
    op.create_index("ix_canary_posted_at", "canary", ["posted_at"])
    op.create_table(
        "lost_event_post",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lost_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lost_event_post"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lost_event_post_lost_at", "lost_event_post", ["lost_at"])
    op.add_column("attempt", sa.Column("uncertain_since", MOMENT))
    op.execute(
        "UPDATE attempt SET uncertain_since = CURRENT_TIMESTAMP"
        " WHERE id IN (SELECT attempt_id FROM batch"
        " WHERE state IN ('awaiting_proof', 'awaiting_decision'))"
    )
    is_uncertain = sa.text("uncertain_since IS NOT NULL")
    op.create_index(
        "ix_attempt_uncertain",
        "attempt",
        ["uncertain_since"],
        sqlite_where=is_uncertain,
        postgresql_where=is_uncertain,
    )


def downgrade() -> None:
    op.drop_index("ix_attempt_uncertain", "attempt")
    op.drop_column("attempt", "uncertain_since")
    op.drop_table("lost_event_post")
    op.drop_table("canary")
    op.create_table(
        "canary",
        sa.Column("second", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("second", name="pk_canary"),
    )
