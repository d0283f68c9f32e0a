"""Sends of which nothing left: their editions give their stories and corrections back."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.editions.digest import cancel_edition
from nif.editions.models import REPLACED_OCCASION_PREFIX, Edition, EditionState
from nif.sends.models import Attempt, Send, SendState
from nif.stories.publishing import invalidate_pages


def may_have_left(session: Session, send: Send) -> bool:
    """Did any mail of a send leave, or is that unknown? Refused attempts are none."""
    attempts = select(Attempt.id).where(Attempt.send_id == send.id, Attempt.may_have_left)
    return session.scalar(attempts.limit(1)) is not None


def release_cancelled_edition(session: Session, send: Send) -> None:
    """Give back what the edition of a cancelled send contains, where certainly nothing of it left.

    While a request is open, or undecided, that is not certain. So this is asked when a send is
    cancelled, and again whenever one of its attempts proves not to have left.
    """
    edition = send.edition
    is_cancelled = send.state is SendState.CANCELLED and edition.state is EditionState.FROZEN
    if is_cancelled and not edition.is_repermission and not may_have_left(session, send):
        cancel_edition(session, edition)
        invalidate_pages(session)


def find_earlier_send(session: Session, edition: Edition) -> Send | None:
    """A send of an earlier edition of the same slot of which something left after all, or may have.

    An event may prove so long after the edition was taken back.
    """
    return session.scalar(
        select(Send)
        .join(Edition, Edition.id == Send.edition_id)
        .join(Attempt, Attempt.send_id == Send.id)
        .where(
            Edition.list_id == edition.list_id,
            Edition.slot == edition.slot,
            Edition.occasion.startswith(REPLACED_OCCASION_PREFIX),
            Attempt.may_have_left,
        )
        .limit(1)
    )
