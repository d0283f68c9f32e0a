"""The days of the house, and what is counted on each of them."""

from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import Date, ForeignKey
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import ZONE, Base
from nif.subscriptions.models import MailingList


class Happening(StrEnum):
    """What happens on a list, as its days count it.

    JOINED and LEFT are the deeds of readers, IMPORTED and REMOVED those of the house: by a file, by
    undoing one, or because two addresses were one person's. ERASED are those who were forgotten
    while they were on it. So what is confirmed on a list is JOINED and IMPORTED less LEFT, REMOVED
    and ERASED, of all its days. The others are asked for, or reported by the provider, and move
    nobody.
    """

    ASKED = "asked"
    JOINED = "joined"
    IMPORTED = "imported"
    LEFT = "left"
    REMOVED = "removed"
    ERASED = "erased"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class DayCount(Base):
    """How often something happened on a list on a day of the house's clock. No person is in it."""

    __tablename__ = "day_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    what: Mapped[Happening] = mapped_column(primary_key=True)
    count: Mapped[int]


class SourceCount(Base):
    """The same by where it came from, for joining and leaving: a page, a file, the provider."""

    __tablename__ = "source_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    what: Mapped[Happening] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


def day_of(session: Session, moment: datetime) -> date:
    """The day on which something happened, by the clock of the house."""
    zone = session.get_bind().get_execution_options().get(ZONE, "UTC")
    return moment.astimezone(ZoneInfo(zone)).date()
