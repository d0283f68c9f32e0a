"""A story as it is worked on, the records behind its transparency block, and what was published."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId
from nif.media.models import Picture
from nif.register.models import Party
from nif.stories.kinds import ChangeKind, Checked, Standing, Verdict
from nif.stories.measuring import minutes


class StoryType(StrEnum):
    BRIEF = "brief"
    REPORT = "report"
    ANALYSIS = "analysis"
    EXPLAINER = "explainer"
    INTERVIEW = "interview"
    OPINION = "opinion"


class StoryState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    SCHEDULED = "scheduled"
    PUBLISHED = "published"


class BlockStyle(StrEnum):
    """`CLASSIC` says what has to be said; `FULL` also what was taken on trust, and what is not."""

    CLASSIC = "classic"
    FULL = "full"


class SourceKind(StrEnum):
    PUBLICATION = "publication"
    PRESS_RELEASE = "press_release"
    COURT_FILING = "court_filing"
    COMPANY_FILING = "company_filing"
    INTERVIEW = "interview"
    DATASET = "dataset"
    OWN_REPORTING = "own_reporting"


class ReasonCode(StrEnum):
    TOPIC_NEWS = "topic_news"
    PUBLIC_INTEREST = "public_interest"
    EXCLUSIVE = "exclusive"
    FOLLOWUP = "followup"
    READER_REQUEST = "reader_request"
    DATA_RELEASE = "data_release"
    UNDERREPORTED = "underreported"
    ACCOUNTABILITY = "accountability"
    CALENDAR = "calendar"
    OWN_GROUP = "own_group"


story_tag = Table(
    *("story_tag", Base.metadata),
    Column("story_id", ForeignKey("story.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True, index=True),
)


story_party = Table(
    *("story_party", Base.metadata),
    Column("story_id", ForeignKey("story.id"), primary_key=True),
    Column("party_id", ForeignKey(Party.id), primary_key=True, index=True),
)


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class Story(Base):
    """The working copy. Readers see its `current` revision, never this.

    `sections` is a list of {"label": str, "bullets": [str, …], "picture": id or None}, each bullet
    as it was typed: see `markup`. Sections from before there were pictures have no "picture".
    `answers` are those of `nif.stories.answers`, by question.
    """

    __tablename__ = "story"
    __table_args__ = (
        Index("ix_story_newest", "first_published_at", "id"),
        Index("ix_story_desk", "state", "updated_at", "id"),
        Index("ix_story_mine", "author_id", "updated_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    state: Mapped[StoryState] = mapped_column(default=StoryState.DRAFT)
    story_type: Mapped[StoryType] = mapped_column(default=StoryType.BRIEF)
    headline: Mapped[str]
    dek: Mapped[str] = mapped_column(default="")
    lead: Mapped[str] = mapped_column(default="")
    sections: Mapped[list[Any]] = mapped_column(default=list)
    picture_id: Mapped[int | None] = mapped_column(ForeignKey(Picture.id), index=True)
    byline: Mapped[str] = mapped_column(default="")
    author_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    reason_code: Mapped[ReasonCode | None]
    reason_subject: Mapped[str] = mapped_column(default="")
    answers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    block_style: Mapped[BlockStyle] = mapped_column(default=BlockStyle.CLASSIC)
    publish_at: Mapped[datetime | None] = mapped_column(index=True)
    embargo_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)
    edits: Mapped[int] = mapped_column(default=0)
    first_published_at: Mapped[datetime | None]
    # No foreign key: revisions point to their story, and a circle helps nobody.
    current_id: Mapped[int | None] = mapped_column(BigInteger, index=True)

    sources: Mapped[list["Source"]] = relationship(
        order_by="Source.position", cascade="all, delete-orphan", back_populates="story"
    )
    tags: Mapped[list[Tag]] = relationship(secondary=story_tag, order_by=Tag.name)


class Source(Base):
    """Where a story came from: what was taken from it, and whether NIF saw it itself.

    Where it did not, `relied_on` is the position of the source whose account of it was taken.
    A person who is not named has `unnamed_because`, a clause for readers, and `known_to`, the name
    of the editor who knows who it is: that stays in the newsroom.
    """

    __tablename__ = "source"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id), index=True)
    position: Mapped[int]
    kind: Mapped[SourceKind]
    publisher: Mapped[str] = mapped_column(default="")
    title: Mapped[str] = mapped_column(default="")
    url: Mapped[str] = mapped_column(default="")
    taken: Mapped[str] = mapped_column(default="")
    seen_by_us: Mapped[bool] = mapped_column(default=True)
    relied_on: Mapped[int | None]
    checked: Mapped[Checked | None]
    unnamed_because: Mapped[str] = mapped_column(default="")
    known_to: Mapped[str] = mapped_column(default="")

    story: Mapped[Story] = relationship(back_populates="sources")

    @property
    def is_unnamed(self) -> bool:
        return bool(self.unnamed_because or self.known_to)


class Revision(Base):
    """One published state of a story: frozen, whole, and all that its page needs.

    `sections` is a list of {"anchor", "label", "bullets": [{"anchor", "text", "sources": [n, …]}]},
    with a "picture" where one stands after it; that and `picture` are as `media.freezing` has it;
    `block` a list of {"kind", "text", "links": [[words, address], …]}; `tags` a list of
    [slug, name]; `sources` and `answers` are the records behind the block. `kind` and `summary`
    say what changed since the one before, `changed` by how many characters, and `confirmed_by` who
    else found that it is style. `modified_at` is when the story last said something else.
    """

    __tablename__ = "revision"
    __table_args__ = (UniqueConstraint("story_id", "n"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    n: Mapped[int]
    slug: Mapped[str]
    story_type: Mapped[StoryType]
    headline: Mapped[str]
    dek: Mapped[str]
    lead: Mapped[str]
    sections: Mapped[list[Any]]
    picture: Mapped[dict[str, Any] | None]
    byline: Mapped[str]
    block: Mapped[list[Any]]
    sources: Mapped[list[Any]]
    answers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tags: Mapped[list[Any]]
    words: Mapped[int]
    published_at: Mapped[datetime]
    first_published_at: Mapped[datetime]
    published_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    content_hash: Mapped[str]
    kind: Mapped[ChangeKind] = mapped_column(default=ChangeKind.PUBLISH)
    summary: Mapped[str] = mapped_column(default="")
    changed: Mapped[int] = mapped_column(default=0)
    confirmed_by: Mapped[str] = mapped_column(default="")
    standing: Mapped[Standing] = mapped_column(default=Standing.SOUND)
    modified_at: Mapped[datetime]

    @property
    def label(self) -> str:
        """What is said before the headline; empty for a story that stands as it is."""
        return "" if self.standing is Standing.SOUND else self.standing.value.capitalize()

    @property
    def minutes(self) -> int:
        """Reading time in minutes."""
        return minutes(self.words)


class Review(Base):
    """A second pair of eyes on one saved state of a story: `edits` says on which."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id), index=True)
    edits: Mapped[int]
    verdict: Mapped[Verdict]
    remark: Mapped[str] = mapped_column(default="")
    by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    by: Mapped[str]
    at: Mapped[datetime]


class Override(Base):
    """A gate that was passed by decision: who took it, and why. Readers see how many there are."""

    __tablename__ = "override"
    __table_args__ = (UniqueConstraint("story_id", "code"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    code: Mapped[str]
    reason: Mapped[str]
    by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    by: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)


class Shelf(Base):
    """One row whose number grows with every change that a reader could see."""

    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]
