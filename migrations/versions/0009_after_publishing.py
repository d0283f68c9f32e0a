"""After publishing: revisions with a kind and a summary, and notes that say what was wrong."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
WORD = sa.String(32)

FILLED = {"kind": "publish", "summary": "", "changed": "0", "confirmed_by": "", "standing": "sound"}


def upgrade() -> None:
    with op.batch_alter_table("revision") as revisions:
        revisions.add_column(sa.Column("kind", WORD, nullable=False, server_default="publish"))
        revisions.add_column(sa.Column("summary", sa.String(), nullable=False, server_default=""))
        revisions.add_column(sa.Column("changed", sa.Integer(), nullable=False, server_default="0"))
        revisions.add_column(
            sa.Column("confirmed_by", sa.String(), nullable=False, server_default="")
        )
        revisions.add_column(sa.Column("standing", WORD, nullable=False, server_default="sound"))
        revisions.add_column(sa.Column("modified_at", MOMENT, nullable=True))
    op.execute(sa.text("UPDATE revision SET modified_at = published_at"))
    with op.batch_alter_table("revision") as revisions:
        # What the models say; the defaults were for the rows that were there.
        for column in FILLED:
            revisions.alter_column(column, server_default=None)
        revisions.alter_column("modified_at", nullable=False)
    _add_notes()
    _add_reports()
    op.create_table(
        "note_delivery",
        sa.Column("note_id", ID, sa.ForeignKey("note.id"), primary_key=True),
        sa.Column("list_id", ID, sa.ForeignKey("mailing_list.id"), primary_key=True),
        sa.Column("edition_id", ID, sa.ForeignKey("edition.id"), nullable=False),
    )
    op.create_index("ix_note_delivery_edition_id", "note_delivery", ["edition_id"])


def _add_notes() -> None:
    op.create_table(
        "note",
        sa.Column("id", ID, primary_key=True),
        sa.Column("story_id", ID, sa.ForeignKey("story.id"), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("severity", WORD, nullable=False),
        sa.Column("was", sa.String(), nullable=False),
        sa.Column("now_", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reported_by_reader", sa.Boolean(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("from_n", sa.Integer(), nullable=False),
        sa.Column("to_n", sa.Integer(), nullable=False),
        sa.Column("approved_by_id", ID, sa.ForeignKey("account.id"), nullable=True),
    )
    op.create_index("ix_note_newest", "note", ["at", "id"])
    op.create_index("ix_note_story_id", "note", ["story_id", "to_n"])
    op.create_index("ix_note_severity", "note", ["severity", "at"])


def _add_reports() -> None:
    op.create_table(
        "reader_report",
        sa.Column("id", ID, primary_key=True),
        sa.Column("story_id", ID, sa.ForeignKey("story.id"), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("verdict", WORD, nullable=True),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("answered_by_id", ID, sa.ForeignKey("account.id"), nullable=True),
    )
    op.create_index("ix_reader_report_story_id", "reader_report", ["story_id"])
    op.create_index("ix_reader_report_verdict", "reader_report", ["verdict", "id"])


def downgrade() -> None:
    op.drop_table("note_delivery")
    op.drop_table("reader_report")
    op.drop_table("note")
    with op.batch_alter_table("revision") as revisions:
        for column in (*FILLED, "modified_at"):
            revisions.drop_column(column)
