"""How many a segment has: one statement over sets.

Every question is turned into one of two that an index can begin: all of some conditions of which
one is no denial, or any of some of which none is. The rest follows by taking from everyone.
"""

from collections.abc import Sequence

from sqlalchemy import CompoundSelect, Select, func, select, union
from sqlalchemy.orm import Session

from nif.audience.asking import Condition, Conditions, Match
from nif.audience.compiling import Ground, comes_twice, holds, ids_of
from nif.subscriptions.models import Subscriber

SMALLEST_FIRST = ("suppressed", "address", "list", "life", "joined", "source")


def size(session: Session, asked: Conditions, ground: Ground) -> int:
    """How many subscribers a segment has now."""
    denials = [row for row in asked.rows if row.is_denial]
    if not asked.rows:
        return _everyone(session)
    if asked.match is Match.ALL:
        if len(denials) == len(asked.rows):
            return _everyone(session) - _any(session, asked.rows, ground)
        return _all(session, asked.rows, ground, reverse=False)
    if not denials:
        return _any(session, asked.rows, ground)
    return _everyone(session) - _all(session, asked.rows, ground, reverse=True)


def rank(condition: Condition, ground: Ground) -> tuple[int, int]:
    """Which set to begin with: the one that is likely to be the smallest."""
    size = ground.sizes.get((condition.value, condition.said.denies or condition.operator), 0)
    return SMALLEST_FIRST.index(condition.field), size


def _everyone(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Subscriber)) or 0


def _any(session: Session, rows: Sequence[Condition], ground: Ground) -> int:
    """How many of whom any holds; denials are read as what they deny."""
    sets: list[Select[tuple[int]]] = [ids_of(row, ground) for row in rows]
    if len(sets) == 1 and not comes_twice(rows[0]):
        query: Select[tuple[int]] | CompoundSelect[tuple[int]] = sets[0]
    else:
        query = union(*sets) if len(sets) > 1 else sets[0].distinct()
    return session.scalar(select(func.count()).select_from(query.subquery("some"))) or 0


def _all(session: Session, rows: Sequence[Condition], ground: Ground, *, reverse: bool) -> int:
    """How many of whom all hold; where it is `reverse`, of whom none holds."""
    can_begin = [row for row in rows if row.is_denial is reverse]
    first = min(can_begin, key=lambda row: rank(row, ground))
    begin = ids_of(first, ground)
    some = (begin.distinct() if comes_twice(first) else begin).subquery("some")
    tests = [holds(row, some.c.id, ground) for row in rows if row is not first]
    found = select(func.count()).select_from(some)
    return session.scalar(found.where(*(~test if reverse else test for test in tests))) or 0
