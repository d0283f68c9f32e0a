"""Sending without loss: leases, fences, brakes and paces, and what the events add up to."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
WORD = sa.String(32)
ATTEMPT_COLUMNS = (
    "send_id",
    "lease_id",
    "first",
    "last",
    "copies",
    "fence",
    "goes_out_at",
    "heard_at",
)


def upgrade() -> None:
    _add_columns()
    _add_tables()
    _add_indexes()


def _add_columns() -> None:
    with op.batch_alter_table("send") as send:
        send.add_column(sa.Column("starts_at", MOMENT, nullable=True))
        send.add_column(sa.Column("not_after", MOMENT, nullable=True))
        send.add_column(sa.Column("cause", WORD, nullable=True))
        send.add_column(
            sa.Column("tolerated", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        send.drop_column("not_before")
        send.drop_column("failures")
    op.execute("UPDATE send SET starts_at = created_at")
    op.execute("UPDATE send SET cause = 'by_hand' WHERE state IN ('paused', 'cancelled')")
    with op.batch_alter_table("send") as send:
        send.alter_column("starts_at", existing_type=MOMENT, nullable=False)
        send.alter_column("tolerated", existing_type=sa.Boolean(), server_default=None)

    with op.batch_alter_table("batch") as batch:
        batch.add_column(sa.Column("unwritable", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("tries", sa.Integer(), nullable=False, server_default="1"))
        batch.drop_column("lease_until")
    with op.batch_alter_table("batch") as batch:
        batch.alter_column("unwritable", existing_type=sa.Integer(), server_default=None)
        batch.alter_column("tries", existing_type=sa.Integer(), server_default=None)

    _extend_attempts()


def _extend_attempts() -> None:
    """Attempts of before belong to a lease that is over; their batches were never cut since."""
    columns = (
        sa.Column("send_id", ID, nullable=True),
        sa.Column("lease_id", sa.String(), nullable=True),
        sa.Column("first", sa.BigInteger(), nullable=True),
        sa.Column("last", sa.BigInteger(), nullable=True),
        sa.Column("copies", sa.Integer(), nullable=True),
        sa.Column("fence", sa.String(), nullable=True),
        sa.Column("goes_out_at", MOMENT, nullable=True),
        sa.Column("heard_at", MOMENT, nullable=True),
    )
    op.drop_index("ix_attempt_batch_id", "attempt")
    with op.batch_alter_table("attempt") as attempt:
        for column in columns:
            attempt.add_column(column)
    sources = {"send_id": "send_id", "first": "first", "last": "last", "copies": "size"}
    attempt = sa.table("attempt", sa.column("batch_id"), *map(sa.column, sources))
    batch = sa.table("batch", sa.column("id"), *map(sa.column, sources.values()))
    for name, source in sources.items():
        known = sa.select(batch.c[source]).where(batch.c.id == attempt.c.batch_id)
        op.execute(sa.update(attempt).values({name: known.scalar_subquery()}))
    op.execute("UPDATE attempt SET lease_id = 'before'")
    op.execute(
        "UPDATE attempt SET heard_at ="
        " (SELECT min(received_at) FROM event WHERE event.attempt_id = attempt.id)"
    )
    with op.batch_alter_table("attempt") as attempt:
        for column in columns[:5]:
            attempt.alter_column(column.name, existing_type=column.type, nullable=False)
        attempt.create_foreign_key("fk_attempt_send_id_send", "send", ["send_id"], ["id"])


def _add_tables() -> None:
    op.create_table(
        "lease",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("send_id", ID, nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("taken_at", MOMENT, nullable=False),
        sa.Column("beaten_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_lease_send_id_send"),
        sa.PrimaryKeyConstraint("id", name="pk_lease"),
    )
    op.create_index("ix_lease_ended_at", "lease", ["ended_at"])
    op.execute(
        "INSERT INTO lease (id, send_id, holder, beats, taken_at, beaten_at, ended_at)"
        " SELECT 'before', min(id), 'before', 0, min(created_at), min(created_at), min(created_at)"
        " FROM send HAVING count(*) > 0"
    )
    op.create_table(
        "report",
        sa.Column("send_id", ID, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_report_send_id_send"),
        sa.PrimaryKeyConstraint("send_id", "kind", name="pk_report"),
    )
    op.execute(
        "INSERT INTO report (send_id, kind, count)"
        " SELECT attempt.send_id, event.kind, count(*) FROM event"
        " JOIN attempt ON attempt.id = event.attempt_id GROUP BY attempt.send_id, event.kind"
    )
    op.create_table(
        "pulse",
        sa.Column("second", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("second", name="pk_pulse"),
    )
    op.create_table(
        "brake",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cause", WORD, nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("closed_until", MOMENT, nullable=True),
        sa.Column("probe_until", MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_brake"),
    )
    op.create_table(
        "pace",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("free_at", MOMENT, nullable=False),
        sa.Column("hour", MOMENT, nullable=False),
        sa.Column("in_hour", sa.Integer(), nullable=False),
        sa.Column("day", MOMENT, nullable=False),
        sa.Column("in_day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pace"),
    )
    op.create_table(
        "chore",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_chore"),
    )


def _add_indexes() -> None:
    unsettled = sa.text("state IN ('intent', 'uncertain', 'held')")
    recalled = sa.text("result = 'cancelled' AND fence IS NOT NULL")
    op.drop_index("ix_batch_send_id_state", "batch")
    op.create_index("ix_batch_send_id_state", "batch", ["send_id", "state", "first"])
    op.create_index(
        "ix_batch_open", "batch", ["state"], sqlite_where=unsettled, postgresql_where=unsettled
    )
    op.create_index("ix_attempt_send_id_first", "attempt", ["send_id", "first"])
    op.create_index(
        "ix_attempt_recalled",
        "attempt",
        ["goes_out_at"],
        sqlite_where=recalled,
        postgresql_where=recalled,
    )
    op.drop_index("ix_event_attempt_id", "event")
    op.drop_index("ix_event_happened_at", "event")
    op.create_index("ix_event_attempt_id_subscriber_id", "event", ["attempt_id", "subscriber_id"])
    with op.batch_alter_table("delivery", table_kwargs={"sqlite_with_rowid": False}) as delivery:
        delivery.drop_constraint("fk_delivery_send_id_send", type_="foreignkey")


def downgrade() -> None:
    """Who is at work is forgotten: stop the workers before."""
    with op.batch_alter_table("delivery", table_kwargs={"sqlite_with_rowid": False}) as delivery:
        delivery.create_foreign_key("fk_delivery_send_id_send", "send", ["send_id"], ["id"])
    op.drop_index("ix_event_attempt_id_subscriber_id", "event")
    op.create_index("ix_event_attempt_id", "event", ["attempt_id"])
    op.create_index("ix_event_happened_at", "event", ["happened_at"])
    for index in ("ix_attempt_recalled", "ix_attempt_send_id_first"):
        op.drop_index(index, "attempt")
    for index in ("ix_batch_open", "ix_batch_send_id_state"):
        op.drop_index(index, "batch")
    op.create_index("ix_batch_send_id_state", "batch", ["send_id", "state"])
    for table in ("chore", "pace", "brake", "pulse", "report", "lease"):
        op.drop_table(table)
    _take_columns_away()


def _take_columns_away() -> None:
    with op.batch_alter_table("attempt") as attempt:
        attempt.drop_constraint("fk_attempt_send_id_send", type_="foreignkey")
        for name in ATTEMPT_COLUMNS:
            attempt.drop_column(name)
    op.create_index("ix_attempt_batch_id", "attempt", ["batch_id"])
    with op.batch_alter_table("batch") as batch:
        batch.drop_column("unwritable")
        batch.drop_column("tries")
        batch.add_column(sa.Column("lease_until", MOMENT, nullable=True))
    with op.batch_alter_table("send") as send:
        for name in ("starts_at", "not_after", "cause", "tolerated"):
            send.drop_column(name)
        send.add_column(sa.Column("not_before", MOMENT, nullable=True))
        send.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("send") as send:
        send.alter_column("failures", existing_type=sa.Integer(), server_default=None)
