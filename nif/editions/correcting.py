"""Corrections reach those who had the error.

What is significant takes its place in the next digest of each list that told the error; what is
serious is an edition of its own, at once, for those who were mailed it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, delete, or_, select
from sqlalchemy.orm import Session, aliased

from nif.database import insert_into
from nif.editions.models import Edition, EditionItem, EditionState, NoteDelivery, occasion_of
from nif.editions.scheduling import Slot
from nif.editions.writing import Desk, correction_message, hash_of
from nif.ledger.reading import footer_root
from nif.stories.history import CORRECTIVE, Told
from nif.stories.kinds import Severity
from nif.stories.models import Revision, Story
from nif.stories.notes import Note
from nif.subscriptions.models import MailingList

MOST_CORRECTIONS = 8
"""In one digest; what is over comes in the next one."""

REACH = timedelta(days=60)
"""How long after it was set right something is still told by mail."""


@dataclass(frozen=True)
class Owed:
    """A note that a list is owed, and its edition that `mailed` what was wrong."""

    told: Told
    mailing_list: MailingList
    mailed: Edition


def corrections_due(session: Session, mailing_list: MailingList, *, now: datetime) -> list[Told]:
    """What the list's next digest has to set right, oldest first.

    That is what was significant and what the list mailed wrong and was not told yet; and what was
    serious where a person took back the edition that was to tell it. A list that never mailed one
    of the versions that were wrong is told nothing.
    """
    current = aliased(Revision)
    had = select(NoteDelivery.note_id).where(NoteDelivery.list_id == mailing_list.id)
    taken_back = select(Edition.note_id).where(
        Edition.list_id == mailing_list.id,
        Edition.note_id.is_not(None),
        Edition.state == EditionState.WITHDRAWN,
    )
    query = (
        select(Note, Story.slug, current.headline, current.standing)
        .where(
            Story.id == Note.story_id,
            current.id == Story.current_id,
            or_(
                Note.severity == Severity.SIGNIFICANT,
                and_(Note.severity == Severity.SERIOUS, Note.id.in_(taken_back)),
            ),
            Note.at >= now - REACH,
            Note.kind.in_(CORRECTIVE),
            Note.id.not_in(had),
            EditionItem.list_id == mailing_list.id,
        )
        .order_by(Note.at, Note.id)
        .limit(MOST_CORRECTIONS)
    )
    return [Told(*row) for row in session.execute(_mailed_wrong(query))]


def recent_and_serious(*, now: datetime) -> Select[*tuple[int]]:
    """The ids of the notes that go out by themselves, whether or not they are owed to anyone."""
    return select(Note.id).where(
        Note.severity == Severity.SERIOUS,
        Note.at >= now - REACH,
        Note.kind.in_(CORRECTIVE),
    )


def owed_to_lists(note_id: int) -> Select[*tuple[Any, ...]]:
    """The lists that are owed a note, each with the edition in which it has what was wrong."""
    told = select(NoteDelivery.note_id).where(
        NoteDelivery.note_id == Note.id, NoteDelivery.list_id == MailingList.id
    )
    own = aliased(Edition)
    made = select(own.id).where(own.note_id == Note.id, own.list_id == MailingList.id)
    query = select(MailingList, Edition).where(
        Note.id == note_id,
        MailingList.id == EditionItem.list_id,
        ~told.exists(),
        ~made.exists(),
    )
    return _mailed_wrong(query)


def _mailed_wrong(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Of notes and lists only those where the list froze a version that was wrong."""
    mailed = aliased(Revision)
    return (
        query.select_from(Note)
        .join(EditionItem, EditionItem.story_id == Note.story_id)
        .join(Edition, Edition.id == EditionItem.edition_id)
        .join(mailed, mailed.id == EditionItem.revision_id)
        .where(
            Edition.state == EditionState.FROZEN,
            mailed.n >= Note.from_n,
            mailed.n < Note.to_n,
        )
    )


def editions_set_right(session: Session, edition_id: int) -> Sequence[int]:
    """The editions of the same list that had wrong what an edition sets right."""
    own = aliased(NoteDelivery)
    query = select(Edition.id).where(
        own.note_id == Note.id,
        own.edition_id == edition_id,
        EditionItem.list_id == own.list_id,
    )
    return session.scalars(_mailed_wrong(query)).all()


def told_now(session: Session, note: Note) -> Told:
    """A note, with its story as it is now."""
    query = (
        select(Story.slug, Revision.headline, Revision.standing)
        .join(Revision, Revision.id == Story.current_id)
        .where(Story.id == note.story_id)
    )
    slug, headline, standing = session.execute(query).one()
    return Told(note, slug, headline, standing)


def freeze_correction(session: Session, owed: Owed, desk: Desk, *, now: datetime) -> Edition | None:
    """Make the edition that tells a list one note; None where someone else made it first."""
    mailing_list, note = owed.mailing_list, owed.told.note
    slot = Slot(now.astimezone(ZoneInfo(mailing_list.zone)).date(), now)
    root = footer_root(session)
    message = correction_message(desk, mailing_list, slot, owed.told, owed.mailed, root)
    edition_id = session.scalar(
        insert_into(session, Edition)
        .values(
            list_id=mailing_list.id,
            slot=slot.day,
            due_at=now,
            made_at=now,
            state=EditionState.FROZEN,
            message=asdict(message),
            content_hash=hash_of(message),
            occasion=occasion_of(note.id),
            note_id=note.id,
        )
        .on_conflict_do_nothing()
        .returning(Edition.id)
    )
    if edition_id is None:
        return None
    edition = session.get_one(Edition, edition_id)
    carry(session, edition, [owed.told])
    return edition


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
