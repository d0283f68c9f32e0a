"""The desk: words to find stories by, and every text that was typed."""

import unicodedata

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
AT_ONCE = 500


def upgrade() -> None:
    search = op.create_table(
        "story_search",
        sa.Column("story_id", ID, sa.ForeignKey("story.id"), primary_key=True, autoincrement=False),
        sa.Column("folded", sa.String(), nullable=False),
    )
    op.create_table(
        "story_autosave",
        sa.Column("id", ID, primary_key=True),
        sa.Column("story_id", ID, sa.ForeignKey("story.id"), nullable=False),
        sa.Column("by_id", ID, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("edits", sa.Integer(), nullable=True),
        sa.Column("form", JSON, nullable=False),
    )
    op.create_index("ix_story_autosave_kept", "story_autosave", ["story_id", "by_id", "id"])
    op.create_index("ix_story_desk", "story", ["state", "updated_at", "id"])
    op.create_index("ix_story_mine", "story", ["author_id", "updated_at", "id"])
    _index_what_is_there(search)


def _index_what_is_there(search: sa.Table) -> None:
    """Words for the stories that were written before."""
    connection = op.get_bind()
    tags: dict[int, list[str]] = {}
    named = sa.text(
        "SELECT story_tag.story_id, tag.name FROM story_tag JOIN tag ON tag.id = story_tag.tag_id"
    )
    for story_id, name in connection.execute(named):
        tags.setdefault(story_id, []).append(name)
    stories = connection.execute(sa.text("SELECT id, headline, byline, slug FROM story")).all()
    rows = [
        {"story_id": story_id, "folded": _fold(" ".join([*words, *sorted(tags.get(story_id, []))]))}
        for story_id, *words in stories
    ]
    for start in range(0, len(rows), AT_ONCE):
        connection.execute(sa.insert(search), rows[start : start + AT_ONCE])


def _fold(text: str) -> str:
    plain = (ch for ch in unicodedata.normalize("NFKD", text) if not unicodedata.combining(ch))
    return " ".join("".join(plain).casefold().replace("’", "'").split())


def downgrade() -> None:
    op.drop_index("ix_story_mine", "story")
    op.drop_index("ix_story_desk", "story")
    op.drop_table("story_autosave")
    op.drop_table("story_search")
