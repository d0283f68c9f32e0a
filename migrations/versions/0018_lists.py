"""Lists: who they come from, their language and topics, hiding and archiving; readers' topics."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
NEW = (
    ("sender_name", sa.String(), "''"),
    ("language", sa.String(), "''"),
    ("is_shown", sa.Boolean(), sa.true()),
    ("topics", JSON, "'[]'"),
    ("news_from", MOMENT, "created_at"),
    ("edits", sa.Integer(), "0"),
)
"""Columns that no list may lack, and what the lists that there are get in them."""


def upgrade() -> None:
    for name, kind, _ in NEW:
        op.add_column("mailing_list", sa.Column(name, kind, nullable=True))
    op.add_column("mailing_list", sa.Column("archived_at", MOMENT, nullable=True))
    values = {sa.column(name): _expression(value) for name, _, value in NEW}
    op.execute(sa.update(sa.table("mailing_list", *values)).values(values))
    with op.batch_alter_table("mailing_list") as lists:
        for name, kind, _ in NEW:
            lists.alter_column(name, existing_type=kind, nullable=False)
    op.create_table(
        "subscription_topic",
        sa.Column("list_id", ID, sa.ForeignKey("mailing_list.id"), primary_key=True),
        sa.Column("subscriber_id", ID, sa.ForeignKey("subscriber.id"), primary_key=True),
        sa.Column("tag", sa.String(), primary_key=True),
    )
    op.create_index("ix_subscription_topic_subscriber_id", "subscription_topic", ["subscriber_id"])


def downgrade() -> None:
    """Hidden and archived lists are lists like all others then: they send, and are offered."""
    op.drop_table("subscription_topic")
    with op.batch_alter_table("mailing_list") as lists:
        for name in ("archived_at", *(name for name, _, _ in reversed(NEW))):
            lists.drop_column(name)


def _expression(value: object) -> object:
    return sa.text(value) if isinstance(value, str) else value
