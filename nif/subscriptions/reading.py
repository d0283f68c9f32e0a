"""The lists of the house, as pages and commands ask for them."""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.subscriptions.models import MailingList


def get_list(session: Session, slug: str) -> MailingList:
    """Raises NotFound."""
    found = session.scalar(select(MailingList).where(MailingList.slug == slug))
    if found is None:
        raise NotFound("There is no such newsletter.")
    return found


def all_lists(session: Session) -> Sequence[MailingList]:
    """The house's lists, the oldest first."""
    return session.scalars(select(MailingList).order_by(MailingList.id)).all()


def offered_lists(session: Session) -> Sequence[MailingList]:
    """The lists that everyone is offered, the oldest first: neither hidden nor archived."""
    return session.scalars(_offered()).all()


def ended_lists(session: Session) -> Sequence[MailingList]:
    """The lists that everyone was offered once and that are archived, the oldest first."""
    ended = select(MailingList).where(
        MailingList.is_shown.is_(True), MailingList.archived_at.is_not(None)
    )
    return session.scalars(ended.order_by(MailingList.id)).all()


def find_first_list(session: Session) -> MailingList | None:
    """The list that the site's form offers, where there is one."""
    return session.scalar(_offered().limit(1))


def _offered() -> Select[MailingList]:
    offered = select(MailingList).where(
        MailingList.is_shown.is_(True), MailingList.archived_at.is_(None)
    )
    return offered.order_by(MailingList.id)
