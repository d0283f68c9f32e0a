"""Pictures, and the files that are made of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
WORD = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "picture",
        sa.Column("id", ID, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("master", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("alt", sa.String(), nullable=False),
        sa.Column("is_decorative", sa.Boolean(), nullable=False),
        sa.Column("credit", sa.String(), nullable=False),
        sa.Column("credit_url", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("licence_url", sa.String(), nullable=False),
        sa.Column("caption", sa.String(), nullable=False),
        sa.Column("source_type", WORD, nullable=False),
        sa.Column("source_told", sa.String(), nullable=False),
        sa.Column("had_provenance", sa.Boolean(), nullable=False),
        sa.Column("focus_x", sa.Double(), nullable=False),
        sa.Column("focus_y", sa.Double(), nullable=False),
        sa.Column("crops", JSON, nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=True),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_picture"),
        sa.UniqueConstraint("sha256", name="uq_picture_sha256"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["account.id"], name="fk_picture_created_by_id_account"
        ),
    )
    unmade = sa.text("made < wanted")
    op.create_index(
        "ix_picture_due", "picture", ["id"], sqlite_where=unmade, postgresql_where=unmade
    )
    op.create_table(
        "rendition",
        sa.Column("id", ID, nullable=False),
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("cut", sa.Integer(), nullable=False),
        sa.Column("shape", WORD, nullable=False),
        sa.Column("format", WORD, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rendition"),
        sa.UniqueConstraint(
            "picture_id",
            "cut",
            "shape",
            "format",
            "width",
            name="uq_rendition_picture_id_cut_shape_format_width",
        ),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["picture.id"], name="fk_rendition_picture_id_picture"
        ),
    )


def downgrade() -> None:
    """The rows go; the files in the storage stay."""
    op.drop_table("rendition")
    op.drop_index("ix_picture_due", "picture")
    op.drop_table("picture")
