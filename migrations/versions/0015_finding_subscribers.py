"""Finding subscribers: by a part of their address, and by what is kept of them; saved segments.

What finds an address by its part is no table of the models: on SQLite it is a full-text table of
trigrams, on PostgreSQL a table with an index over the trigrams, by a function of our own, so that
no extension has to be there. See docs/decisions/0017.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
OWN = sa.text("action IN ('confirmed', 'left', 'changed', 'paused', 'resumed')")
CLICKS = sa.text("kind = 'click'")

ON_SQLITE = (
    "CREATE VIRTUAL TABLE subscriber_search USING fts5(canonical, tokenize='trigram')",
    """
    CREATE TRIGGER subscriber_search_changed AFTER UPDATE OF canonical ON subscriber
    WHEN old.canonical <> new.canonical BEGIN
        UPDATE subscriber_search SET canonical = new.canonical WHERE rowid = old.id;
    END
    """,
    """
    CREATE TRIGGER subscriber_search_gone AFTER DELETE ON subscriber BEGIN
        DELETE FROM subscriber_search WHERE rowid = old.id;
    END
    """,
)
ON_POSTGRESQL = (
    "CREATE TABLE subscriber_search (id bigint PRIMARY KEY, canonical text NOT NULL)",
    """
    CREATE FUNCTION nif_grams(words text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT array_agg(substr(words, n, 3)) FROM generate_series(1, length(words) - 2) AS n
    $$
    """,
    "CREATE INDEX ix_subscriber_search ON subscriber_search USING gin (nif_grams(canonical))",
    """
    CREATE FUNCTION nif_subscriber_search() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' THEN
            DELETE FROM subscriber_search WHERE id = old.id;
        ELSE
            UPDATE subscriber_search SET canonical = new.canonical WHERE id = old.id;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER subscriber_search_kept AFTER DELETE OR UPDATE OF canonical ON subscriber
    FOR EACH ROW EXECUTE FUNCTION nif_subscriber_search()
    """,
)
BACK_ON_SQLITE = (
    "DROP TRIGGER subscriber_search_gone",
    "DROP TRIGGER subscriber_search_changed",
    "DROP TABLE subscriber_search",
)
BACK_ON_POSTGRESQL = (
    "DROP TRIGGER subscriber_search_kept ON subscriber",
    "DROP FUNCTION nif_subscriber_search()",
    "DROP TABLE subscriber_search",
    "DROP FUNCTION nif_grams(text)",
)


def upgrade() -> None:
    op.create_index("ix_subscriber_created_at_id", "subscriber", ["created_at", "id"])
    op.create_index("ix_consent_source_subscriber_id", "consent", ["source", "subscriber_id"])
    op.create_index(
        "ix_consent_own",
        "consent",
        ["at", "subscriber_id"],
        sqlite_where=OWN,
        postgresql_where=OWN,
    )
    for name, columns in (
        ("ix_event_clicks", ["happened_at", "subscriber_id"]),
        ("ix_event_clicks_of", ["subscriber_id", "happened_at"]),
    ):
        op.create_index(name, "event", columns, sqlite_where=CLICKS, postgresql_where=CLICKS)
    op.create_index("ix_act_subject", "act", ["subject_kind", "subject_id", "id"])
    op.create_table(
        "segment",
        sa.Column("id", ID, primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("conditions", JSON, nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("counted_at", MOMENT, nullable=True),
        sa.UniqueConstraint("name", name="uq_segment_name"),
    )
    op.create_table(
        "search_mark",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
    )
    for statement in ON_SQLITE if _on_sqlite() else ON_POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    for statement in BACK_ON_SQLITE if _on_sqlite() else BACK_ON_POSTGRESQL:
        op.execute(statement)
    op.drop_table("search_mark")
    op.drop_table("segment")
    op.drop_index("ix_act_subject", "act")
    op.drop_index("ix_event_clicks_of", "event")
    op.drop_index("ix_event_clicks", "event")
    op.drop_index("ix_consent_own", "consent")
    op.drop_index("ix_consent_source_subscriber_id", "consent")
    op.drop_index("ix_subscriber_created_at_id", "subscriber")


def _on_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"
