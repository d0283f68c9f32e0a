"""Corrections by mail: a slot may have a digest and editions of notes; a note names its report."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD = sa.String()


def upgrade() -> None:
    with op.batch_alter_table("note") as notes:
        notes.add_column(sa.Column("report_id", ID, nullable=True))
        notes.create_foreign_key(
            "fk_note_report_id_reader_report", "reader_report", ["report_id"], ["id"]
        )
    with op.batch_alter_table("edition") as editions:
        editions.add_column(sa.Column("occasion", WORD, nullable=False, server_default="digest"))
        editions.add_column(sa.Column("note_id", ID, nullable=True))
        editions.create_foreign_key("fk_edition_note_id_note", "note", ["note_id"], ["id"])
        editions.drop_constraint("uq_edition_list_id_slot", type_="unique")
        editions.create_unique_constraint(
            "uq_edition_list_id_slot_occasion", ["list_id", "slot", "occasion"]
        )
        editions.create_unique_constraint("uq_edition_note_id_list_id", ["note_id", "list_id"])
    with op.batch_alter_table("edition") as editions:
        # What the models say; the default was for the rows that were there.
        editions.alter_column("occasion", existing_type=WORD, server_default=None)


def downgrade() -> None:
    """The editions of notes go, with their sends: the table has room for one edition of a slot."""
    _forget_editions_of_notes()
    with op.batch_alter_table("edition") as editions:
        editions.drop_constraint("uq_edition_note_id_list_id", type_="unique")
        editions.drop_constraint("uq_edition_list_id_slot_occasion", type_="unique")
        editions.create_unique_constraint("uq_edition_list_id_slot", ["list_id", "slot"])
        editions.drop_constraint("fk_edition_note_id_note", type_="foreignkey")
        editions.drop_column("note_id")
        editions.drop_column("occasion")
    with op.batch_alter_table("note") as notes:
        notes.drop_constraint("fk_note_report_id_reader_report", type_="foreignkey")
        notes.drop_column("report_id")


def _forget_editions_of_notes() -> None:
    editions = "SELECT id FROM edition WHERE occasion <> 'digest'"
    sends = f"SELECT id FROM send WHERE edition_id IN ({editions})"  # noqa: S608
    for table in ("report", "attempt", "batch", "delivery", "lease"):
        op.execute(f"DELETE FROM {table} WHERE send_id IN ({sends})")  # noqa: S608
    for table in ("send", "note_delivery"):
        op.execute(f"DELETE FROM {table} WHERE edition_id IN ({editions})")  # noqa: S608
    op.execute("DELETE FROM edition WHERE occasion <> 'digest'")
