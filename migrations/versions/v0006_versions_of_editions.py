"""Editions can be frozen again without a story; the message of before is kept.

Every edition and every attempt of before is of version 1.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "v0006"
down_revision = "v0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    first = sa.text("1")
    for table in ("edition", "attempt"):
        op.add_column(
            table, sa.Column("version", sa.Integer(), nullable=False, server_default=first)
        )
    op.add_column("edition_item", sa.Column("last_version", sa.Integer()))
    op.create_table(
        "replaced_message",
        sa.Column(
            "edition_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("edition.id", name="fk_replaced_message_edition_id_edition"),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "message", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("edition_id", "version", name="pk_replaced_message"),
    )


def downgrade() -> None:
    op.drop_table("replaced_message")
    op.drop_column("edition_item", "last_version")
    for table in ("attempt", "edition"):
        op.drop_column(table, "version")
