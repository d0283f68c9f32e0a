"""People: second factors, invitations, profiles, and who did what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
WORD = sa.String(32)
HANDLE = "ix_account_fs_webauthn_user_handle"
ACCOUNT_COLUMNS = (
    "invited_at",
    "last_seen_on",
    "tf_primary_method",
    "tf_totp_secret",
    "totp_counter",
    "mf_recovery_codes",
    "fs_webauthn_user_handle",
)


def upgrade() -> None:
    # Added one by one, not in a batch: SQLite would make the table anew, and stories point to it.
    for column in (
        sa.Column("invited_at", MOMENT, nullable=True),
        sa.Column("last_seen_on", sa.Date(), nullable=True),
        sa.Column("tf_primary_method", sa.String(), nullable=True),
        sa.Column("tf_totp_secret", sa.String(), nullable=True),
        sa.Column("totp_counter", sa.Integer(), nullable=True),
        sa.Column("mf_recovery_codes", JSON, nullable=True),
        sa.Column("fs_webauthn_user_handle", sa.String(), nullable=True),
    ):
        op.add_column("account", column)
    op.create_index(HANDLE, "account", ["fs_webauthn_user_handle"], unique=True)
    _add_passkeys()
    _add_profiles()
    _add_acts()


def _add_passkeys() -> None:
    op.create_table(
        "passkey",
        sa.Column("id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("transports", JSON, nullable=True),
        sa.Column("backup_state", sa.Boolean(), nullable=False),
        sa.Column("device_type", sa.String(), nullable=False),
        sa.Column("extensions", sa.String(), nullable=True),
        sa.Column("lastuse_datetime", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_passkey_account_id_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_passkey"),
        sa.UniqueConstraint("credential_id", name="uq_passkey_credential_id"),
    )
    op.create_index("ix_passkey_account_id", "passkey", ["account_id"])


def _add_profiles() -> None:
    texts = ("job_title", "bio", "contact", "location", "languages", "expertise")
    op.create_table(
        "profile",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("slug", sa.String(), nullable=True),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_profile_account_id_account"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_profile"),
        sa.UniqueConstraint("slug", name="uq_profile_slug"),
    )


def _add_acts() -> None:
    op.create_table(
        "act",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("account_name", sa.String(), nullable=False),
        sa.Column("what", WORD, nullable=False),
        sa.Column("subject_kind", WORD, nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("detail", JSON, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_act_account_id_account"),
        sa.PrimaryKeyConstraint("id", name="pk_act"),
    )
    op.create_index("ix_act_at", "act", ["at"])
    op.create_index("ix_act_account_id_id", "act", ["account_id", "id"])
    op.create_index("ix_act_what_id", "act", ["what", "id"])
    op.create_table(
        "failed_sign_ins",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("account_id", ID, autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "account_id", name="pk_failed_sign_ins"),
    )


def downgrade() -> None:
    """A role that the schema before does not know becomes the one below it that it does."""
    op.execute("UPDATE account SET role = 'editor' WHERE role IN ('author', 'standards')")
    for table in ("failed_sign_ins", "act", "profile", "passkey"):
        op.drop_table(table)
    op.drop_index(HANDLE, "account")
    for name in ACCOUNT_COLUMNS:
        op.drop_column("account", name)
