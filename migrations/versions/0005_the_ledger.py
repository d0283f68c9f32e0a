"""The public ledger: its entries, its end, the checkpoints and their keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
WORD = sa.String(32)
HASH = sa.String(64)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("seq", ID, autoincrement=False, nullable=False),
        sa.Column("prev", HASH, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("story", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("commit", HASH, nullable=False),
        sa.Column("entry_hash", HASH, nullable=False),
        sa.Column("salt", sa.String(32), nullable=True),
        sa.Column("payload", JSON, nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_ledger_entry"),
        sa.UniqueConstraint("prev", name="uq_ledger_entry_prev"),
        sa.UniqueConstraint("entry_hash", name="uq_ledger_entry_entry_hash"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", ID, nullable=False),
        sa.Column("entry_hash", HASH, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_head"),
    )
    op.create_table(
        "ledger_checkpoint",
        sa.Column("size", ID, autoincrement=False, nullable=False),
        sa.Column("root", HASH, nullable=False),
        sa.Column("signed_at", MOMENT, nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_ledger_checkpoint"),
    )
    op.create_table(
        "ledger_key",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_ledger_key"),
    )


def downgrade() -> None:
    for table in ("ledger_key", "ledger_checkpoint", "ledger_head", "ledger_entry"):
        op.drop_table(table)
