"""A note on a published story: what was wrong and what is right, in a sentence for readers."""

from datetime import UTC, datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId
from nif.stories.kinds import LABELS, ChangeKind, Place, Severity, place_of
from nif.stories.models import Story
from nif.stories.reporting import ReaderReport

_AFTER_HEADING = " UTC: "


class Note(Base):
    """`text` is the whole sentence as readers have it.

    The revisions from `from_n` up to `to_n`, which is the first one that is right and is not one of
    them, said what was wrong. `report_id` is the reader's report that led to it, where one did.
    """

    __tablename__ = "note"
    __table_args__ = (
        Index("ix_note_newest", "at", "id"),
        Index("ix_note_story_id", "story_id", "to_n"),
        Index("ix_note_severity", "severity", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    kind: Mapped[ChangeKind]
    severity: Mapped[Severity]
    was: Mapped[str] = mapped_column(default="")
    now_: Mapped[str] = mapped_column(default="")
    text: Mapped[str]
    cause: Mapped[str] = mapped_column(default="")
    reported_by_reader: Mapped[bool] = mapped_column(default=False)
    report_id: Mapped[int | None] = mapped_column(ForeignKey(ReaderReport.id))
    at: Mapped[datetime]
    from_n: Mapped[int]
    to_n: Mapped[int]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))

    story: Mapped[Story] = relationship()

    @property
    def place(self) -> Place:
        return place_of(self.kind, self.severity)

    @property
    def label(self) -> str:
        return LABELS[self.kind]

    @property
    def heading(self) -> str:
        """The label and the moment, with which the text begins."""
        return f"{self.text.partition(_AFTER_HEADING)[0]} UTC"

    @property
    def sentence(self) -> str:
        """The text behind its heading."""
        return self.text.partition(_AFTER_HEADING)[2]


def sentence_of(kind: ChangeKind, said: str, *, by_a_reader: bool, now: datetime) -> str:
    """What readers are told: the label, which cannot be softened, the moment in UTC, the words."""
    moment = now.astimezone(UTC)
    when = f"{moment.day} {moment:%B %Y, %H:%M} UTC"
    told = " Reported by a reader." if by_a_reader else ""
    return f"{LABELS[kind]}, {when}: {said}{told}"


def put_right(was: str, now_: str) -> str:
    """What was wrong and what is right: one without the other is no correction."""
    return f"An earlier version of this story said {was.rstrip(' .')}. {as_sentence(now_)}"


def as_sentence(text: str) -> str:
    """The words as a sentence: with a capital letter and an end."""
    text = text.strip()
    ended = text if text[-1:] in {".", "!", "?", "”"} else f"{text}."
    return f"{ended[:1].upper()}{ended[1:]}"
