"""The public history of a story: its revisions, and the notes published with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.errors import NotFound
from nif.paging import Page, paginate
from nif.stories.corrections import StoryNote
from nif.stories.models import NOTE_LABELS, ChangeKind, Revision, Story, StoryStanding
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


def list_history(
    session: Session, story_id: int, *, after: str | None = None, size: int = 100
) -> Page[HistoryEntry]:
    """The revisions of a story, newest first."""
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
    )
    page = paginate(session, query, Revision.n, after=after, size=size)
    return Page([HistoryEntry(*row) for row in page.rows], page.after)


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


def list_newest_notes(
    session: Session, *, after: str | None = None, size: int = 30
) -> Page[NoteInContext]:
    """The corrective notes on all stories, newest first."""
    query = (
        select(StoryNote, Story.slug, Revision.headline, Revision.standing)
        .join(Story, Story.id == StoryNote.story_id)
        .join(Revision, Revision.id == Story.current_id)
        .where(StoryNote.kind.in_(CORRECTIVE_KINDS))
    )
    page = paginate(session, query, StoryNote.at, StoryNote.id, after=after, size=size)
    return Page([NoteInContext(*row) for row in page.rows], page.after)
