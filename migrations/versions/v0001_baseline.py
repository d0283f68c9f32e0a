"""The schema of the first release. Databases of earlier versions cannot be upgraded to it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "v0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

CREATE_SEARCH_ON_SQLITE = (
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
CREATE_SEARCH_ON_POSTGRESQL = (
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
DROP_SEARCH_ON_SQLITE = (
    "DROP TRIGGER subscriber_search_gone",
    "DROP TRIGGER subscriber_search_changed",
    "DROP TABLE subscriber_search",
)
DROP_SEARCH_ON_POSTGRESQL = (
    "DROP TRIGGER subscriber_search_kept ON subscriber",
    "DROP FUNCTION nif_subscriber_search()",
    "DROP TABLE subscriber_search",
    "DROP FUNCTION nif_grams(text)",
)


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("password", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("invited_at", MOMENT, nullable=True),
        sa.Column("last_seen_on", sa.Date(), nullable=True),
        sa.Column("tf_primary_method", sa.String(), nullable=True),
        sa.Column("tf_totp_secret", sa.String(), nullable=True),
        sa.Column("totp_counter", sa.Integer(), nullable=True),
        sa.Column("mf_recovery_codes", JSON, nullable=True),
        sa.Column("fs_webauthn_user_handle", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("email", name="uq_account_email"),
        sa.UniqueConstraint("fs_uniquifier", name="uq_account_fs_uniquifier"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_account_fs_webauthn_user_handle", "account", ["fs_webauthn_user_handle"], unique=True
    )
    op.create_table(
        "address_index_mark",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("indexed_through_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_address_index_mark"),
    )
    op.create_table(
        "attack_mode",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("until", MOMENT, nullable=True),
        sa.Column("off_until", MOMENT, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attack_mode"),
    )
    op.create_table(
        "canary",
        sa.Column("second", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("second", name="pk_canary"),
    )
    op.create_table(
        "circuit_breaker",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cause", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("tripped_at", MOMENT, nullable=True),
        sa.Column("retry_at", MOMENT, nullable=True),
        sa.Column("probe_until", MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_circuit_breaker"),
    )
    op.create_table(
        "consent",
        sa.Column("id", ID, nullable=False),
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("wording", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_consent_reader_action",
        "consent",
        ["at", "subscriber_id"],
        unique=False,
        sqlite_where=sa.text(
            "action IN ('confirmed', 'unsubscribed', 'changed', 'paused', 'resumed')"
        ),
        postgresql_where=sa.text(
            "action IN ('confirmed', 'unsubscribed', 'changed', 'paused', 'resumed')"
        ),
    )
    op.create_index(
        "ix_consent_source_subscriber_id", "consent", ["source", "subscriber_id"], unique=False
    )
    op.create_index("ix_consent_subscriber_id", "consent", ["subscriber_id"], unique=False)
    op.create_table(
        "consent_wording",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("first_used_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_consent_wording"),
    )
    op.create_table(
        "delivery",
        sa.Column("send_id", ID, nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("send_id", "subscriber_id", name="pk_delivery"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "failed_sign_ins",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("account_id", ID, autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "account_id", name="pk_failed_sign_ins"),
    )
    op.create_table(
        "held_signup_count",
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("reason", name="pk_held_signup_count"),
    )
    op.create_table(
        "imported_subscription",
        sa.Column("import_id", ID, nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("created_subscriber", sa.Boolean(), nullable=False),
        sa.Column("state_before", sa.String(length=32), nullable=True),
        sa.Column("state_after", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "subscriber_id", name="pk_imported_subscription"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_checkpoint",
        sa.Column("size", ID, autoincrement=False, nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("signed_at", MOMENT, nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_ledger_checkpoint"),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("seq", ID, autoincrement=False, nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("story", sa.String(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.Column("payload", JSON, nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_ledger_entry"),
        sa.UniqueConstraint("entry_hash", name="uq_ledger_entry_entry_hash"),
        sa.UniqueConstraint("prev", name="uq_ledger_entry_prev"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", ID, nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_head"),
    )
    op.create_table(
        "ledger_key",
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_ledger_key"),
    )
    op.create_table(
        "mailing_list",
        sa.Column("id", ID, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("schedule", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=True),
        sa.Column("scheduled_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("pending_count", sa.Integer(), nullable=False),
        sa.Column("confirmed_count", sa.Integer(), nullable=False),
        sa.Column("unsubscribed_count", sa.Integer(), nullable=False),
        sa.Column("sender_name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("is_shown", sa.Boolean(), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("news_from", MOMENT, nullable=False),
        sa.Column("archived_at", MOMENT, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mailing_list"),
        sa.UniqueConstraint("slug", name="uq_mailing_list_slug"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox_post",
        sa.Column("attempt", sa.String(), nullable=False),
        sa.Column("posted_at", MOMENT, nullable=False),
        sa.Column("message", JSON, nullable=False),
        sa.PrimaryKeyConstraint("attempt", name="pk_outbox_post"),
    )
    op.create_table(
        "page_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_page_version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "party",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded_name", sa.String(), nullable=True),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("domains", JSON, nullable=False),
        sa.Column("same_as", JSON, nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("merged_into_id", ID, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["merged_into_id"], ["party.id"], name="fk_party_merged_into_id_party"
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["party.id"], name="fk_party_parent_id_party"),
        sa.PrimaryKeyConstraint("id", name="pk_party"),
        sa.UniqueConstraint("folded_name", name="uq_party_folded_name"),
        sa.UniqueConstraint("slug", name="uq_party_slug"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_party_merged_into_id", "party", ["merged_into_id"], unique=False)
    op.create_index("ix_party_parent_id", "party", ["parent_id"], unique=False)
    op.create_table(
        "periodic_task",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("succeeded_at", MOMENT, nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_periodic_task"),
    )
    op.create_table(
        "provider_event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=True),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=True),
        sa.Column("happened_at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_provider_event"),
    )
    op.create_index(
        "ix_provider_event_attempt_id_subscriber_id",
        "provider_event",
        ["attempt_id", "subscriber_id"],
        unique=False,
    )
    op.create_index(
        "ix_provider_event_clicks",
        "provider_event",
        ["happened_at", "subscriber_id"],
        unique=False,
        sqlite_where=sa.text("kind = 'click'"),
        postgresql_where=sa.text("kind = 'click'"),
    )
    op.create_index(
        "ix_provider_event_clicks_of",
        "provider_event",
        ["subscriber_id", "happened_at"],
        unique=False,
        sqlite_where=sa.text("kind = 'click'"),
        postgresql_where=sa.text("kind = 'click'"),
    )
    op.create_table(
        "provider_event_post",
        sa.Column("id", ID, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_provider_event_post"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_provider_event_post_received_at", "provider_event_post", ["received_at"], unique=False
    )
    op.create_table(
        "rate_limit",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("window_started_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_rate_limit"),
    )
    op.create_index(
        "ix_rate_limit_window_started_at", "rate_limit", ["window_started_at"], unique=False
    )
    op.create_table(
        "register_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_register_version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "retention_run",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "day", name="pk_retention_run"),
    )
    op.create_table(
        "segment",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("conditions", JSON, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("counted_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_segment"),
        sa.UniqueConstraint("name", name="uq_segment_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "send_quota",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("available_at", MOMENT, nullable=False),
        sa.Column("hour_start", MOMENT, nullable=False),
        sa.Column("used_in_hour", sa.Integer(), nullable=False),
        sa.Column("day_start", MOMENT, nullable=False),
        sa.Column("used_in_day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_send_quota"),
    )
    op.create_table(
        "signup",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("wording", sa.String(), nullable=True),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("request_count", sa.Integer(), nullable=False),
        sa.Column("hold_reason", sa.String(length=32), nullable=True),
        sa.Column("process_at", MOMENT, nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signup"),
        sa.UniqueConstraint(
            "kind", "canonical", "list_id", name="uq_signup_kind_canonical_list_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_signup_hold_reason", "signup", ["hold_reason", "id"], unique=False)
    op.create_index("ix_signup_process_at", "signup", ["process_at"], unique=False)
    op.create_index("ix_signup_requested_at", "signup", ["requested_at"], unique=False)
    op.create_table(
        "signup_count",
        sa.Column("slot", MOMENT, nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_signup_count"),
    )
    op.create_table(
        "signup_refusal",
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("canonical", name="pk_signup_refusal"),
    )
    op.create_table(
        "subscriber",
        sa.Column("id", ID, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_subscriber"),
        sa.UniqueConstraint("canonical", name="uq_subscriber_canonical"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_subscriber_created_at_id", "subscriber", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_subscriber_paused_until",
        "subscriber",
        ["paused_until"],
        unique=False,
        sqlite_where=sa.text("paused_until IS NOT NULL"),
        postgresql_where=sa.text("paused_until IS NOT NULL"),
    )
    op.create_table(
        "suppression",
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("canonical", name="pk_suppression"),
    )
    op.create_index(
        "ix_suppression_newest",
        "suppression",
        ["at", "canonical"],
        unique=False,
        sqlite_where=sa.text("reason != 'erased'"),
        postgresql_where=sa.text("reason != 'erased'"),
    )
    op.create_index(
        "ix_suppression_prefix",
        "suppression",
        ["canonical"],
        unique=False,
        sqlite_where=sa.text("reason != 'erased'"),
        postgresql_where=sa.text("reason != 'erased'"),
        postgresql_ops={"canonical": "text_pattern_ops"},
    )
    op.create_index(
        "ix_suppression_reason_at_canonical",
        "suppression",
        ["reason", "at", "canonical"],
        unique=False,
    )
    op.create_table(
        "suppression_count_change",
        sa.Column("id", ID, nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_suppression_count_change"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "suppression_outbox",
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("suppressed", sa.Boolean(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("pushed_at", MOMENT, nullable=True),
        sa.Column("posted_from", MOMENT, nullable=True),
        sa.Column("posted_until", MOMENT, nullable=True),
        sa.Column("rejection", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("canonical", name="pk_suppression_outbox"),
    )
    op.create_index(
        "ix_suppression_outbox_next_try_at",
        "suppression_outbox",
        ["next_try_at"],
        unique=False,
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_index(
        "ix_suppression_outbox_suppressed_pushed_at",
        "suppression_outbox",
        ["suppressed", "pushed_at"],
        unique=False,
    )
    op.create_table(
        "tag",
        sa.Column("id", ID, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tag"),
        sa.UniqueConstraint("slug", name="uq_tag_slug"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "transactional_email",
        sa.Column("id", ID, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("message", JSON, nullable=True),
        sa.Column("queued_at", MOMENT, nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_transactional_email"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_transactional_email_next_try_at", "transactional_email", ["next_try_at"], unique=False
    )
    op.create_table(
        "used_proof_of_work",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_used_proof_of_work"),
    )
    op.create_index(
        "ix_used_proof_of_work_expires_at", "used_proof_of_work", ["expires_at"], unique=False
    )
    op.create_table(
        "address_change",
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_address_change_subscriber_id_subscriber"
        ),
        sa.PrimaryKeyConstraint("subscriber_id", name="pk_address_change"),
    )
    op.create_index(
        "ix_address_change_requested_at", "address_change", ["requested_at"], unique=False
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("account_name", sa.String(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("detail", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_audit_entry_account_id_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_audit_entry_account_id_id", "audit_entry", ["account_id", "id"], unique=False
    )
    op.create_index("ix_audit_entry_action_id", "audit_entry", ["action", "id"], unique=False)
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"], unique=False)
    op.create_index(
        "ix_audit_entry_subject", "audit_entry", ["subject_kind", "subject_id", "id"], unique=False
    )
    op.create_table(
        "daily_list_count",
        sa.Column("list_id", ID, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_daily_list_count_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("list_id", "day", "metric", name="pk_daily_list_count"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daily_source_count",
        sa.Column("list_id", ID, nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_daily_source_count_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("list_id", "metric", "day", "source", name="pk_daily_source_count"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "import_run",
        sa.Column("id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("stored_name", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("encoding", sa.String(), nullable=False),
        sa.Column("separator", sa.String(), nullable=False),
        sa.Column("has_header", sa.Boolean(), nullable=False),
        sa.Column("columns", JSON, nullable=False),
        sa.Column("consent_source", sa.String(), nullable=False),
        sa.Column("confirmed_elsewhere", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("lines_read", sa.Integer(), nullable=False),
        sa.Column("undone_through_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome_counts", JSON, nullable=False),
        sa.Column("dry_run_counts", JSON, nullable=False),
        sa.Column("undo_counts", JSON, nullable=False),
        sa.Column("problem_counts", JSON, nullable=False),
        sa.Column("worked_seconds", sa.Double(), nullable=False),
        sa.Column("failure_reason", sa.String(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("lease_holder", sa.String(), nullable=True),
        sa.Column("lease_renewed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_import_run_account_id_account"
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_import_run_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_import_run"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_run_list_id_id", "import_run", ["list_id", "id"], unique=False)
    op.create_index("ix_import_run_state", "import_run", ["state"], unique=False)
    op.create_table(
        "inactive_counts",
        sa.Column("list_id", ID, nullable=False),
        sa.Column("half_a_year", sa.Integer(), nullable=False),
        sa.Column("a_year", sa.Integer(), nullable=False),
        sa.Column("two_years", sa.Integer(), nullable=False),
        sa.Column("counted_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_inactive_counts_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("list_id", name="pk_inactive_counts"),
    )
    op.create_table(
        "outbox_mail",
        sa.Column("id", ID, nullable=False),
        sa.Column("attempt", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("copy", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["outbox_post.attempt"], name="fk_outbox_mail_attempt_outbox_post"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_mail"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_mail_address", "outbox_mail", ["address"], unique=False)
    op.create_index("ix_outbox_mail_attempt", "outbox_mail", ["attempt"], unique=False)
    op.create_table(
        "party_alias",
        sa.Column("id", ID, nullable=False),
        sa.Column("party_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("folded_name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name="fk_party_alias_party_id_party"),
        sa.PrimaryKeyConstraint("id", name="pk_party_alias"),
        sa.UniqueConstraint("party_id", "folded_name", name="uq_party_alias_party_id_folded_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_party_alias_folded_name", "party_alias", ["folded_name"], unique=False)
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
        sqlite_autoincrement=True,
    )
    op.create_index("ix_passkey_account_id", "passkey", ["account_id"], unique=False)
    op.create_table(
        "picture",
        sa.Column("id", ID, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("master", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("alt", sa.String(), nullable=False),
        sa.Column("is_decorative", sa.Boolean(), nullable=False),
        sa.Column("credit", sa.String(), nullable=False),
        sa.Column("credit_url", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("licence_url", sa.String(), nullable=False),
        sa.Column("caption", sa.String(), nullable=False),
        sa.Column("source_type", sa.String(length=32), nullable=False),
        sa.Column("declared_source_type", sa.String(), nullable=False),
        sa.Column("had_provenance", sa.Boolean(), nullable=False),
        sa.Column("focus_x", sa.Double(), nullable=False),
        sa.Column("focus_y", sa.Double(), nullable=False),
        sa.Column("crops", JSON, nullable=False),
        sa.Column("search_text", sa.String(), nullable=False),
        sa.Column("use_count", sa.Integer(), nullable=False),
        sa.Column("requested_set", sa.Integer(), nullable=False),
        sa.Column("ready_set", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=True),
        sa.Column("created_by_id", ID, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["account.id"], name="fk_picture_created_by_id_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_picture"),
        sa.UniqueConstraint("sha256", name="uq_picture_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_picture_due",
        "picture",
        ["id"],
        unique=False,
        sqlite_where=sa.text("ready_set < requested_set"),
        postgresql_where=sa.text("ready_set < requested_set"),
    )
    op.create_table(
        "profile",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("slug", sa.String(), nullable=True),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("job_title", sa.String(), nullable=False),
        sa.Column("bio", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("languages", sa.String(), nullable=False),
        sa.Column("expertise", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_profile_account_id_account"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_profile"),
        sa.UniqueConstraint("slug", name="uq_profile_slug"),
    )
    op.create_table(
        "relationship",
        sa.Column("id", ID, nullable=False),
        sa.Column("our_side", sa.String(length=32), nullable=False),
        sa.Column("our_side_name", sa.String(), nullable=False),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("party_id", ID, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("direction", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("lookback_months", sa.Integer(), nullable=True),
        sa.Column("last_disclosure_day", sa.Date(), nullable=True),
        sa.Column("materiality", sa.String(length=32), nullable=False),
        sa.Column("amount_band", sa.String(length=32), nullable=False),
        sa.Column("custom_sentence", sa.String(), nullable=False),
        sa.Column("current_sentence", sa.String(), nullable=False),
        sa.Column("past_sentence", sa.String(), nullable=False),
        sa.Column("visibility", sa.String(length=32), nullable=False),
        sa.Column("evidence_url", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_by_id", ID, nullable=True),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_relationship_account_id_account"
        ),
        sa.ForeignKeyConstraint(
            ["changed_by_id"], ["account.id"], name="fk_relationship_changed_by_id_account"
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name="fk_relationship_party_id_party"),
        sa.PrimaryKeyConstraint("id", name="pk_relationship"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_relationship_account_id", "relationship", ["account_id"], unique=False)
    op.create_index("ix_relationship_party_id", "relationship", ["party_id"], unique=False)
    op.create_table(
        "subscription",
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("unsubscribed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_subscription_list_id_mailing_list"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_subscription_subscriber_id_subscriber"
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "list_id", name="pk_subscription"),
    )
    op.create_index(
        "ix_subscription_confirmed",
        "subscription",
        ["list_id", "state", "subscriber_id"],
        unique=False,
    )
    op.create_table(
        "subscription_tag",
        sa.Column("list_id", ID, nullable=False),
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_subscription_tag_list_id_mailing_list"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name="fk_subscription_tag_subscriber_id_subscriber",
        ),
        sa.PrimaryKeyConstraint("list_id", "subscriber_id", "tag", name="pk_subscription_tag"),
    )
    op.create_index(
        "ix_subscription_tag_subscriber_id", "subscription_tag", ["subscriber_id"], unique=False
    )
    op.create_table(
        "disclosure_decision",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", sa.BigInteger(), nullable=False),
        sa.Column("relationship_id", ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(length=32), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by_id", ID, nullable=True),
        sa.Column("confirmed_by_id", ID, nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["account.id"], name="fk_disclosure_decision_by_id_account"
        ),
        sa.ForeignKeyConstraint(
            ["confirmed_by_id"],
            ["account.id"],
            name="fk_disclosure_decision_confirmed_by_id_account",
        ),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["relationship.id"],
            name="fk_disclosure_decision_relationship_id_relationship",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_disclosure_decision"),
        sa.UniqueConstraint(
            "story_id", "relationship_id", name="uq_disclosure_decision_story_id_relationship_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_disclosure_decision_decision", "disclosure_decision", ["decision"], unique=False
    )
    op.create_index(
        "ix_disclosure_decision_relationship_id",
        "disclosure_decision",
        ["relationship_id"],
        unique=False,
    )
    op.create_table(
        "import_problem",
        sa.Column("import_id", ID, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("cell", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_run.id"], name="fk_import_problem_import_id_import_run"
        ),
        sa.PrimaryKeyConstraint("import_id", "line", name="pk_import_problem"),
    )
    op.create_table(
        "rendition",
        sa.Column("id", ID, nullable=False),
        sa.Column("picture_id", ID, nullable=False),
        sa.Column("set_number", sa.Integer(), nullable=False),
        sa.Column("shape", sa.String(length=32), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["picture_id"], ["picture.id"], name="fk_rendition_picture_id_picture"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rendition"),
        sa.UniqueConstraint(
            "picture_id",
            "set_number",
            "shape",
            "format",
            "width",
            name="uq_rendition_picture_id_set_number_shape_format_width",
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "story",
        sa.Column("id", ID, nullable=False),
        sa.Column("ledger_id", sa.String(length=16), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("story_type", sa.String(length=32), nullable=False),
        sa.Column("headline", sa.String(), nullable=False),
        sa.Column("dek", sa.String(), nullable=False),
        sa.Column("lead", sa.String(), nullable=False),
        sa.Column("sections", JSON, nullable=False),
        sa.Column("picture_id", ID, nullable=True),
        sa.Column("byline", sa.String(), nullable=False),
        sa.Column("author_id", ID, nullable=True),
        sa.Column("reason_code", sa.String(length=32), nullable=True),
        sa.Column("reason_subject", sa.String(), nullable=False),
        sa.Column("answers", JSON, nullable=False),
        sa.Column("block_style", sa.String(length=32), nullable=False),
        sa.Column("publish_at", MOMENT, nullable=True),
        sa.Column("embargo_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("first_published_at", MOMENT, nullable=True),
        sa.Column("current_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["account.id"], name="fk_story_author_id_account"),
        sa.ForeignKeyConstraint(["picture_id"], ["picture.id"], name="fk_story_picture_id_picture"),
        sa.PrimaryKeyConstraint("id", name="pk_story"),
        sa.UniqueConstraint("ledger_id", name="uq_story_ledger_id"),
        sa.UniqueConstraint("slug", name="uq_story_slug"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_story_author", "story", ["author_id", "updated_at", "id"], unique=False)
    op.create_index("ix_story_current_id", "story", ["current_id"], unique=False)
    op.create_index("ix_story_newest", "story", ["first_published_at", "id"], unique=False)
    op.create_index("ix_story_picture_id", "story", ["picture_id"], unique=False)
    op.create_index("ix_story_publish_at", "story", ["publish_at"], unique=False)
    op.create_index("ix_story_state", "story", ["state", "updated_at", "id"], unique=False)
    op.create_index("ix_story_updated_at", "story", ["updated_at"], unique=False)
    op.create_table(
        "check_override",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by_id", ID, nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["account.id"], name="fk_check_override_by_id_account"),
        sa.ForeignKeyConstraint(
            ["story_id"], ["story.id"], name="fk_check_override_story_id_story"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_check_override"),
        sa.UniqueConstraint("story_id", "code", name="uq_check_override_story_id_code"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_check_override_at", "check_override", ["at"], unique=False)
    op.create_table(
        "reader_report",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=True),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("answered_by_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["answered_by_id"], ["account.id"], name="fk_reader_report_answered_by_id_account"
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_reader_report_story_id_story"),
        sa.PrimaryKeyConstraint("id", name="pk_reader_report"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reader_report_story_id", "reader_report", ["story_id"], unique=False)
    op.create_index("ix_reader_report_verdict", "reader_report", ["verdict", "id"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("remark", sa.String(), nullable=False),
        sa.Column("by_id", ID, nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["account.id"], name="fk_review_by_id_account"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_review_story_id_story"),
        sa.PrimaryKeyConstraint("id", name="pk_review"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_review_story_id", "review", ["story_id"], unique=False)
    op.create_table(
        "revision",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("story_type", sa.String(length=32), nullable=False),
        sa.Column("headline", sa.String(), nullable=False),
        sa.Column("dek", sa.String(), nullable=False),
        sa.Column("lead", sa.String(), nullable=False),
        sa.Column("sections", JSON, nullable=False),
        sa.Column("picture", JSON, nullable=True),
        sa.Column("byline", sa.String(), nullable=False),
        sa.Column("block", JSON, nullable=False),
        sa.Column("sources", JSON, nullable=False),
        sa.Column("answers", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("word_count", sa.Integer(), nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Column("first_published_at", MOMENT, nullable=False),
        sa.Column("published_by_id", ID, nullable=True),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("changed_characters", sa.Integer(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=False),
        sa.Column("standing", sa.String(length=32), nullable=False),
        sa.Column("modified_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["published_by_id"], ["account.id"], name="fk_revision_published_by_id_account"
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_revision_story_id_story"),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
        sa.UniqueConstraint("story_id", "n", name="uq_revision_story_id_n"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "source",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("publisher", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("taken", sa.String(), nullable=False),
        sa.Column("seen_by_us", sa.Boolean(), nullable=False),
        sa.Column("relied_on", sa.Integer(), nullable=True),
        sa.Column("checked", sa.String(length=32), nullable=True),
        sa.Column("unnamed_because", sa.String(), nullable=False),
        sa.Column("known_to", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_source_story_id_story"),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_source_story_id", "source", ["story_id"], unique=False)
    op.create_table(
        "story_autosave",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("by_id", ID, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("edits", sa.Integer(), nullable=True),
        sa.Column("form", JSON, nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["account.id"], name="fk_story_autosave_by_id_account"),
        sa.ForeignKeyConstraint(
            ["story_id"], ["story.id"], name="fk_story_autosave_story_id_story"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_story_autosave"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_story_autosave_kept", "story_autosave", ["story_id", "by_id", "id"], unique=False
    )
    op.create_table(
        "story_byline",
        sa.Column("story_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_story_byline_account_id_account"
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_story_byline_story_id_story"),
        sa.PrimaryKeyConstraint("story_id", "account_id", name="pk_story_byline"),
    )
    op.create_index("ix_story_byline_account_id", "story_byline", ["account_id"], unique=False)
    op.create_table(
        "story_party",
        sa.Column("story_id", ID, nullable=False),
        sa.Column("party_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name="fk_story_party_party_id_party"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_story_party_story_id_story"),
        sa.PrimaryKeyConstraint("story_id", "party_id", name="pk_story_party"),
    )
    op.create_index("ix_story_party_party_id", "story_party", ["party_id"], unique=False)
    op.create_table(
        "story_search",
        sa.Column("story_id", ID, autoincrement=False, nullable=False),
        sa.Column("folded", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_story_search_story_id_story"),
        sa.PrimaryKeyConstraint("story_id", name="pk_story_search"),
    )
    op.create_table(
        "story_tag",
        sa.Column("story_id", ID, nullable=False),
        sa.Column("tag_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_story_tag_story_id_story"),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name="fk_story_tag_tag_id_tag"),
        sa.PrimaryKeyConstraint("story_id", "tag_id", name="pk_story_tag"),
    )
    op.create_index("ix_story_tag_tag_id", "story_tag", ["tag_id"], unique=False)
    op.create_table(
        "note",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=32), nullable=False),
        sa.Column("incorrect_text", sa.String(), nullable=False),
        sa.Column("corrected_text", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reported_by_reader", sa.Boolean(), nullable=False),
        sa.Column("report_id", ID, nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("first_wrong_n", sa.Integer(), nullable=False),
        sa.Column("first_right_n", sa.Integer(), nullable=False),
        sa.Column("approved_by_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["approved_by_id"], ["account.id"], name="fk_note_approved_by_id_account"
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["reader_report.id"], name="fk_note_report_id_reader_report"
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_note_story_id_story"),
        sa.PrimaryKeyConstraint("id", name="pk_note"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_note_newest", "note", ["at", "id"], unique=False)
    op.create_index("ix_note_severity", "note", ["severity", "at"], unique=False)
    op.create_index("ix_note_story_id", "note", ["story_id", "first_right_n"], unique=False)
    op.create_table(
        "edition",
        sa.Column("id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("slot", sa.Date(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("message", JSON, nullable=True),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("note_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_edition_list_id_mailing_list"
        ),
        sa.ForeignKeyConstraint(["note_id"], ["note.id"], name="fk_edition_note_id_note"),
        sa.PrimaryKeyConstraint("id", name="pk_edition"),
        sa.UniqueConstraint("list_id", "slot", "occasion", name="uq_edition_list_id_slot_occasion"),
        sa.UniqueConstraint("note_id", "list_id", name="uq_edition_note_id_list_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "edition_item",
        sa.Column("edition_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("revision_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name="fk_edition_item_edition_id_edition"
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_edition_item_list_id_mailing_list"
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["revision.id"], name="fk_edition_item_revision_id_revision"
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_edition_item_story_id_story"),
        sa.PrimaryKeyConstraint("edition_id", "position", name="pk_edition_item"),
        sa.UniqueConstraint("list_id", "story_id", name="uq_edition_item_list_id_story_id"),
    )
    op.create_table(
        "edition_note",
        sa.Column("note_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("edition_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name="fk_edition_note_edition_id_edition"
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_edition_note_list_id_mailing_list"
        ),
        sa.ForeignKeyConstraint(["note_id"], ["note.id"], name="fk_edition_note_note_id_note"),
        sa.PrimaryKeyConstraint("note_id", "list_id", name="pk_edition_note"),
    )
    op.create_index("ix_edition_note_edition_id", "edition_note", ["edition_id"], unique=False)
    op.create_table(
        "repermission_campaign",
        sa.Column("id", ID, nullable=False),
        sa.Column("edition_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("import_run_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("activity_since", MOMENT, nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=False),
        sa.Column("available_at", MOMENT, nullable=False),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("wait_days", sa.Integer(), nullable=True),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("unsubscribed_themselves", sa.Integer(), nullable=False),
        sa.Column("unsubscribed_by_policy", sa.Integer(), nullable=False),
        sa.Column("counted_at", MOMENT, nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name="fk_repermission_campaign_edition_id_edition"
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_repermission_campaign_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_repermission_campaign"),
        sa.UniqueConstraint("edition_id", name="uq_repermission_campaign_edition_id"),
        sa.UniqueConstraint("import_run_id", name="uq_repermission_campaign_import_run_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_repermission_campaign_list_id", "repermission_campaign", ["list_id"], unique=False
    )
    op.create_index(
        "ix_repermission_campaign_state", "repermission_campaign", ["state"], unique=False
    )
    op.create_index(
        "uq_repermission_campaign_stay_under_way",
        "repermission_campaign",
        ["list_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'stay' AND state IN ('open', 'unsubscribing')"),
        postgresql_where=sa.text("kind = 'stay' AND state IN ('open', 'unsubscribing')"),
    )
    op.create_table(
        "send",
        sa.Column("id", ID, nullable=False),
        sa.Column("edition_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("audience", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("not_after", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("stop_cause", sa.String(length=32), nullable=True),
        sa.Column("stop_detail", sa.String(), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("high_rates_tolerated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name="fk_send_edition_id_edition"),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_send_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_send"),
        sa.UniqueConstraint("edition_id", name="uq_send_edition_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_send_list_id", "send", ["list_id"], unique=False)
    op.create_index("ix_send_state", "send", ["state"], unique=False)
    op.create_table(
        "batch",
        sa.Column("id", ID, nullable=False),
        sa.Column("send_id", ID, nullable=False),
        sa.Column("first_subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("last_subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("render_failed", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_batch_send_id_send"),
        sa.PrimaryKeyConstraint("id", name="pk_batch"),
        sa.UniqueConstraint(
            "send_id", "first_subscriber_id", name="uq_batch_send_id_first_subscriber_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_batch_send_id_state", "batch", ["send_id", "state", "first_subscriber_id"], unique=False
    )
    op.create_index(
        "ix_batch_unsettled",
        "batch",
        ["state"],
        unique=False,
        sqlite_where=sa.text("state IN ('in_flight', 'awaiting_proof', 'awaiting_decision')"),
        postgresql_where=sa.text("state IN ('in_flight', 'awaiting_proof', 'awaiting_decision')"),
    )
    op.create_table(
        "lease",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("send_id", ID, nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("acquired_at", MOMENT, nullable=False),
        sa.Column("renewed_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_lease_send_id_send"),
        sa.PrimaryKeyConstraint("id", name="pk_lease"),
    )
    op.create_index("ix_lease_ended_at", "lease", ["ended_at"], unique=False)
    op.create_table(
        "send_event_count",
        sa.Column("send_id", ID, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_send_event_count_send_id_send"),
        sa.PrimaryKeyConstraint("send_id", "kind", name="pk_send_event_count"),
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("send_id", ID, nullable=False),
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("lease_id", sa.String(), nullable=False),
        sa.Column("first_subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("last_subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("result", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("fence", sa.String(), nullable=True),
        sa.Column("goes_out_at", MOMENT, nullable=True),
        sa.Column("event_seen_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_attempt_batch_id_batch"),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_attempt_send_id_send"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
    )
    op.create_index(
        "ix_attempt_recalled",
        "attempt",
        ["goes_out_at"],
        unique=False,
        sqlite_where=sa.text("result = 'recalled' AND fence IS NOT NULL"),
        postgresql_where=sa.text("result = 'recalled' AND fence IS NOT NULL"),
    )
    op.create_index(
        "ix_attempt_send_id_first_subscriber_id",
        "attempt",
        ["send_id", "first_subscriber_id"],
        unique=False,
    )
    # ### end Alembic commands ###
    for statement in CREATE_SEARCH_ON_SQLITE if _is_sqlite() else CREATE_SEARCH_ON_POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    for statement in DROP_SEARCH_ON_SQLITE if _is_sqlite() else DROP_SEARCH_ON_POSTGRESQL:
        op.execute(statement)
    op.drop_table("attempt")
    op.drop_table("send_event_count")
    op.drop_table("lease")
    op.drop_table("batch")
    op.drop_table("send")
    op.drop_table("repermission_campaign")
    op.drop_table("edition_note")
    op.drop_table("edition_item")
    op.drop_table("edition")
    op.drop_table("note")
    op.drop_table("story_tag")
    op.drop_table("story_search")
    op.drop_table("story_party")
    op.drop_table("story_byline")
    op.drop_table("story_autosave")
    op.drop_table("source")
    op.drop_table("revision")
    op.drop_table("review")
    op.drop_table("reader_report")
    op.drop_table("check_override")
    op.drop_table("story")
    op.drop_table("rendition")
    op.drop_table("import_problem")
    op.drop_table("disclosure_decision")
    op.drop_table("subscription_tag")
    op.drop_table("subscription")
    op.drop_table("relationship")
    op.drop_table("profile")
    op.drop_table("picture")
    op.drop_table("passkey")
    op.drop_table("party_alias")
    op.drop_table("outbox_mail")
    op.drop_table("inactive_counts")
    op.drop_table("import_run")
    op.drop_table("daily_source_count")
    op.drop_table("daily_list_count")
    op.drop_table("audit_entry")
    op.drop_table("address_change")
    op.drop_table("used_proof_of_work")
    op.drop_table("transactional_email")
    op.drop_table("tag")
    op.drop_table("suppression_outbox")
    op.drop_table("suppression_count_change")
    op.drop_table("suppression")
    op.drop_table("subscriber")
    op.drop_table("signup_refusal")
    op.drop_table("signup_count")
    op.drop_table("signup")
    op.drop_table("send_quota")
    op.drop_table("segment")
    op.drop_table("retention_run")
    op.drop_table("register_version")
    op.drop_table("rate_limit")
    op.drop_table("provider_event_post")
    op.drop_table("provider_event")
    op.drop_table("periodic_task")
    op.drop_table("party")
    op.drop_table("page_version")
    op.drop_table("outbox_post")
    op.drop_table("mailing_list")
    op.drop_table("ledger_key")
    op.drop_table("ledger_head")
    op.drop_table("ledger_entry")
    op.drop_table("ledger_checkpoint")
    op.drop_table("imported_subscription")
    op.drop_table("held_signup_count")
    op.drop_table("failed_sign_ins")
    op.drop_table("delivery")
    op.drop_table("consent_wording")
    op.drop_table("consent")
    op.drop_table("circuit_breaker")
    op.drop_table("canary")
    op.drop_table("attack_mode")
    op.drop_table("address_index_mark")
    op.drop_table("account")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"
