"""The one list of addresses that are never to be mailed again."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.subscriptions.models import Suppression, SuppressionReason

GRAVITY = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.INVALID,
    SuppressionReason.BOUNCED,
    SuppressionReason.COMPLAINED,
)
"""The gravest reason stays, in whatever order they become known."""


def suppress(
    session: Session, canonical: str, reason: SuppressionReason, *, source: str, now: datetime
) -> None:
    """Never mail this address again. A reason gives way to a graver one only."""
    lighter = GRAVITY[: GRAVITY.index(reason)]
    session.execute(
        insert_into(session, Suppression)
        .values(canonical=canonical, reason=reason, source=source, at=now)
        .on_conflict_do_update(
            index_elements=[Suppression.canonical],
            set_={"reason": reason, "source": source, "at": now},
            where=Suppression.reason.in_(lighter),
        )
    )


def is_suppressed(session: Session, canonical: str) -> bool:
    """Is this address never to be mailed?"""
    found = select(Suppression.canonical).where(Suppression.canonical == canonical)
    return session.scalar(found) is not None
