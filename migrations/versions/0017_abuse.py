"""The doors: what was asked for, what is held, the attack mode, used proofs, and refusals."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
WORD = sa.String(32)


def upgrade() -> None:
    op.create_table(
        "sign_up",
        sa.Column("id", ID, primary_key=True),
        sa.Column("door", WORD, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=True),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("why", WORD, nullable=True),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("let_through", sa.Boolean(), nullable=False),
        sa.UniqueConstraint(
            *("door", "canonical", "list_id"), name="uq_sign_up_door_canonical_list_id"
        ),
    )
    op.create_index("ix_sign_up_why", "sign_up", ["why", "id"])
    op.create_index("ix_sign_up_next_at", "sign_up", ["next_at"])
    op.create_index("ix_sign_up_asked_at", "sign_up", ["asked_at"])
    op.create_table(
        "held_tally",
        sa.Column("why", WORD, primary_key=True),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("beyond", sa.Integer(), nullable=False),
    )
    op.create_table(
        "sign_up_rate",
        sa.Column("slot", MOMENT, primary_key=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
    )
    op.create_table(
        "attack_mode",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("until", MOMENT, nullable=True),
        sa.Column("off_until", MOMENT, nullable=True),
        sa.Column("why", sa.String(), nullable=False),
    )
    op.create_table(
        "used_proof",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("expires_at", MOMENT, nullable=False),
    )
    op.create_index("ix_used_proof_expires_at", "used_proof", ["expires_at"])
    op.create_table(
        "sign_up_refusal",
        sa.Column("canonical", sa.String(), primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    for table in (
        *("sign_up_refusal", "used_proof", "attack_mode", "sign_up_rate", "held_tally", "sign_up"),
    ):
        op.drop_table(table)
