"""Whose stories they are, by account."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

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


def downgrade() -> None:
    op.drop_table("story_byline")
