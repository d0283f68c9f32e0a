"""What stands between the parties of a story and us, on the day of the story."""

from collections.abc import Collection
from datetime import date

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from nif.register.models import Materiality, Party, Relationship

_ORDER = {Materiality.ALWAYS: 0, Materiality.DEFAULT: 1, Materiality.CONTEXT: 2}


def in_force(session: Session, party_ids: Collection[int], *, on: date) -> list[Relationship]:
    """All that stands or is within its look-back on that day, what must be told first.

    A party brings up what stands with all that it is part of, and with the party that it was
    merged into. One query; each relationship comes with its party.
    """
    if not party_ids:
        return []
    query = told_on(on).where(Relationship.party_id.in_(_lineage(party_ids)))
    found = session.scalars(query.order_by(Relationship.id)).all()
    return sorted(found, key=lambda each: _ORDER[each.materiality])


def told_on(on: date) -> Select[Relationship]:
    """The relationships that stand or are within their look-back on a day."""
    return select(Relationship).where(
        or_(Relationship.since.is_(None), Relationship.since <= on),
        or_(Relationship.last_day.is_(None), Relationship.last_day >= on),
    )


def _lineage(party_ids: Collection[int]) -> Select[int]:
    """The ids of the parties, and of all that they are part of. UNION, so a circle ends it."""
    own = func.coalesce(Party.merged_into_id, Party.id).label("id")
    line = select(own).where(Party.id.in_(party_ids)).cte("lineage", recursive=True)
    above = select(Party.parent_id).join(line, Party.id == line.c.id)
    line = line.union(above.where(Party.parent_id.is_not(None)))
    return select(line.c.id)
