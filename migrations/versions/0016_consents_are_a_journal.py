"""Consents refer to rows without foreign keys, as deliveries do: three checks less a person.

See docs/decisions/0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
REFERRED = {
    "fk_consent_list_id_mailing_list": ("list_id", "mailing_list", "id"),
    "fk_consent_subscriber_id_subscriber": ("subscriber_id", "subscriber", "id"),
    "fk_consent_wording_wording": ("wording", "wording", "version"),
}


def upgrade() -> None:
    with op.batch_alter_table("consent") as consents:
        for name in REFERRED:
            consents.drop_constraint(name, type_="foreignkey")


def downgrade() -> None:
    """Consents of whom nobody is left would refer to nothing: they go."""
    op.execute("DELETE FROM consent WHERE subscriber_id NOT IN (SELECT id FROM subscriber)")
    with op.batch_alter_table("consent") as consents:
        for name, (column, table, key) in REFERRED.items():
            consents.create_foreign_key(name, table, [column], [key])
