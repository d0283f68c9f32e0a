"""Readers' rights: pauses, changes of address, families of lists, and what was let go when."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
PAUSED = sa.text("paused_until IS NOT NULL")


def upgrade() -> None:
    with _subscribers(never_again=True) as subscribers:
        subscribers.add_column(sa.Column("paused_until", MOMENT, nullable=True))
    op.create_index(
        "ix_subscriber_paused_until",
        "subscriber",
        ["paused_until"],
        sqlite_where=PAUSED,
        postgresql_where=PAUSED,
    )
    op.add_column("mailing_list", sa.Column("family", sa.String(), nullable=True))
    op.create_table(
        "address_change",
        sa.Column("subscriber_id", ID, sa.ForeignKey("subscriber.id"), primary_key=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
    )
    op.create_index("ix_address_change_asked_at", "address_change", ["asked_at"])
    op.create_table(
        "lapse",
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
    )
    op.execute("UPDATE suppression SET reason = 'erased' WHERE canonical LIKE 'erased:%'")


def downgrade() -> None:
    """The hashes of the erased stay, under a reason that the code before knows."""
    op.execute("UPDATE suppression SET reason = 'manual' WHERE reason = 'erased'")
    op.execute("UPDATE delivery SET outcome = 'left' WHERE outcome = 'paused'")
    op.execute("DELETE FROM consent WHERE action IN ('changed', 'paused', 'resumed')")
    op.drop_table("lapse")
    op.drop_table("address_change")
    with op.batch_alter_table("mailing_list") as lists:
        lists.drop_column("family")
    op.drop_index("ix_subscriber_paused_until", "subscriber")
    with _subscribers(never_again=False) as subscribers:
        subscribers.drop_column("paused_until")


def _subscribers(*, never_again: bool):  # type: ignore[no-untyped-def]
    """The table of subscribers, made anew on SQLite, which else gives the id of a last row again.

    On PostgreSQL a number is never given twice.
    """
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    return op.batch_alter_table(
        "subscriber",
        recreate="always" if is_sqlite else "never",
        table_kwargs={"sqlite_autoincrement": never_again} if is_sqlite else {},
    )
