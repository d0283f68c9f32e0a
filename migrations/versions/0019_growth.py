"""What happens on each list, counted by day and by source, from what is on record so far."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD = sa.String(32)

FILLINGS = (
    # A wish that was confirmed came from where it was asked for.
    """
    INSERT INTO source_count (list_id, what, day, source, count)
    SELECT list_id, 'joined', day, SUBSTR(source, 1, 120), COUNT(*) FROM (
        SELECT list_id, local_day(at) AS day, COALESCE(
            (SELECT CASE earlier.action WHEN 'asked' THEN earlier.source END
                FROM consent AS earlier
                WHERE earlier.subscriber_id = consent.subscriber_id
                AND earlier.list_id = consent.list_id AND earlier.id < consent.id
                AND earlier.action IN ('asked', 'confirmed', 'imported', 'left')
                ORDER BY earlier.id DESC LIMIT 1),
            source) AS source
        FROM consent WHERE action = 'confirmed') AS found
    GROUP BY list_id, day, SUBSTR(source, 1, 120)
    """,
    # Who left without having confirmed was never on the list.
    """
    INSERT INTO source_count (list_id, what, day, source, count)
    SELECT list_id, 'left', day, SUBSTR(source, 1, 120), COUNT(*) FROM (
        SELECT list_id, local_day(at) AS day, source,
            (SELECT earlier.action FROM consent AS earlier
                WHERE earlier.subscriber_id = consent.subscriber_id
                AND earlier.list_id = consent.list_id AND earlier.id < consent.id
                AND earlier.action IN ('asked', 'confirmed', 'imported', 'left')
                ORDER BY earlier.id DESC LIMIT 1) AS before
        FROM consent WHERE action = 'left' AND source NOT LIKE 'import:%') AS found
    WHERE before IN ('confirmed', 'imported')
    GROUP BY list_id, day, SUBSTR(source, 1, 120)
    """,
    """
    INSERT INTO source_count (list_id, what, day, source, count)
    SELECT list_id, CASE after WHEN 'confirmed' THEN 'imported' ELSE 'removed' END,
        local_day(COALESCE(started_at, created_at)),
        'import:' || CAST(import_run.id AS VARCHAR(20)), COUNT(*)
    FROM import_row JOIN import_run ON import_run.id = run_id
    WHERE after <> COALESCE(before, '') AND 'confirmed' IN (after, COALESCE(before, ''))
    GROUP BY list_id, import_run.id, CASE after WHEN 'confirmed' THEN 'imported' ELSE 'removed' END,
        local_day(COALESCE(started_at, created_at))
    """,
    """
    INSERT INTO day_count (list_id, what, day, count)
    SELECT list_id, what, day, SUM(count) FROM source_count GROUP BY list_id, what, day
    """,
    """
    INSERT INTO day_count (list_id, what, day, count)
    SELECT list_id, 'asked', local_day(at), COUNT(*) FROM consent WHERE action = 'asked'
    GROUP BY list_id, local_day(at)
    """,
    # By the day on which the send began: that of each event was not counted anywhere.
    """
    INSERT INTO day_count (list_id, what, day, count)
    SELECT list_id, what, local_day(starts_at), SUM(count) FROM (
        SELECT list_id, starts_at, count, CASE kind WHEN 'delivered' THEN 'delivered'
            WHEN 'bounce' THEN 'bounced' WHEN 'spamreport' THEN 'complained' END AS what
        FROM report JOIN send ON send.id = send_id) AS found
    WHERE what IS NOT NULL GROUP BY list_id, what, local_day(starts_at)
    """,
)


def upgrade() -> None:
    op.create_table(
        "day_count",
        sa.Column("list_id", ID, sa.ForeignKey("mailing_list.id"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("what", WORD, primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "source_count",
        sa.Column("list_id", ID, sa.ForeignKey("mailing_list.id"), primary_key=True),
        sa.Column("what", WORD, primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("source", sa.String(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    with days_of_the_house(connection) as function:
        for statement in FILLINGS:
            op.execute(statement.replace("local_day", function))


def downgrade() -> None:
    op.drop_table("source_count")
    op.drop_table("day_count")


@contextmanager
def days_of_the_house(connection: sa.Connection) -> Iterator[str]:
    """A function for SQL that makes a day of a moment, by the clock of the house: its name.

    SQLite knows no time zones, so there Python tells it.
    """
    zone = ZoneInfo(connection.get_execution_options().get("nif_zone", "UTC"))

    def local_day(moment: str) -> str:
        return str(datetime.fromisoformat(moment).replace(tzinfo=UTC).astimezone(zone).date())

    if connection.dialect.name == "sqlite":
        connection.connection.dbapi_connection.create_function("local_day", 1, local_day)
        yield "local_day"
        return
    op.execute(
        "CREATE FUNCTION pg_temp.local_day(timestamptz) RETURNS date LANGUAGE sql "
        f"AS $$ SELECT CAST($1 AT TIME ZONE '{zone.key}' AS date) $$"
    )
    yield "pg_temp.local_day"
    op.execute("DROP FUNCTION pg_temp.local_day(timestamptz)")
