"""What the provider reports, as it is kept: the tray, the events, and what they add up to."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base, BigId
from nif.sends.models import Send

CLICKS: dict[str, Any] = dict.fromkeys(("sqlite_where", "postgresql_where"), text("kind = 'click'"))
"""What a person did: nothing is written here where tracking is off, as it is by default."""


class EventPost(Base):
    """What the provider's webhook posted, as it came, until it is processed.

    One that cannot be is kept with its `trouble`. It may hold the proof that a batch was taken, so
    while there is one, no batch is released for lack of proof.
    """

    __tablename__ = "event_post"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    body: Mapped[bytes]
    trouble: Mapped[str | None]


class Event(Base):
    """One thing that the provider reported, once, however often it was posted.

    `kind` is SendGrid's name of it, but for two that it tells apart only by a field: `blocked`, a
    bounce for a while, and `machine_open`, the opening of a mail by no person.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_attempt_id_subscriber_id", "attempt_id", "subscriber_id"),
        Index("ix_event_clicks", "happened_at", "subscriber_id", **CLICKS),
        Index("ix_event_clicks_of", "subscriber_id", "happened_at", **CLICKS),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    attempt_id: Mapped[str | None]
    subscriber_id: Mapped[int | None] = mapped_column(BigInteger)
    happened_at: Mapped[datetime]
    received_at: Mapped[datetime]
    detail: Mapped[str | None]


class Report(Base):
    """How many events of a kind came about a send. Kept with the events, in one transaction."""

    __tablename__ = "report"

    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


class Pulse(Base):
    """A second of which an event came in promptly: the stream was alive then."""

    __tablename__ = "pulse"

    second: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    received_at: Mapped[datetime]
