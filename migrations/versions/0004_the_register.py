"""The register: parties and their names, what stands between them and us, what stories decided."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
WORD = sa.String(32)
TABLES = ("disclosure_decision", "relationship", "alias", "party", "register_stamp")


def upgrade() -> None:
    op.create_table(
        "register_stamp",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stamp", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_register_stamp"),
    )
    op.create_table(
        "party",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded", sa.String(), nullable=True),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("domains", JSON, nullable=False),
        sa.Column("same_as", JSON, nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("merged_into_id", ID, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["party.id"], name="fk_party_parent_id_party"),
        sa.ForeignKeyConstraint(
            ["merged_into_id"], ["party.id"], name="fk_party_merged_into_id_party"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_party"),
        sa.UniqueConstraint("folded", name="uq_party_folded"),
        sa.UniqueConstraint("slug", name="uq_party_slug"),
    )
    op.create_index("ix_party_parent_id", "party", ["parent_id"])
    op.create_index("ix_party_merged_into_id", "party", ["merged_into_id"])
    op.create_table(
        "alias",
        sa.Column("id", ID, nullable=False),
        sa.Column("party_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name="fk_alias_party_id_party"),
        sa.PrimaryKeyConstraint("id", name="pk_alias"),
        sa.UniqueConstraint("party_id", "folded", name="uq_alias_party_id_folded"),
    )
    op.create_index("ix_alias_folded", "alias", ["folded"])
    _add_relationships()
    _add_decisions()


def _add_relationships() -> None:
    op.create_table(
        "relationship",
        sa.Column("id", ID, nullable=False),
        sa.Column("ours", WORD, nullable=False),
        sa.Column("ours_label", sa.String(), nullable=False),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("party_id", ID, nullable=False),
        sa.Column("nature", WORD, nullable=False),
        sa.Column("direction", WORD, nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("lookback_months", sa.Integer(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("materiality", WORD, nullable=False),
        sa.Column("amount_band", WORD, nullable=False),
        sa.Column("wording", sa.String(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("afterwards", sa.String(), nullable=False),
        sa.Column("visibility", WORD, nullable=False),
        sa.Column("evidence_url", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_by_id", ID, nullable=True),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_relationship_account_id_account"
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name="fk_relationship_party_id_party"),
        sa.ForeignKeyConstraint(
            ["changed_by_id"], ["account.id"], name="fk_relationship_changed_by_id_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_relationship"),
    )
    op.create_index("ix_relationship_account_id", "relationship", ["account_id"])
    op.create_index("ix_relationship_party_id", "relationship", ["party_id"])


def _add_decisions() -> None:
    op.create_table(
        "disclosure_decision",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", sa.BigInteger(), nullable=False),
        sa.Column("relationship_id", ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decision", WORD, nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by_id", ID, nullable=True),
        sa.Column("second_by_id", ID, nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["relationship.id"],
            name="fk_disclosure_decision_relationship_id_relationship",
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["account.id"], name="fk_disclosure_decision_by_id_account"
        ),
        sa.ForeignKeyConstraint(
            ["second_by_id"], ["account.id"], name="fk_disclosure_decision_second_by_id_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_disclosure_decision"),
        sa.UniqueConstraint(
            "story_id", "relationship_id", name="uq_disclosure_decision_story_id_relationship_id"
        ),
    )
    op.create_index(
        "ix_disclosure_decision_relationship_id", "disclosure_decision", ["relationship_id"]
    )
    op.create_index("ix_disclosure_decision_decision", "disclosure_decision", ["decision"])
    op.create_table(
        "story_party",
        sa.Column("story_id", ID, nullable=False),
        sa.Column("party_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("story_id", "party_id", name="pk_story_party"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_story_party_story_id_story"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name="fk_story_party_party_id_party"),
    )
    op.create_index("ix_story_party_party_id", "story_party", ["party_id"])


def downgrade() -> None:
    op.drop_table("story_party")
    for table in TABLES:
        op.drop_table(table)
