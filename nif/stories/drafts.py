"""Drafts: creating a story, saving its working copy, and finding it by parts of words.

What each editor typed is stored for a while, so that no text is lost when another editor saves.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ForeignKey, Index, delete, select
from sqlalchemy.orm import Mapped, Session, defer, mapped_column, selectinload

from nif.accounts.models import Account
from nif.database import Base, BigId, get_first, get_row, put_row
from nif.errors import Conflict, Invalid, NotFound
from nif.media.library import count_picture_uses
from nif.paging import Page, paginate
from nif.slugs import find_free_slug, slugify
from nif.stories.models import (
    BlockStyle,
    ReasonCode,
    ReleaseVerification,
    SourceKind,
    Story,
    StorySource,
    StoryState,
    StoryType,
    Tag,
    chosen_pictures_of,
)
from nif.stories.records import find_named_parties
from nif.stories.transparency_block import AnswerInput, DeclarationQuestion, sign_answers

MOST_SEARCH_WORDS = 8

PICTURE_GONE = "This picture is no longer in the library. Choose another one, or none."

COPIED_INPUT = (
    *("headline", "dek", "lead", "picture_id", "reason_code", "reason_subject", "byline"),
    *("story_type", "block_style", "embargo_until"),
)
"""What a working copy takes from the form as it is."""


@dataclass(frozen=True)
class SourceInput:
    """A source as an editor enters it: see `StorySource`."""

    kind: SourceKind
    publisher: str = ""
    title: str = ""
    url: str = ""
    taken: str = ""
    seen_by_us: bool = True
    relied_on: int | None = None
    checked: ReleaseVerification | None = None
    unnamed_because: str = ""
    known_to: str = ""


class SectionInput(NamedTuple):
    """A section as an editor enters it. The picture follows the bullets."""

    label: str
    bullets: Sequence[str]
    picture_id: int | None = None


@dataclass(frozen=True)
class StoryInput:
    """A story as an editor enters it.

    `sections` may be pairs of label and bullets where they have no picture. `picture_id` is the
    lead picture. `answers` has only the questions that were answered. Moments are in UTC.
    """

    headline: str
    dek: str = ""
    lead: str = ""
    sections: Sequence[SectionInput | tuple[str, Sequence[str]]] = ()
    picture_id: int | None = None
    sources: Sequence[SourceInput] = ()
    reason_code: ReasonCode | None = None
    reason_subject: str = ""
    byline: str = ""
    story_type: StoryType = StoryType.BRIEF
    tags: Sequence[str] = field(default_factory=list)
    answers: Mapping[DeclarationQuestion, AnswerInput] = field(default_factory=dict)
    block_style: BlockStyle = BlockStyle.CLASSIC
    embargo_until: datetime | None = None


def create_draft(
    session: Session, story_input: StoryInput, *, author_id: int | None, now: datetime
) -> Story:
    """A new draft with a slug of its own.

    Raises Invalid for `pictures` where one of them was deleted from the library.
    """
    _count_pictures(session, story_input)
    story = Story(
        slug=find_free_slug(session, Story.slug, story_input.headline),
        headline=story_input.headline,
        author_id=author_id,
        created_at=now,
        updated_at=now,
    )
    session.add(story)
    _apply_input(session, story, story_input, by_id=author_id, now=now)
    index_story(session, story)
    return story


def save_draft(
    session: Session,
    story: Story,
    story_input: StoryInput,
    *,
    edits: int,
    by_id: int | None = None,
    now: datetime,
) -> None:
    """Replace the content of a working story_input.

    `edits` is the count of saves that the editor saw. Readers of a published story keep seeing its
    current revision, at the same address. Raises Conflict where someone else saved since or the
    story is scheduled, and Invalid for `pictures` where one was deleted from the library.
    """
    if story.state is StoryState.SCHEDULED:
        raise Conflict("This story is scheduled. Unschedule it to change it.")
    if story.edits != edits:
        raise Conflict("Someone else saved this story while you were writing.")
    before = [picture_id for _, picture_id in chosen_pictures_of(story)]
    _count_pictures(session, story_input, before=before)
    if story.headline != story_input.headline and story.state is not StoryState.PUBLISHED:
        story.slug = find_free_slug(session, Story.slug, story_input.headline, own=story.slug)
    _apply_input(session, story, story_input, by_id=by_id, now=now)
    story.edits += 1
    story.updated_at = now
    index_story(session, story)


def get_story(session: Session, story_id: int, *, lock: bool = False) -> Story:
    """Raises NotFound."""
    return get_row(session, Story, story_id, "There is no such story.", lock=lock)


def _apply_input(
    session: Session, story: Story, story_input: StoryInput, *, by_id: int | None, now: datetime
) -> None:
    for name in COPIED_INPUT:
        setattr(story, name, getattr(story_input, name))
    story.sections = [
        {"label": section.label, "bullets": list(section.bullets), "picture": section.picture_id}
        for section in (SectionInput(*given) for given in story_input.sections)
    ]
    story.sources = [
        StorySource(position=n, **vars(source))
        for n, source in enumerate(story_input.sources, start=1)
    ]
    story.tags = _find_or_build_tags(session, story_input.tags)
    account = session.get(Account, by_id) if by_id else None
    story.answers = sign_answers(
        story.answers or {},
        story_input.answers,
        by=account.name if account else story_input.byline,
        by_id=by_id,
        now=now,
        parties=find_named_parties(session, story),
    )


def _count_pictures(
    session: Session, story_input: StoryInput, *, before: Sequence[int] = ()
) -> None:
    """Count how often the story shows each picture now; `before` are those that it showed."""
    sections = [SectionInput(*section) for section in story_input.sections]
    shown = [story_input.picture_id, *(section.picture_id for section in sections)]
    change = Counter(picture_id for picture_id in shown if picture_id is not None)
    change.subtract(before)
    try:
        count_picture_uses(session, change)
    except NotFound:
        raise Invalid({"pictures": PICTURE_GONE}) from None


def _find_or_build_tags(session: Session, names: Sequence[str]) -> list[Tag]:
    wanted = {slugify(name): name for name in names if name.strip()}
    known = {
        tag.slug: tag for tag in session.scalars(select(Tag).where(Tag.slug.in_(list(wanted))))
    }
    return [known.get(slug) or Tag(slug=slug, name=name) for slug, name in wanted.items()]


class StorySearchIndex(Base):
    """The searchable words of a story, folded: headline, byline, slug and tags.

    A narrow table of its own, so that a scan of all stories reads few pages.
    """

    __tablename__ = "story_search"

    story_id: Mapped[int] = mapped_column(
        ForeignKey(Story.id), primary_key=True, autoincrement=False
    )
    folded: Mapped[str]


def fold_search_text(text: str) -> str:
    """Text without accents and case, so that "beyonce" finds "Beyoncé" on both databases."""
    plain = (ch for ch in unicodedata.normalize("NFKD", text) if not unicodedata.combining(ch))
    return " ".join("".join(plain).casefold().replace("’", "'").split())


def index_story(session: Session, story: Story) -> None:
    """Write the searchable words of a saved story."""
    session.flush()
    parts = (story.headline, story.byline, story.slug, *(tag.name for tag in story.tags))
    folded = fold_search_text(" ".join(parts))
    put_row(session, StorySearchIndex, story_id=story.id, folded=folded)


def search_stories(
    session: Session,
    *,
    state: StoryState | None = None,
    author_id: int | None = None,
    words: str = "",
    after: str | None = None,
    size: int = 20,
) -> Page[Story]:
    """The working copies that contain each of these parts of words, last saved first."""
    query = select(Story).options(selectinload(Story.sources))
    if state is not None:
        query = query.where(Story.state == state)
    if author_id is not None:
        query = query.where(Story.author_id == author_id)
    if parts := fold_search_text(words).split()[:MOST_SEARCH_WORDS]:
        matches = (StorySearchIndex.folded.contains(part, autoescape=True) for part in parts)
        query = query.where(Story.id.in_(select(StorySearchIndex.story_id).where(*matches)))
    return paginate(session, query, Story.updated_at, Story.id, after=after, size=size)


KEEP_EACH_FOR = timedelta(minutes=10)
"""Every autosave is kept for this long; of older ones, the last in each such interval."""

MOST_AUTOSAVES = 50
"""The limit for one editor and one story."""

ACTIVE_WITHIN = timedelta(seconds=90)
"""An editor whose last autosave is no older counts as typing in the story now."""


class Autosave(Base):
    """A story form as an editor typed it, field by field.

    `edits` is the story's count of saves including this one; None where the form was stored only
    here, because the working copy could not be saved from it.
    """

    __tablename__ = "story_autosave"
    __table_args__ = (Index("ix_story_autosave_kept", "story_id", "by_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    by_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    by: Mapped[str]
    at: Mapped[datetime]
    edits: Mapped[int | None]
    form: Mapped[dict[str, Any]]


def store_autosave(
    session: Session,
    story_id: int,
    form: Mapping[str, str],
    *,
    edits: int | None,
    by: Account,
    now: datetime,
) -> None:
    """Store a form as typed. `edits` is None where the working copy was not saved from it."""
    own = select(Autosave).where(Autosave.story_id == story_id, Autosave.by_id == by.id)
    last = session.scalar(own.order_by(Autosave.id.desc()).limit(1))
    if last is not None and last.form == dict(form):
        last.at, last.edits = now, last.edits if edits is None else edits
        return
    session.add(
        Autosave(story_id=story_id, by_id=by.id, by=by.name, at=now, edits=edits, form=dict(form))
    )
    session.flush()
    _thin_out_autosaves(session, story_id, by.id, now=now)


def list_autosaves(session: Session, story_id: int, *, most: int = 100) -> Sequence[Autosave]:
    """The autosaves of a story, newest first. `form` is deferred."""
    query = select(Autosave).where(Autosave.story_id == story_id)
    query = query.order_by(Autosave.at.desc(), Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalars(query.limit(most)).all()


def get_autosave(session: Session, story_id: int, autosave_id: int) -> Autosave:
    """Raises NotFound where it was deleted or belongs to another story."""
    query = select(Autosave).where(Autosave.id == autosave_id, Autosave.story_id == story_id)
    return get_first(session, query, "This version is no longer stored.")


def find_autosave_of_edit(session: Session, story_id: int, edits: int) -> Autosave | None:
    """The autosave with which a story was saved for the `edits`th time. `form` is deferred."""
    query = select(Autosave).where(Autosave.story_id == story_id, Autosave.edits == edits)
    query = query.order_by(Autosave.id.desc()).options(defer(Autosave.form))
    return session.scalar(query.limit(1))


def list_active_editors(
    session: Session, story_id: int, *, excluding: int, now: datetime
) -> Sequence[tuple[str, datetime]]:
    """The names of other editors who are typing in a story now, each with their last moment."""
    query = select(Autosave.by, Autosave.at).where(
        Autosave.story_id == story_id,
        Autosave.by_id != excluding,
        Autosave.at > now - ACTIVE_WITHIN,
    )
    return list(dict(session.execute(query.order_by(Autosave.at)).all()).items())


def has_typed_since(session: Session, story_id: int, account_id: int, moment: datetime) -> bool:
    """Did an account type in a story after a moment? Its newest autosave is never deleted."""
    query = select(Autosave.id).where(
        Autosave.story_id == story_id, Autosave.by_id == account_id, Autosave.at > moment
    )
    return session.scalar(query.limit(1)) is not None


def _thin_out_autosaves(session: Session, story_id: int, by_id: int, *, now: datetime) -> None:
    """Delete autosaves that are older and close to one that stays, and those over the limit."""
    query = select(Autosave.id, Autosave.at).where(
        Autosave.story_id == story_id, Autosave.by_id == by_id
    )
    kept, deleted, intervals = 0, list[int](), set[int]()
    for autosave_id, at in session.execute(query.order_by(Autosave.id.desc())):
        interval = int(at.timestamp() // KEEP_EACH_FOR.total_seconds())
        is_fresh = at > now - KEEP_EACH_FOR
        if kept < MOST_AUTOSAVES and (is_fresh or interval not in intervals):
            kept += 1
        else:
            deleted.append(autosave_id)
        intervals.add(interval)
    if deleted:
        session.execute(delete(Autosave).where(Autosave.id.in_(deleted)))
