"""Asking readers: those who were brought in whether they want a list, quiet ones whether still."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
UNDER_WAY = sa.text("kind = 'stay' AND state IN ('open', 'letting_go')")


def upgrade() -> None:
    op.create_table(
        "asking",
        sa.Column("id", ID, primary_key=True),
        sa.Column("edition_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=False),
        sa.Column("free_at", MOMENT, nullable=False),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("wait_days", sa.Integer(), nullable=True),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("let_go", sa.Integer(), nullable=False),
        sa.Column("counted_at", MOMENT, nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name="fk_asking_edition_id_edition"
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_asking_list_id_mailing_list"
        ),
        sa.UniqueConstraint("edition_id", name="uq_asking_edition_id"),
        sa.UniqueConstraint("run_id", name="uq_asking_run_id"),
    )
    op.create_index("ix_asking_list_id", "asking", ["list_id"])
    op.create_index("ix_asking_state", "asking", ["state"])
    op.create_index(
        "uq_asking_open",
        "asking",
        ["list_id"],
        unique=True,
        sqlite_where=UNDER_WAY,
        postgresql_where=UNDER_WAY,
    )
    op.create_table(
        "quiet_figures",
        sa.Column("list_id", ID, primary_key=True),
        sa.Column("half_a_year", sa.Integer(), nullable=False),
        sa.Column("a_year", sa.Integer(), nullable=False),
        sa.Column("two_years", sa.Integer(), nullable=False),
        sa.Column("counted_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_quiet_figures_list_id_mailing_list"
        ),
    )


def downgrade() -> None:
    op.drop_table("quiet_figures")
    op.drop_index("uq_asking_open", "asking")
    op.drop_index("ix_asking_state", "asking")
    op.drop_index("ix_asking_list_id", "asking")
    op.drop_table("asking")
