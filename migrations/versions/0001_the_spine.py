"""The spine: accounts, stories, lists, editions, the ledger of sends, and the trays of mail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
WORD = sa.String(32)

TABLES = (
    "account",
    "event",
    "event_post",
    "letter",
    "mailing_list",
    "outbox_post",
    "shelf",
    "subscriber",
    "suppression",
    "tag",
    "tally",
    "wording",
    "consent",
    "edition",
    "outbox_mail",
    "story",
    "subscription",
    "revision",
    "send",
    "source",
    "story_tag",
    "batch",
    "delivery",
    "edition_item",
    "attempt",
)


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("password", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("email", name="uq_account_email"),
        sa.UniqueConstraint("fs_uniquifier", name="uq_account_fs_uniquifier"),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=True),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=True),
        sa.Column("happened_at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    op.create_index("ix_event_attempt_id", "event", ["attempt_id"])
    op.create_index("ix_event_happened_at", "event", ["happened_at"])

    op.create_table(
        "event_post",
        sa.Column("id", ID, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_event_post"),
    )
    op.create_index("ix_event_post_received_at", "event_post", ["received_at"])

    op.create_table(
        "letter",
        sa.Column("id", ID, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("message", JSON, nullable=True),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_letter"),
    )
    op.create_index("ix_letter_next_try_at", "letter", ["next_try_at"])

    op.create_table(
        "mailing_list",
        sa.Column("id", ID, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("schedule", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("scheduled_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("pending_count", sa.Integer(), nullable=False),
        sa.Column("confirmed_count", sa.Integer(), nullable=False),
        sa.Column("left_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mailing_list"),
        sa.UniqueConstraint("slug", name="uq_mailing_list_slug"),
    )
    op.create_table(
        "outbox_post",
        sa.Column("attempt", sa.String(), nullable=False),
        sa.Column("posted_at", MOMENT, nullable=False),
        sa.Column("message", JSON, nullable=False),
        sa.PrimaryKeyConstraint("attempt", name="pk_outbox_post"),
    )
    op.create_table(
        "shelf",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shelf"),
    )
    op.create_table(
        "subscriber",
        sa.Column("id", ID, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscriber"),
        sa.UniqueConstraint("canonical", name="uq_subscriber_canonical"),
    )
    op.create_table(
        "suppression",
        sa.Column("canonical", sa.String(), nullable=False),
        sa.Column("reason", WORD, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("canonical", name="pk_suppression"),
    )
    op.create_table(
        "tag",
        sa.Column("id", ID, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tag"),
        sa.UniqueConstraint("slug", name="uq_tag_slug"),
    )
    op.create_table(
        "tally",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_tally"),
    )
    op.create_index("ix_tally_began_at", "tally", ["began_at"])

    op.create_table(
        "wording",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("first_used_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_wording"),
    )
    op.create_table(
        "consent",
        sa.Column("id", ID, nullable=False),
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("action", WORD, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("wording", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_consent_list_id_mailing_list"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_consent_subscriber_id_subscriber"
        ),
        sa.ForeignKeyConstraint(
            ["wording"], ["wording.version"], name="fk_consent_wording_wording"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    op.create_index("ix_consent_subscriber_id", "consent", ["subscriber_id"])

    op.create_table(
        "edition",
        sa.Column("id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("slot", sa.Date(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("message", JSON, nullable=True),
        sa.Column("content_hash", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_edition_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_edition"),
        sa.UniqueConstraint("list_id", "slot", name="uq_edition_list_id_slot"),
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
    )
    op.create_index("ix_outbox_mail_address", "outbox_mail", ["address"])
    op.create_index("ix_outbox_mail_attempt", "outbox_mail", ["attempt"])

    op.create_table(
        "story",
        sa.Column("id", ID, nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("story_type", WORD, nullable=False),
        sa.Column("headline", sa.String(), nullable=False),
        sa.Column("dek", sa.String(), nullable=False),
        sa.Column("lead", sa.String(), nullable=False),
        sa.Column("sections", JSON, nullable=False),
        sa.Column("byline", sa.String(), nullable=False),
        sa.Column("author_id", ID, nullable=True),
        sa.Column("reason_code", WORD, nullable=True),
        sa.Column("reason_subject", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("first_published_at", MOMENT, nullable=True),
        sa.Column("current_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["account.id"], name="fk_story_author_id_account"),
        sa.PrimaryKeyConstraint("id", name="pk_story"),
        sa.UniqueConstraint("slug", name="uq_story_slug"),
    )
    op.create_index("ix_story_current_id", "story", ["current_id"])
    op.create_index("ix_story_newest", "story", ["first_published_at", "id"])
    op.create_index("ix_story_updated_at", "story", ["updated_at"])

    op.create_table(
        "subscription",
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("left_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_subscription_list_id_mailing_list"
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_subscription_subscriber_id_subscriber"
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "list_id", name="pk_subscription"),
    )
    op.create_index(
        "ix_subscription_confirmed", "subscription", ["list_id", "state", "subscriber_id"]
    )

    op.create_table(
        "revision",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("story_type", WORD, nullable=False),
        sa.Column("headline", sa.String(), nullable=False),
        sa.Column("dek", sa.String(), nullable=False),
        sa.Column("lead", sa.String(), nullable=False),
        sa.Column("sections", JSON, nullable=False),
        sa.Column("byline", sa.String(), nullable=False),
        sa.Column("block", JSON, nullable=False),
        sa.Column("sources", JSON, nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("words", sa.Integer(), nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Column("first_published_at", MOMENT, nullable=False),
        sa.Column("published_by_id", ID, nullable=True),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["published_by_id"], ["account.id"], name="fk_revision_published_by_id_account"
        ),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_revision_story_id_story"),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
        sa.UniqueConstraint("story_id", "n", name="uq_revision_story_id_n"),
    )
    op.create_table(
        "send",
        sa.Column("id", ID, nullable=False),
        sa.Column("edition_id", ID, nullable=False),
        sa.Column("list_id", ID, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("audience", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("not_before", MOMENT, nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name="fk_send_edition_id_edition"),
        sa.ForeignKeyConstraint(
            ["list_id"], ["mailing_list.id"], name="fk_send_list_id_mailing_list"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_send"),
        sa.UniqueConstraint("edition_id", name="uq_send_edition_id"),
    )
    op.create_index("ix_send_list_id", "send", ["list_id"])
    op.create_index("ix_send_state", "send", ["state"])

    op.create_table(
        "source",
        sa.Column("id", ID, nullable=False),
        sa.Column("story_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("publisher", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("taken", sa.String(), nullable=False),
        sa.Column("seen_by_us", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_source_story_id_story"),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
    )
    op.create_index("ix_source_story_id", "source", ["story_id"])

    op.create_table(
        "story_tag",
        sa.Column("story_id", ID, nullable=False),
        sa.Column("tag_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name="fk_story_tag_story_id_story"),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name="fk_story_tag_tag_id_tag"),
        sa.PrimaryKeyConstraint("story_id", "tag_id", name="pk_story_tag"),
    )
    op.create_index("ix_story_tag_tag_id", "story_tag", ["tag_id"])

    op.create_table(
        "batch",
        sa.Column("id", ID, nullable=False),
        sa.Column("send_id", ID, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("dropped", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_batch_send_id_send"),
        sa.PrimaryKeyConstraint("id", name="pk_batch"),
        sa.UniqueConstraint("send_id", "first", name="uq_batch_send_id_first"),
    )
    op.create_index("ix_batch_send_id_state", "batch", ["send_id", "state"])

    op.create_table(
        "delivery",
        sa.Column("send_id", ID, nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", WORD, nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["send_id"], ["send.id"], name="fk_delivery_send_id_send"),
        sa.PrimaryKeyConstraint("send_id", "subscriber_id", name="pk_delivery"),
        sqlite_with_rowid=False,
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
        "attempt",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("result", WORD, nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_attempt_batch_id_batch"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
    )
    op.create_index("ix_attempt_batch_id", "attempt", ["batch_id"])


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
