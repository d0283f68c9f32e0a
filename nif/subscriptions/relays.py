"""What the provider is to be told of whom it mails no more, and whether it knows."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base

WAITS = text("next_try_at IS NOT NULL")


class Relay(Base):
    """What the provider's own list is to say of an address of ours, and whether it does.

    `suppressed` is what it is to say, since `changed_at`. While `next_try_at` is set it is still to
    be told, from then on; `told_at` is when it last took it. What it lists with a date from
    `posted_from` to `posted_until` may be our own word. `refused` is why it will not take it.
    """

    __tablename__ = "suppression_relay"
    __table_args__ = (
        Index(
            *("ix_suppression_relay_next_try_at", "next_try_at"),
            sqlite_where=WAITS,
            postgresql_where=WAITS,
        ),
        Index(None, "suppressed", "told_at"),
    )

    canonical: Mapped[str] = mapped_column(primary_key=True)
    suppressed: Mapped[bool]
    changed_at: Mapped[datetime]
    next_try_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    posted_from: Mapped[datetime | None]
    posted_until: Mapped[datetime | None]
    refused: Mapped[str | None]
