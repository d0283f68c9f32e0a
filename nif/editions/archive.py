"""The editions that readers can look up again."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.editions.correcting import told_now
from nif.editions.models import ASKING, DIGEST, Edition, EditionItem, EditionState, occasion_of
from nif.errors import NotFound
from nif.stories.history import CORRECTIVE, Told
from nif.stories.kinds import Standing
from nif.stories.models import Revision, Story
from nif.stories.notes import Note
from nif.subscriptions.models import MailingList


def newest_sent(
    session: Session, mailing_list: MailingList, *, most: int = 30
) -> Sequence[Edition]:
    """The newest editions of a list that went out, newest first: digests and corrections."""
    return session.scalars(
        select(Edition)
        .where(
            Edition.list_id == mailing_list.id,
            Edition.state == EditionState.FROZEN,
            ~Edition.occasion.startswith(ASKING),
        )
        .order_by(Edition.slot.desc(), Edition.id.desc())
        .limit(most)
    ).all()


def newest_slots(
    session: Session, mailing_list: MailingList, *, most: int = 14
) -> Sequence[Edition]:
    """What became of a list's newest slots and of its corrections, newest first."""
    return session.scalars(
        select(Edition)
        .where(Edition.list_id == mailing_list.id)
        .order_by(Edition.slot.desc(), Edition.id.desc())
        .limit(most)
    ).all()


def get_sent(session: Session, mailing_list: MailingList, day: date) -> Edition:
    """The digest of a day. Raises NotFound."""
    return _get(session, mailing_list, day, DIGEST, "There is no edition of that day.")


def get_correction(
    session: Session, mailing_list: MailingList, day: date, note_id: int
) -> tuple[Edition, Told]:
    """The edition of a day that told one note, and the note. Raises NotFound."""
    missing = "There is no such correction."
    edition = _get(session, mailing_list, day, occasion_of(note_id), missing)
    return edition, told_now(session, session.get_one(Note, note_id))


def find_wrong(session: Session, edition: Edition, note: Note) -> Edition | None:
    """The digest by which the list of an edition of a note had mailed what was wrong."""
    return session.scalar(
        select(Edition)
        .join(EditionItem, EditionItem.edition_id == Edition.id)
        .where(
            EditionItem.list_id == edition.list_id,
            EditionItem.story_id == note.story_id,
            Edition.state == EditionState.FROZEN,
        )
    )


def set_right_since(session: Session, edition: Edition) -> dict[int, list[Note]]:
    """The notes on what an edition had mailed wrong, by the id of the story, oldest first."""
    found: dict[int, list[Note]] = {}
    query = (
        select(Note)
        .join(EditionItem, EditionItem.story_id == Note.story_id)
        .join(Revision, Revision.id == EditionItem.revision_id)
        .where(
            EditionItem.edition_id == edition.id,
            Note.kind.in_(CORRECTIVE),
            Revision.n >= Note.from_n,
            Revision.n < Note.to_n,
        )
    )
    for note in session.scalars(query.order_by(Note.to_n)):
        found.setdefault(note.story_id, []).append(note)
    return found


def removed_since(session: Session, edition: Edition) -> set[int]:
    """The ids of an edition's stories whose text nobody is to read any more."""
    query = (
        select(EditionItem.story_id)
        .join(Story, Story.id == EditionItem.story_id)
        .join(Revision, Revision.id == Story.current_id)
        .where(EditionItem.edition_id == edition.id, Revision.standing == Standing.REMOVED)
    )
    return set(session.scalars(query))


def _get(
    session: Session, mailing_list: MailingList, day: date, occasion: str, missing: str
) -> Edition:
    edition = session.scalar(
        select(Edition).where(
            Edition.list_id == mailing_list.id,
            Edition.slot == day,
            Edition.occasion == occasion,
            Edition.state == EditionState.FROZEN,
        )
    )
    if edition is None:
        raise NotFound(missing)
    return edition
