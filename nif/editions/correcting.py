"""Corrections reach those who had the error: in the next edition of each list that told it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, aliased

from nif.editions.models import Edition, EditionItem, EditionState, NoteDelivery
from nif.stories.history import CORRECTIVE, Told
from nif.stories.kinds import Severity
from nif.stories.models import Revision, Story
from nif.stories.notes import Note
from nif.subscriptions.models import MailingList

MOST_CORRECTIONS = 8
"""In one edition; what is over comes in the next one."""

REACH = timedelta(days=60)
"""How long after it was set right something is still told by mail."""


def corrections_due(session: Session, mailing_list: MailingList, *, now: datetime) -> list[Told]:
    """What was set right since the list mailed it wrong, and was not told to it yet, oldest first.

    Only what is significant or serious. A list that never mailed one of the versions that were
    wrong is told nothing.
    """
    mailed, current = aliased(Revision), aliased(Revision)
    had = select(NoteDelivery.note_id).where(NoteDelivery.list_id == mailing_list.id)
    query = (
        select(Note, Story.slug, current.headline, current.standing)
        .join(Story, Story.id == Note.story_id)
        .join(current, current.id == Story.current_id)
        .join(EditionItem, EditionItem.story_id == Note.story_id)
        .join(Edition, Edition.id == EditionItem.edition_id)
        .join(mailed, mailed.id == EditionItem.revision_id)
        .where(
            Note.severity.in_((Severity.SIGNIFICANT, Severity.SERIOUS)),
            Note.at >= now - REACH,
            Note.kind.in_(CORRECTIVE),
            Note.id.not_in(had),
            EditionItem.list_id == mailing_list.id,
            Edition.state == EditionState.FROZEN,
            mailed.n >= Note.from_n,
            mailed.n < Note.to_n,
        )
        .order_by(Note.at, Note.id)
        .limit(MOST_CORRECTIONS)
    )
    return [Told(*row) for row in session.execute(query)]


def carry(session: Session, edition: Edition, corrections: Sequence[Told]) -> None:
    """Write down that an edition carries these, so that its list is told once."""
    session.add_all(
        NoteDelivery(note_id=told.note.id, list_id=edition.list_id, edition_id=edition.id)
        for told in corrections
    )
    session.flush()


def carry_none(session: Session, edition: Edition) -> None:
    """What a withdrawn edition carried is yet to be told."""
    session.execute(delete(NoteDelivery).where(NoteDelivery.edition_id == edition.id))


def carried(session: Session, edition: Edition) -> Sequence[Note]:
    """The notes that an edition told its readers, oldest first."""
    query = select(Note).join(NoteDelivery).where(NoteDelivery.edition_id == edition.id)
    return session.scalars(query.order_by(Note.at, Note.id)).all()
