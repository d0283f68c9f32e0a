"""The one list of addresses that are never to be mailed again."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.subscriptions.forgetting import is_erased, is_erased_many
from nif.subscriptions.models import Suppression, SuppressionReason

GRAVITY = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.INVALID,
    SuppressionReason.BOUNCED,
    SuppressionReason.COMPLAINED,
    SuppressionReason.ERASED,
)
"""The gravest reason stays, in whatever order they become known."""


AT_ONCE = 500
"""Rows in one INSERT: PostgreSQL takes 65,535 parameters."""


def suppress(
    session: Session, canonical: str, reason: SuppressionReason, *, source: str, now: datetime
) -> None:
    """Never mail this address again. A reason gives way to a graver one only."""
    suppress_all(session, [canonical], reason, source=source, now=now)


def suppress_all(
    session: Session,
    canonicals: Iterable[str],
    reason: SuppressionReason,
    *,
    source: str,
    now: datetime,
) -> None:
    """Never mail any of these addresses again. Who was erased is not written down anew for it."""
    canonicals = set(canonicals)
    canonicals -= is_erased_many(session, canonicals)
    # In one order, so that two who do this at once cannot wait for each other.
    rows = [
        {"canonical": canonical, "reason": reason, "source": source, "at": now}
        for canonical in sorted(canonicals)
    ]
    lighter = GRAVITY[: GRAVITY.index(reason)]
    for page in (rows[n : n + AT_ONCE] for n in range(0, len(rows), AT_ONCE)):
        session.execute(
            insert_into(session, Suppression)
            .values(page)
            .on_conflict_do_update(
                index_elements=[Suppression.canonical],
                set_={"reason": reason, "source": source, "at": now},
                where=Suppression.reason.in_(lighter),
            )
        )


def is_suppressed(session: Session, canonical: str) -> bool:
    """Is this address never to be mailed?"""
    found = select(Suppression.canonical).where(Suppression.canonical == canonical)
    return session.scalar(found) is not None or is_erased(session, canonical)
