"""The editions that readers can look up again."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.editions.models import Edition, EditionState
from nif.errors import NotFound
from nif.subscriptions.models import MailingList


def newest_sent(
    session: Session, mailing_list: MailingList, *, most: int = 30
) -> Sequence[Edition]:
    """The newest editions of a list that had news, newest first."""
    return session.scalars(
        select(Edition)
        .where(Edition.list_id == mailing_list.id, Edition.state == EditionState.FROZEN)
        .order_by(Edition.slot.desc())
        .limit(most)
    ).all()


def newest_slots(
    session: Session, mailing_list: MailingList, *, most: int = 14
) -> Sequence[Edition]:
    """What became of a list's newest slots, whatever it was, newest first."""
    return session.scalars(
        select(Edition)
        .where(Edition.list_id == mailing_list.id)
        .order_by(Edition.slot.desc())
        .limit(most)
    ).all()


def get_sent(session: Session, mailing_list: MailingList, day: date) -> Edition:
    """The edition of a day. Raises NotFound."""
    edition = session.scalar(
        select(Edition).where(
            Edition.list_id == mailing_list.id,
            Edition.slot == day,
            Edition.state == EditionState.FROZEN,
        )
    )
    if edition is None:
        raise NotFound("There is no edition of that day.")
    return edition
