"""The editions of a list's newsletter, each frozen with its stories before it is mailed."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.database import Base, BigId
from nif.mail.message import Message
from nif.stories.corrections import StoryNote
from nif.stories.models import Revision, Story
from nif.subscriptions.models import MailingList


class EditionState(StrEnum):
    """WITHDRAWN: its send was undone. CANCELLED: its send was cancelled before anything left."""

    FROZEN = "frozen"
    EMPTY = "empty"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    UNRECORDED = "unrecorded"


TAKEN_BACK_STATES = (EditionState.WITHDRAWN, EditionState.CANCELLED)
"""A person decided that the edition is not mailed, and nothing of it had left: its stories and
corrections are new again."""

DIGEST_OCCASION = "digest"
"""The occasion of an edition that was made for a slot."""

REPLACED_OCCASION_PREFIX = "replaced-"
"""The beginning of the occasion of a digest that was taken back, and whose slot may have another.
It stays because of its send."""


def correction_occasion_of(note_id: int) -> str:
    """The occasion of an edition that carries one correction."""
    return f"note-{note_id}"


REPERMISSION_OCCASION_PREFIX = "repermission-"
"""The beginning of the occasion of a re-permission mail."""


class Edition(Base):
    """What became of one slot of a list, or an edition with a single correction or question.

    There is one digest per list and local date: frozen with its content, empty because there was no
    news, missed because NIF was down for too long, taken back by a person before it was mailed, or
    unrecorded: it was mailed, but a database that went back in time has nothing else of it.
    So five schedulers, or a restart at digest time, make one edition. A note gets at most one
    edition per list, whatever the date; its slot is the local date on which it was made.

    `message` is mailed from now on. `version` counts how often the edition was frozen: the messages
    of before, which some subscribers got, are in `ReplacedMessage`.
    """

    __tablename__ = "edition"
    __table_args__ = (
        UniqueConstraint("list_id", "slot", "occasion"),
        UniqueConstraint("note_id", "list_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id))
    slot: Mapped[date]
    due_at: Mapped[datetime]
    made_at: Mapped[datetime]
    state: Mapped[EditionState]
    message: Mapped[dict[str, Any] | None]
    content_hash: Mapped[str | None]
    occasion: Mapped[str] = mapped_column(default=DIGEST_OCCASION)
    note_id: Mapped[int | None] = mapped_column(ForeignKey(StoryNote.id))
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))

    mailing_list: Mapped[MailingList] = relationship()
    items: Mapped[list["EditionItem"]] = relationship(order_by="EditionItem.position")

    @property
    def path(self) -> str:
        """Its address below that of its list's archive."""
        return f"{self.slot}/correction-{self.note_id}" if self.note_id else str(self.slot)

    @property
    def is_repermission(self) -> bool:
        """Is it a re-permission mail? Then it is in no archive."""
        return self.occasion.startswith(REPERMISSION_OCCASION_PREFIX)

    def as_message(self) -> Message:
        """The frozen message. An edition that was never frozen has none."""
        return Message(**(self.message or {}))


class EditionItem(Base):
    """A story in an edition, pinned to the revision that is mailed. A list gets a story once.

    `last_version` is the last version of the edition that has it; None while the current one does.
    """

    __tablename__ = "edition_item"
    __table_args__ = (UniqueConstraint("list_id", "story_id"),)

    edition_id: Mapped[int] = mapped_column(ForeignKey(Edition.id), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id))
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    revision_id: Mapped[int] = mapped_column(ForeignKey(Revision.id))
    last_version: Mapped[int | None]

    revision: Mapped[Revision] = relationship()


class ReplacedMessage(Base):
    """A version of an edition that is mailed no more, because a story was left out since."""

    __tablename__ = "replaced_message"

    edition_id: Mapped[int] = mapped_column(ForeignKey(Edition.id), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    message: Mapped[dict[str, Any]]
    content_hash: Mapped[str]
    replaced_at: Mapped[datetime]


class EditionNote(Base):
    """A note that an edition carries to the subscribers of a list that mailed the error. Once per
    list.
    """

    __tablename__ = "edition_note"

    note_id: Mapped[int] = mapped_column(ForeignKey(StoryNote.id), primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey(Edition.id), index=True)
