"""By which ways consents came."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from nif.subscriptions.models import Consent

MOST = 50


def known_sources(session: Session) -> Sequence[str]:
    """The sources of consents, in order: from each straight to the next one in the index."""
    following = aliased(Consent)
    seen = select(func.min(Consent.source).label("source")).cte("seen", recursive=True)
    further = (
        select(func.min(following.source))
        .where(following.source > seen.c.source)
        .correlate(seen)
        .scalar_subquery()
    )
    seen = seen.union_all(select(further).where(seen.c.source.is_not(None)))
    found = select(seen.c.source).where(seen.c.source.is_not(None)).limit(MOST)
    return [source for source in session.scalars(found) if source]
