"""The one list of addresses that are never to be mailed again."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.subscriptions.models import Suppression, SuppressionReason


def suppress(
    session: Session, canonical: str, reason: SuppressionReason, *, source: str, now: datetime
) -> None:
    """Never mail this address again. The first reason stays, unless a graver one comes."""
    graver = reason in {SuppressionReason.COMPLAINED, SuppressionReason.BOUNCED}
    statement = insert_into(session, Suppression).values(
        canonical=canonical, reason=reason, source=source, at=now
    )
    if graver:
        statement = statement.on_conflict_do_update(
            index_elements=[Suppression.canonical],
            set_={"reason": reason, "source": source, "at": now},
            where=Suppression.reason == SuppressionReason.UNSUBSCRIBED,
        )
    else:
        statement = statement.on_conflict_do_nothing()
    session.execute(statement)


def is_suppressed(session: Session, canonical: str) -> bool:
    """Is this address never to be mailed?"""
    found = select(Suppression.canonical).where(Suppression.canonical == canonical)
    return session.scalar(found) is not None
