"""An attempt keeps the sender that it was posted from, where the edition names another one."""

import sqlalchemy as sa
from alembic import op

revision = "v0005"
down_revision = "v0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("sender", sa.String()))


def downgrade() -> None:
    op.drop_column("attempt", "sender")
