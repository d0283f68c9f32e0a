"""Imports: the runs, what each did to whom, and the rows that were not taken."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
WORD = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "import_run",
        sa.Column("id", ID, primary_key=True),
        sa.Column("list_id", ID, sa.ForeignKey("mailing_list.id"), nullable=False),
        sa.Column("account_id", ID, sa.ForeignKey("account.id"), nullable=True),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("stored", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("encoding", sa.String(), nullable=False),
        sa.Column("separator", sa.String(), nullable=False),
        sa.Column("has_header", sa.Boolean(), nullable=False),
        sa.Column("columns", JSON, nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("expected", JSON, nullable=False),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("worked", sa.Double(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("beaten_at", MOMENT, nullable=True),
    )
    op.create_index("ix_import_run_list_id_id", "import_run", ["list_id", "id"])
    op.create_index("ix_import_run_state", "import_run", ["state"])
    op.create_table(
        "import_row",
        sa.Column("run_id", ID, primary_key=True),
        sa.Column("subscriber_id", sa.BigInteger(), primary_key=True),
        sa.Column("made", sa.Boolean(), nullable=False),
        sa.Column("before", WORD, nullable=True),
        sa.Column("after", WORD, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "import_problem",
        sa.Column("run_id", ID, sa.ForeignKey("import_run.id"), primary_key=True),
        sa.Column("line", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("cell", sa.String(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("import_problem")
    op.drop_table("import_row")
    op.drop_table("import_run")
