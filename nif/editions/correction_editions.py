"""Corrections reach the subscribers who were mailed the error.

A significant correction goes into the next digest of each list that mailed the error; a serious one
becomes an edition of its own, at once, for those who received the error.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, delete, or_, select
from sqlalchemy.orm import Session, aliased

from nif.editions.messages import freeze_edition, make_edition, write_correction_message
from nif.editions.models import (
    TAKEN_BACK_STATES,
    Edition,
    EditionItem,
    EditionNote,
    EditionState,
    correction_occasion_of,
)
from nif.editions.schedule import slot_at
from nif.ledger.queries import find_footer_root
from nif.mail.message import MailWriter
from nif.stories.corrections import StoryNote
from nif.stories.models import CORRECTIVE_KINDS, NoteSeverity, Revision, Story
from nif.stories.queries import NoteInContext
from nif.subscriptions.models import MailingList

MAX_CORRECTIONS = 8
"""In one digest; the rest waits for the next."""

MAX_NOTE_AGE = timedelta(days=60)
"""How long after its publication a correction is still mailed."""


def list_due_corrections(
    session: Session, mailing_list: MailingList, *, now: datetime
) -> list[NoteInContext]:
    """The corrections for the list's next digest, oldest first.

    These are significant corrections of errors that the list mailed, and serious ones whose edition
    a person took back. A list that never mailed a wrong version is skipped.
    """
    current = aliased(Revision)
    mailed = select(EditionNote.note_id).where(EditionNote.list_id == mailing_list.id)
    taken_back = select(Edition.note_id).where(
        Edition.list_id == mailing_list.id,
        Edition.note_id.is_not(None),
        Edition.state.in_(TAKEN_BACK_STATES),
    )
    query = (
        select(StoryNote, Story.slug, current.headline, current.standing)
        .where(
            Story.id == StoryNote.story_id,
            current.id == Story.current_id,
            or_(
                StoryNote.severity == NoteSeverity.SIGNIFICANT,
                and_(StoryNote.severity == NoteSeverity.SERIOUS, StoryNote.id.in_(taken_back)),
            ),
            StoryNote.at >= now - MAX_NOTE_AGE,
            StoryNote.kind.in_(CORRECTIVE_KINDS),
            StoryNote.id.not_in(mailed),
            EditionItem.list_id == mailing_list.id,
        )
        .order_by(StoryNote.at, StoryNote.id)
        .limit(MAX_CORRECTIONS)
    )
    return [NoteInContext(*row) for row in session.execute(_restrict_to_mailed_errors(query))]


def select_serious_note_ids(*, now: datetime) -> Select[*tuple[int]]:
    """Selects the notes that get an edition of their own, whether or not a list needs one."""
    return select(StoryNote.id).where(
        StoryNote.severity == NoteSeverity.SERIOUS,
        StoryNote.at >= now - MAX_NOTE_AGE,
        StoryNote.kind.in_(CORRECTIVE_KINDS),
    )


def select_lists_owed_note(note_id: int) -> Select[*tuple[Any, ...]]:
    """Selects the lists that must still mail a note, each with the edition that had the error."""
    is_carried = select(EditionNote.note_id).where(
        EditionNote.note_id == StoryNote.id, EditionNote.list_id == MailingList.id
    )
    own_edition = aliased(Edition)
    has_edition = select(own_edition.id).where(
        own_edition.note_id == StoryNote.id, own_edition.list_id == MailingList.id
    )
    query = select(MailingList, Edition).where(
        StoryNote.id == note_id,
        MailingList.id == EditionItem.list_id,
        ~is_carried.exists(),
        ~has_edition.exists(),
    )
    return _restrict_to_mailed_errors(query)


def _restrict_to_mailed_errors(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Restricts notes and lists to those where the list froze a wrong version."""
    mailed = aliased(Revision)
    return (
        query.select_from(StoryNote)
        .join(EditionItem, EditionItem.story_id == StoryNote.story_id)
        .join(Edition, Edition.id == EditionItem.edition_id)
        .join(mailed, mailed.id == EditionItem.revision_id)
        .where(
            Edition.state == EditionState.FROZEN,
            mailed.n >= StoryNote.first_wrong_n,
            mailed.n < StoryNote.first_right_n,
        )
    )


def list_corrected_edition_ids(session: Session, edition_id: int) -> Sequence[int]:
    """The editions of the same list that contained what an edition corrects."""
    carried = aliased(EditionNote)
    query = select(Edition.id).where(
        carried.note_id == StoryNote.id,
        carried.edition_id == edition_id,
        EditionItem.list_id == carried.list_id,
    )
    return session.scalars(_restrict_to_mailed_errors(query)).all()


def load_note_in_context(session: Session, note: StoryNote) -> NoteInContext:
    """A note, with its story as it is now."""
    query = (
        select(Story.slug, Revision.headline, Revision.standing)
        .join(Revision, Revision.id == Story.current_id)
        .where(Story.id == note.story_id)
    )
    return NoteInContext(note, *session.execute(query).one())


def freeze_correction_edition(
    session: Session,
    correction: NoteInContext,
    mailing_list: MailingList,
    mailed: Edition,
    mail_writer: MailWriter,
    *,
    now: datetime,
) -> Edition | None:
    """Freeze the edition that mails one correction; None where another process made it first.

    `mailed` is the edition that contained the error.
    """
    note, slot = correction.note, slot_at(now, mailing_list.zone)
    occasion = correction_occasion_of(note.id)
    edition = make_edition(session, mailing_list, slot, occasion, note_id=note.id, now=now)
    if edition is not None:
        root = find_footer_root(session)
        message = write_correction_message(
            mail_writer, mailing_list, slot, correction, mailed, root
        )
        freeze_edition(edition, message)
        record_carried_notes(session, edition, [correction])
    return edition


def record_carried_notes(
    session: Session, edition: Edition, corrections: Sequence[NoteInContext]
) -> None:
    """Record that an edition carries these notes, so that its list mails them once."""
    session.add_all(
        EditionNote(note_id=each.note.id, list_id=edition.list_id, edition_id=edition.id)
        for each in corrections
    )
    session.flush()


def release_carried_notes(session: Session, edition: Edition) -> None:
    """Make the notes of an edition that was taken back due again."""
    session.execute(delete(EditionNote).where(EditionNote.edition_id == edition.id))


def list_carried_notes(session: Session, edition: Edition) -> Sequence[StoryNote]:
    """The notes that an edition carried, oldest first."""
    query = select(StoryNote).join(EditionNote).where(EditionNote.edition_id == edition.id)
    return session.scalars(query.order_by(StoryNote.at, StoryNote.id)).all()
