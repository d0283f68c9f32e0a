"""Pictures in stories: the one that leads a story, and those that its revisions froze."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TO_PICTURE = "fk_story_picture_id_picture"


def upgrade() -> None:
    with op.batch_alter_table("story") as stories:
        stories.add_column(sa.Column("picture_id", ID, nullable=True))
        stories.create_foreign_key(TO_PICTURE, "picture", ["picture_id"], ["id"])
    op.create_index("ix_story_picture_id", "story", ["picture_id"])
    with op.batch_alter_table("revision") as revisions:
        revisions.add_column(sa.Column("picture", JSON, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("revision") as revisions:
        revisions.drop_column("picture")
    op.drop_index("ix_story_picture_id", "story")
    with op.batch_alter_table("story") as stories:
        stories.drop_constraint(TO_PICTURE, type_="foreignkey")
        stories.drop_column("picture_id")
