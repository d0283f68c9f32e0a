"""Every work row is claimed by its `due_at`: the columns of six other ways become that one.

Work that an old worker was doing is due at once: its claim ends with the old version. Accounts get
the ASCII form of internationalised domains, because they are looked up by it from this version on.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op
from email_validator import EmailNotValidError, validate_email

revision = "v0002"
down_revision = "v0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
DUE = sa.text("due_at IS NOT NULL")
QUEUED = sa.text("next_try_at IS NOT NULL")
PREPARING = sa.text("ready_set < requested_set")

RENAMED = {
    "transactional_email": "next_try_at",
    "suppression_outbox": "next_try_at",
    "signup": "process_at",
}
"""What `due_at` was called, by table."""

DUE_AT_FIRST = {
    "picture": "CASE WHEN ready_set < requested_set THEN updated_at END",
    "import_run": "CASE WHEN state IN ('dry_running', 'running', 'undoing') THEN created_at END",
    "repermission_campaign": "CASE WHEN state = 'unsubscribing' THEN created_at END",
    "periodic_task": "started_at",
}
"""When the rows of the other tables are due."""

KEYS = {"suppression_outbox": "canonical", "periodic_task": "name"}
"""The primary keys that are not called `id`."""

ANSWERS_COME_FOR = timedelta(days=180)
"""The answers to a re-permission campaign are counted for so long; then the figures are final."""

ACCOUNT = sa.table("account", sa.column("id"), sa.column("email"))
CAMPAIGN = sa.table(
    "repermission_campaign", sa.column("created_at", MOMENT), sa.column("due_at", MOMENT)
)


def upgrade() -> None:
    for table, name in RENAMED.items():
        op.drop_index(f"ix_{table}_{name}", table)
        op.alter_column(table, name, new_column_name="due_at")
    for table, value in DUE_AT_FIRST.items():
        op.add_column(table, sa.Column("due_at", MOMENT, nullable=True))
        op.execute(f"UPDATE {table} SET due_at = {value}")  # noqa: S608
    counted_from = datetime.now(UTC) - ANSWERS_COME_FOR  # noqa: TID251
    is_counted = CAMPAIGN.c.created_at > counted_from
    op.execute(sa.update(CAMPAIGN).where(is_counted).values(due_at=CAMPAIGN.c.created_at))
    for table in (*RENAMED, *DUE_AT_FIRST):
        op.create_index(
            *(f"ix_{table}_due_at", table, ["due_at", KEYS.get(table, "id")]),
            sqlite_where=DUE,
            postgresql_where=DUE,
        )
    op.drop_index("ix_picture_due", "picture")
    op.drop_column("picture", "claimed_at")
    op.alter_column("picture", "tries", new_column_name="attempts")
    op.drop_column("import_run", "lease_holder")
    op.drop_column("import_run", "lease_renewed_at")
    encode_account_domains(op.get_bind())


def encode_account_domains(connection: sa.Connection) -> None:
    """Leaves an address as it is that cannot be encoded, or that is another account's then."""
    accounts = connection.execute(sa.select(ACCOUNT.c.id, ACCOUNT.c.email).order_by(ACCOUNT.c.id))
    emails = dict(accounts.all())
    for account_id, email in emails.items():
        if email.isascii():
            continue
        try:
            encoded = validate_email(email, check_deliverability=False, strict=True).ascii_email
        except EmailNotValidError:
            continue
        if encoded is not None and encoded.lower() not in emails.values():
            emails[account_id] = encoded.lower()
            is_it = ACCOUNT.c.id == account_id
            connection.execute(sa.update(ACCOUNT).where(is_it).values(email=encoded.lower()))


def downgrade() -> None:
    op.add_column("import_run", sa.Column("lease_renewed_at", MOMENT, nullable=True))
    op.add_column("import_run", sa.Column("lease_holder", sa.String(), nullable=True))
    op.alter_column("picture", "attempts", new_column_name="tries")
    op.add_column("picture", sa.Column("claimed_at", MOMENT, nullable=True))
    for table in (*RENAMED, *DUE_AT_FIRST):
        op.drop_index(f"ix_{table}_due_at", table)
    for table in DUE_AT_FIRST:
        op.drop_column(table, "due_at")
    for table, name in RENAMED.items():
        op.alter_column(table, "due_at", new_column_name=name)
    op.create_index(
        *("ix_picture_due", "picture", ["id"]), sqlite_where=PREPARING, postgresql_where=PREPARING
    )
    op.create_index("ix_signup_process_at", "signup", ["process_at"])
    op.create_index(
        *("ix_suppression_outbox_next_try_at", "suppression_outbox", ["next_try_at"]),
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )
    op.create_index("ix_transactional_email_next_try_at", "transactional_email", ["next_try_at"])
