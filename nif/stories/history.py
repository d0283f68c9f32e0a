"""The public history of a story: its revisions, and the notes published with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.errors import NotFound
from nif.stories.corrections import StoryNote
from nif.stories.models import NOTE_LABELS, ChangeKind, Revision, Story, StoryStanding
from nif.stories.queries import parse_page_position
from nif.stories.reader_reports import ReaderReport

CORRECTIVE_KINDS = tuple(
    kind
    for kind in ChangeKind
    if kind
    not in {ChangeKind.PUBLISH, ChangeKind.STYLE, ChangeKind.UPDATE, ChangeKind.RIGHT_OF_REPLY}
)
"""The kinds of note that say that something was wrong."""


CHANGE_LABELS = {ChangeKind.PUBLISH: "Published", ChangeKind.STYLE: "Style", **NOTE_LABELS}


@dataclass(frozen=True)
class HistoryEntry:
    """A revision without its text, as the history lists it; `role` is the publisher's."""

    n: int
    at: datetime
    kind: ChangeKind
    summary: str
    changed_characters: int
    confirmed_by: str
    content_hash: str
    role: RoleName | None

    @property
    def label(self) -> str:
        return CHANGE_LABELS[self.kind]


@dataclass(frozen=True)
class NoteInContext:
    """A note with the current slug, headline and standing of its story."""

    note: StoryNote
    slug: str
    headline: str
    standing: StoryStanding


@dataclass(frozen=True)
class NotesPage:
    """Some notes, newest first; `after` is the position where the next page begins, or None."""

    notes: Sequence[NoteInContext]
    after: str | None


def list_history(
    session: Session, story_id: int, *, before: int | None = None, size: int = 100
) -> list[HistoryEntry]:
    """The revisions of a story, newest first; with `before`, those with a lower number."""
    query = (
        select(
            Revision.n,
            Revision.published_at,
            Revision.kind,
            Revision.summary,
            Revision.changed_characters,
            Revision.confirmed_by,
            Revision.content_hash,
            Account.role,
        )
        .outerjoin(Account, Account.id == Revision.published_by_id)
        .where(Revision.story_id == story_id)
        .order_by(Revision.n.desc())
        .limit(size)
    )
    if before is not None:
        query = query.where(Revision.n < before)
    return [HistoryEntry(*row) for row in session.execute(query)]


def get_story_revision(session: Session, current: Revision, n: int) -> Revision:
    """A revision of a story by its number.

    Raises NotFound where there is none, and for older revisions of a removed story.
    """
    if n == current.n:
        return current
    if current.standing is StoryStanding.REMOVED:
        raise NotFound("The text of this story was removed. Its page says why.")
    query = select(Revision).where(Revision.story_id == current.story_id, Revision.n == n)
    revision = session.scalar(query)
    if revision is None:
        raise NotFound("This story has no version of that number.")
    return revision


def notes_of_story(session: Session, story_id: int) -> Sequence[StoryNote]:
    """The notes on a story, newest first."""
    query = (
        select(StoryNote)
        .where(StoryNote.story_id == story_id)
        .order_by(StoryNote.first_right_n.desc())
    )
    return session.scalars(query).all()


def notes_of_report(session: Session, report_id: int) -> Sequence[StoryNote]:
    """The notes published because of a reader's report, oldest first."""
    query = (
        select(StoryNote)
        .join(ReaderReport, ReaderReport.story_id == StoryNote.story_id)
        .where(ReaderReport.id == report_id, StoryNote.report_id == report_id)
    )
    return session.scalars(query.order_by(StoryNote.first_right_n)).all()


def list_newest_notes(session: Session, *, after: str | None = None, size: int = 30) -> NotesPage:
    """A page of corrective notes on all stories, newest first.

    `after` is the `after` of the page before. Raises NotFound where it is malformed.
    """
    query = (
        select(StoryNote, Story.slug, Revision.headline, Revision.standing)
        .join(Story, Story.id == StoryNote.story_id)
        .join(Revision, Revision.id == Story.current_id)
        .where(StoryNote.kind.in_(CORRECTIVE_KINDS))
        .order_by(StoryNote.at.desc(), StoryNote.id.desc())
    )
    if after:
        moment, note_id = parse_page_position(after)
        same_moment = (StoryNote.at == moment) & (StoryNote.id < note_id)
        query = query.where(or_(StoryNote.at < moment, same_moment))
    notes = [NoteInContext(*row) for row in session.execute(query.limit(size + 1))]
    last = notes[size - 1].note if len(notes) > size else None
    return NotesPage(notes[:size], f"{last.at.isoformat()}~{last.id}" if last else None)
