"""Stories, the records behind their transparency block, and their published revisions.

Also the kinds of change to a published story, their severity, and what follows from both.
"""

import hashlib
import secrets
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.accounts.models import Account
from nif.database import Base, BigId
from nif.media.models import Picture
from nif.register.models import Party
from nif.stories.text import reading_minutes_of


class ChangeKind(StrEnum):
    """The kind of a revision.

    `PUBLISH` is a story's first revision. `STYLE`, such as a corrected misspelling or a repaired
    link, is the only change without a note.
    """

    PUBLISH = "publish"
    STYLE = "style"
    UPDATE = "update"
    CORRECTION = "correction"
    CLARIFICATION = "clarification"
    LATE_DISCLOSURE = "late_disclosure"
    RIGHT_OF_REPLY = "right_of_reply"
    EDITORS_NOTE = "editors_note"
    RETRACTION = "retraction"
    REMOVAL = "removal"


class NoteSeverity(StrEnum):
    """How serious an error was.

    `MINOR` changes no conclusion of a reader. `SIGNIFICANT` is about a name, a number, a quotation
    or an allegation; `SERIOUS` about the headline, the premise, or somebody's reputation.
    """

    MINOR = "minor"
    SIGNIFICANT = "significant"
    SERIOUS = "serious"


class StoryStanding(StrEnum):
    """Whether NIF still stands by a story, from good to worst.

    All but `SOUND` are shown before the headline, wherever the story is listed.
    """

    SOUND = "sound"
    CORRECTED = "corrected"
    RETRACTED = "retracted"
    REMOVED = "removed"

    @property
    def stands(self) -> bool:
        """True while NIF stands by the story."""
        return self in {StoryStanding.SOUND, StoryStanding.CORRECTED}


class NotePlacement(StrEnum):
    """Where the page of a story shows a note."""

    TOP = "top"
    DATELINE = "dateline"
    FOOT = "foot"


NOTE_LABELS = {
    ChangeKind.CORRECTION: "Correction",
    ChangeKind.CLARIFICATION: "Clarification",
    ChangeKind.UPDATE: "Updated",
    ChangeKind.LATE_DISCLOSURE: "Disclosure added",
    ChangeKind.RIGHT_OF_REPLY: "Response added",
    ChangeKind.EDITORS_NOTE: "Editor’s note",
    ChangeKind.RETRACTION: "Retracted",
    ChangeKind.REMOVAL: "Removed",
}
"""The label of each kind of note. A correction has no softer name."""

CHANGE_LABELS = {ChangeKind.PUBLISH: "Published", ChangeKind.STYLE: "Style", **NOTE_LABELS}

CORRECTIVE_KINDS = tuple(
    kind for kind in NOTE_LABELS if kind not in {ChangeKind.UPDATE, ChangeKind.RIGHT_OF_REPLY}
)
"""The kinds of note that say that something was wrong."""

KINDS_WITHOUT_TEXT_CHANGE = frozenset(
    {ChangeKind.CLARIFICATION, ChangeKind.EDITORS_NOTE, ChangeKind.RETRACTION, ChangeKind.REMOVAL}
)
"""Kinds of note that may be published without a change to the text."""

_DEFAULT_SEVERITY = {
    ChangeKind.LATE_DISCLOSURE: NoteSeverity.SIGNIFICANT,
    ChangeKind.EDITORS_NOTE: NoteSeverity.SIGNIFICANT,
    ChangeKind.RETRACTION: NoteSeverity.SERIOUS,
    ChangeKind.REMOVAL: NoteSeverity.SERIOUS,
}


def note_severity_of(kind: ChangeKind, chosen: NoteSeverity | None) -> NoteSeverity:
    """The severity of a note: `chosen` by a person for a correction, else fixed by its kind."""
    if kind is ChangeKind.CORRECTION and chosen is not None:
        return chosen
    return _DEFAULT_SEVERITY.get(kind, NoteSeverity.MINOR)


def standing_after(
    before: StoryStanding, kind: ChangeKind, severity: NoteSeverity | None
) -> StoryStanding:
    """The standing of a story after a change. It never becomes better again."""
    if kind is ChangeKind.CORRECTION and severity is not NoteSeverity.SERIOUS:
        return before
    new = {
        ChangeKind.RETRACTION: StoryStanding.RETRACTED,
        ChangeKind.REMOVAL: StoryStanding.REMOVED,
        ChangeKind.CORRECTION: StoryStanding.CORRECTED,
    }.get(kind, before)
    return max(before, new, key=list(StoryStanding).index)


class ReleaseVerification(StrEnum):
    """How far NIF verified a press release."""

    NO = "no"
    PARTLY = "partly"
    YES = "yes"


class ReviewVerdict(StrEnum):
    """One step of a story's review.

    `CONFIRMED` is a second person's confirmation that a change is only a matter of style.
    """

    REQUESTED = "requested"
    APPROVED = "approved"
    SENT_BACK = "sent_back"
    CONFIRMED = "confirmed"


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
    """How detailed a transparency block is.

    `CLASSIC` has what must be disclosed. `FULL` adds sources that NIF did not see itself, and a
    sentence of what there is not: no payment, no relationship, no AI.
    """

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


def new_ledger_id() -> str:
    return secrets.token_hex(8)


class Story(Base):
    """The working copy of a story. Readers see the revision `current_id`, never the working copy.

    `sections` is a list of {"label": str, "bullets": [str, …], "picture": id or None}. Bullets are
    stored as typed: see `nif.stories.text`. Old sections may lack "picture". `answers` are signed
    answers by question: see `nif.stories.transparency_block`. `edits` counts how often the working
    copy was saved. `ledger_id` is the random id that names the story in the public ledger: it
    reveals nothing about the story and never changes.
    """

    __tablename__ = "story"
    __table_args__ = (
        Index("ix_story_newest", "first_published_at", "id"),
        Index("ix_story_state", "state", "updated_at", "id"),
        Index("ix_story_author", "author_id", "updated_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    ledger_id: Mapped[str] = mapped_column(String(16), unique=True, default=new_ledger_id)
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
    # No foreign key: revisions refer to their story, and a cycle would complicate deletes.
    current_id: Mapped[int | None] = mapped_column(BigInteger, index=True)

    sources: Mapped[list["StorySource"]] = relationship(
        order_by="StorySource.position", cascade="all, delete-orphan", back_populates="story"
    )
    tags: Mapped[list[Tag]] = relationship(secondary=story_tag, order_by=Tag.name)


class StorySource(Base):
    """A source of a story.

    `taken` says what the story uses of it. `seen_by_us` is whether NIF saw it itself; where not,
    `relied_on` is the position of the source whose account of it the story relies on. An unnamed
    person has `unnamed_because`, a clause that readers see, and `known_to`, the name of the editor
    who knows the person, which readers never see.
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
    checked: Mapped[ReleaseVerification | None]
    unnamed_because: Mapped[str] = mapped_column(default="")
    known_to: Mapped[str] = mapped_column(default="")

    story: Mapped[Story] = relationship(back_populates="sources")

    @property
    def is_unnamed(self) -> bool:
        return bool(self.unnamed_because or self.known_to)


class Revision(Base):
    """One published state of a story, immutable, with everything that its page needs.

    `sections` is a list of {"anchor", "label", "bullets": [{"anchor", "text", "sources": [n, …]}]},
    with a "picture" where one follows; that and `picture` are snapshots of `nif.media.models`.
    `block` is a list of {"kind", "text", "links": [[words, address], …]}, `tags` a list of
    [slug, name]; `sources` and `answers` are the records behind the block. `kind`, `summary` and
    `changed_characters` describe the change since the revision before; `confirmed_by` is the
    second person who confirmed a change of style. `modified_at` is the moment of the last change
    other than style.
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
    word_count: Mapped[int]
    published_at: Mapped[datetime]
    first_published_at: Mapped[datetime]
    published_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    content_hash: Mapped[str]
    kind: Mapped[ChangeKind] = mapped_column(default=ChangeKind.PUBLISH)
    summary: Mapped[str] = mapped_column(default="")
    changed_characters: Mapped[int] = mapped_column(default=0)
    confirmed_by: Mapped[str] = mapped_column(default="")
    standing: Mapped[StoryStanding] = mapped_column(default=StoryStanding.SOUND)
    modified_at: Mapped[datetime]

    @property
    def label(self) -> str:
        """The word shown before the headline, such as "Retracted"; empty for a sound story."""
        return "" if self.standing is StoryStanding.SOUND else self.standing.value.capitalize()

    @property
    def reading_minutes(self) -> int:
        """Reading time in minutes."""
        return reading_minutes_of(self.word_count)


class Review(Base):
    """One step in the review of a story; `edits` is the saved state that was reviewed."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id), index=True)
    edits: Mapped[int]
    verdict: Mapped[ReviewVerdict]
    remark: Mapped[str] = mapped_column(default="")
    by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    by: Mapped[str]
    at: Mapped[datetime]


class CheckOverride(Base):
    """A failed check that an editor overrode, and the reason. Readers see reasons and counts."""

    __tablename__ = "check_override"
    __table_args__ = (UniqueConstraint("story_id", "code"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    code: Mapped[str]
    reason: Mapped[str]
    by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    by: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)


class PageVersion(Base):
    """A single row whose `version` grows with every change that readers can see."""

    __tablename__ = "page_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int]


def text_lines_of(story: Story) -> Iterator[tuple[str, str]]:
    """Pairs of form field and text for every line of a story that readers see."""
    yield "headline", story.headline
    yield "dek", story.dek or ""
    yield "lead", story.lead
    for n, section in enumerate(story.sections):
        yield f"sections-{n}-label", section["label"]
        for bullet in section["bullets"]:
            yield f"sections-{n}-bullets", bullet


def chosen_pictures_of(story: Story) -> Iterator[tuple[str, int]]:
    """Pairs of form field and picture id for each picture of a working copy."""
    if story.picture_id is not None:
        yield "picture_id", story.picture_id
    for n, section in enumerate(story.sections or ()):
        if (picture_id := section.get("picture")) is not None:
            yield f"sections-{n}-picture", picture_id


def picture_records_of(revision: Revision) -> list[dict[str, Any]]:
    """The picture snapshots of a revision, in the order of the page."""
    records = [revision.picture, *(section.get("picture") for section in revision.sections)]
    return [record for record in records if record]


def text_fingerprint_of(story: Story) -> str:
    """A fingerprint of the text: sixteen hexadecimal digits of its SHA-256."""
    text = "\x00".join(text for _, text in text_lines_of(story))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
