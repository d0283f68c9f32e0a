"""Askings: editions that ask their readers something, how fast they go, and what came of them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.database import Base, BigId
from nif.editions.models import Edition
from nif.subscriptions.models import MailingList


class AskingKind(StrEnum):
    """CONFIRM asks pending people whether they want a list, STAY readers whether they still do."""

    CONFIRM = "confirm"
    STAY = "stay"


class AskingState(StrEnum):
    """OPEN while it is mailed and waits for answers; STOPPED lets nobody go, whatever comes."""

    OPEN = "open"
    LETTING_GO = "letting_go"
    DONE = "done"
    STOPPED = "stopped"


UNDER_WAY = text("kind = 'stay' AND state IN ('open', 'letting_go')")
"""A list asks its quiet readers once at a time."""


class Asking(Base):
    """A question to a frozen audience, which goes out as an edition's send, so many an hour.

    Whoever did something themselves since `since` is not asked, and not let go. Nothing more is
    posted before `free_at`. An asking of CONFIRM is of one import, which has one at most. One of
    STAY is to those of whom there was no sign for `months`; who has not answered `wait_days` after
    the last was mailed may be let go, and `cursor` is how far that is. `answered` and `gone`
    (left by themselves) were counted at `counted_at`; `let_go` is kept by the rule that lets go.
    """

    __tablename__ = "asking"
    __table_args__ = (
        UniqueConstraint("edition_id"),
        UniqueConstraint("run_id"),
        Index(
            "uq_asking_open",
            "list_id",
            unique=True,
            sqlite_where=UNDER_WAY,
            postgresql_where=UNDER_WAY,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey(Edition.id))
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), index=True)
    kind: Mapped[AskingKind]
    state: Mapped[AskingState] = mapped_column(index=True)
    run_id: Mapped[int | None] = mapped_column(BigInteger)
    made_at: Mapped[datetime]
    since: Mapped[datetime]
    per_hour: Mapped[int]
    free_at: Mapped[datetime]
    months: Mapped[int | None]
    wait_days: Mapped[int | None]
    answered: Mapped[int] = mapped_column(default=0)
    gone: Mapped[int] = mapped_column(default=0)
    let_go: Mapped[int] = mapped_column(default=0)
    counted_at: Mapped[datetime | None]
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    ended_at: Mapped[datetime | None]

    edition: Mapped[Edition] = relationship()


class QuietFigures(Base):
    """How many readers of a list had shown no sign of life for 6, 12 and 24 months, at a time."""

    __tablename__ = "quiet_figures"

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    half_a_year: Mapped[int]
    a_year: Mapped[int]
    two_years: Mapped[int]
    counted_at: Mapped[datetime]
