"""Whose stories they are, by account; sources who are not named, why, and who knows the name."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

OF_THE_UNNAMED = ("unnamed_because", "known_to")

OF_ONE_NAME = """
INSERT INTO story_byline (story_id, account_id)
SELECT story.id, MIN(account.id)
FROM story
JOIN revision ON revision.id = story.current_id
JOIN account ON account.name = revision.byline
GROUP BY story.id
HAVING COUNT(*) = 1
"""
"""What was published before is found by the whole byline; the rest when it is next published."""


def upgrade() -> None:
    op.create_table(
        "story_byline",
        sa.Column("story_id", ID, sa.ForeignKey("story.id"), primary_key=True),
        sa.Column("account_id", ID, sa.ForeignKey("account.id"), primary_key=True),
    )
    op.create_index("ix_story_byline_account_id", "story_byline", ["account_id"])
    op.execute(sa.text(OF_ONE_NAME))
    with op.batch_alter_table("source") as source:
        for column in OF_THE_UNNAMED:
            source.add_column(sa.Column(column, sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("source") as source:
        # What the models say; the defaults were for the rows that were there.
        for column in OF_THE_UNNAMED:
            source.alter_column(column, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("source") as source:
        for column in OF_THE_UNNAMED:
            source.drop_column(column)
    op.drop_table("story_byline")
