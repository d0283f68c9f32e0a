"""The editions of a list that readers and staff can look up."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from nif.editions.models import (
    DIGEST_OCCASION,
    REPERMISSION_OCCASION_PREFIX,
    Edition,
    EditionItem,
    EditionState,
    correction_occasion_of,
)
from nif.errors import NotFound
from nif.stories.corrections import StoryNote
from nif.stories.models import CORRECTIVE_KINDS, Revision, Story, StoryStanding
from nif.subscriptions.models import MailingList


def list_sent_editions(
    session: Session, mailing_list: MailingList, *, most: int = 30
) -> Sequence[Edition]:
    """The newest digests and corrections of a list that were mailed, newest first."""
    was_mailed = (Edition.state == EditionState.FROZEN) & ~Edition.occasion.startswith(
        REPERMISSION_OCCASION_PREFIX
    )
    return list_recent_editions(session, mailing_list, was_mailed, most=most)


def list_recent_editions(
    session: Session, mailing_list: MailingList, *where: ColumnElement[bool], most: int = 14
) -> Sequence[Edition]:
    """The newest editions of a list with their outcome, newest first."""
    query = select(Edition).where(Edition.list_id == mailing_list.id, *where)
    newest = query.order_by(Edition.slot.desc(), Edition.id.desc())
    return session.scalars(newest.limit(most)).all()


def get_sent_edition(
    session: Session, mailing_list: MailingList, day: date, note_id: int | None = None
) -> Edition:
    """The digest of a day, or the edition that mailed one correction then. Raises NotFound."""
    occasion = DIGEST_OCCASION if note_id is None else correction_occasion_of(note_id)
    edition = session.scalar(
        select(Edition).where(
            Edition.list_id == mailing_list.id,
            Edition.slot == day,
            Edition.occasion == occasion,
            Edition.state == EditionState.FROZEN,
        )
    )
    if edition is None:
        missing = "edition of that day" if note_id is None else "such correction"
        raise NotFound(f"There is no {missing}.")
    return edition


def find_corrected_digest(session: Session, edition: Edition, note: StoryNote) -> Edition | None:
    """The digest by which the list had mailed the error that a note corrects."""
    return session.scalar(
        select(Edition)
        .join(EditionItem, EditionItem.edition_id == Edition.id)
        .where(
            EditionItem.list_id == edition.list_id,
            EditionItem.story_id == note.story_id,
            Edition.state == EditionState.FROZEN,
        )
    )


def list_notes_since_edition(session: Session, edition: Edition) -> dict[int, list[StoryNote]]:
    """The corrections of what an edition mailed, by the id of the story, oldest first."""
    found: dict[int, list[StoryNote]] = {}
    query = (
        select(StoryNote)
        .join(EditionItem, EditionItem.story_id == StoryNote.story_id)
        .join(Revision, Revision.id == EditionItem.revision_id)
        .where(
            EditionItem.edition_id == edition.id,
            StoryNote.kind.in_(CORRECTIVE_KINDS),
            Revision.n >= StoryNote.first_wrong_n,
            Revision.n < StoryNote.first_right_n,
        )
    )
    for note in session.scalars(query.order_by(StoryNote.first_right_n)):
        found.setdefault(note.story_id, []).append(note)
    return found


def find_removed_story_ids(session: Session, edition: Edition) -> set[int]:
    """The ids of an edition's stories whose text has been removed since."""
    query = (
        select(EditionItem.story_id)
        .join(Story, Story.id == EditionItem.story_id)
        .join(Revision, Revision.id == Story.current_id)
        .where(EditionItem.edition_id == edition.id, Revision.standing == StoryStanding.REMOVED)
    )
    return set(session.scalars(query))
