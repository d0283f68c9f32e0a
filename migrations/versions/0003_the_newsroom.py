"""The newsroom: questions that every story answers, reviews, overrides, times to publish at."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    with op.batch_alter_table("story") as story:
        story.add_column(sa.Column("answers", JSON, nullable=False, server_default="{}"))
        story.add_column(sa.Column("block_style", WORD, nullable=False, server_default="classic"))
        story.add_column(sa.Column("publish_at", MOMENT, nullable=True))
        story.add_column(sa.Column("embargo_until", MOMENT, nullable=True))
    op.create_index("ix_story_publish_at", "story", ["publish_at"])
    with op.batch_alter_table("source") as source:
        source.add_column(sa.Column("relied_on", sa.Integer(), nullable=True))
        source.add_column(sa.Column("checked", WORD, nullable=True))
    # The form's tick was off unless an editor set it, so that "not seen" said nothing.
    op.execute(sa.text("UPDATE source SET seen_by_us = true WHERE NOT seen_by_us"))
    with op.batch_alter_table("revision") as revisions:
        revisions.add_column(sa.Column("answers", JSON, nullable=False, server_default="{}"))
    _without_defaults()
    _add_tables()


def _without_defaults() -> None:
    """What the models say; the defaults were for the rows that were there."""
    for table, columns in (("story", ("answers", "block_style")), ("revision", ("answers",))):
        with op.batch_alter_table(table) as altered:
            for column in columns:
                altered.alter_column(column, server_default=None)


def _add_tables() -> None:
    op.create_table(
        "review",
        sa.Column("id", ID, primary_key=True),
        sa.Column("story_id", ID, sa.ForeignKey("story.id"), nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("verdict", WORD, nullable=False),
        sa.Column("remark", sa.String(), nullable=False),
        sa.Column("by_id", ID, sa.ForeignKey("account.id"), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("ix_review_story_id", "review", ["story_id"])
    op.create_table(
        "override",
        sa.Column("id", ID, primary_key=True),
        sa.Column("story_id", ID, sa.ForeignKey("story.id"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by_id", ID, sa.ForeignKey("account.id"), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.UniqueConstraint("story_id", "code"),
    )
    op.create_index("ix_override_at", "override", ["at"])


def downgrade() -> None:
    op.drop_table("override")
    op.drop_table("review")
    with op.batch_alter_table("revision") as revisions:
        revisions.drop_column("answers")
    with op.batch_alter_table("source") as source:
        source.drop_column("checked")
        source.drop_column("relied_on")
    op.drop_index("ix_story_publish_at", "story")
    with op.batch_alter_table("story") as story:
        for column in ("embargo_until", "publish_at", "block_style", "answers"):
            story.drop_column(column)
