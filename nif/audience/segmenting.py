"""Segments: conditions saved under a name, with the size that was last counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.auditing import Doer, note
from nif.audience import asking, counting
from nif.audience.asking import Conditions
from nif.audience.compiling import Ground
from nif.audience.models import Segment
from nif.errors import Invalid, NotFound

LONGEST_NAME = 100
MOST = 200


def all_segments(session: Session) -> Sequence[Segment]:
    """The saved segments, by name."""
    return session.scalars(select(Segment).order_by(Segment.name).limit(MOST)).all()


def get_segment(session: Session, segment_id: int) -> Segment:
    """Raises NotFound."""
    found = session.get(Segment, segment_id)
    if found is None:
        raise NotFound("There is no such segment.")
    return found


def conditions_of(segment: Segment, ground: Ground) -> Conditions:
    """What a segment asks for. Raises Invalid where that cannot be any more."""
    return asking.parse(segment.conditions, lists=ground.lists.keys())


@dataclass(frozen=True)
class Draft:
    """What a segment is to be, with the size that was just counted."""

    name: str
    asked: Conditions
    size: int


def save(
    session: Session, segment: Segment | None, draft: Draft, *, by: Doer, now: datetime
) -> Segment:
    """Keep conditions under a name, with their size. Without a segment a new one is made.

    Raises Invalid for a name that is none or taken, and where there is no condition.
    """
    check(session, segment.id if segment else None, draft.name, draft.asked)
    is_new = segment is None
    if segment is None:
        segment = Segment(made_by=by.name, at=now)
        session.add(segment)
    segment.name, segment.conditions = draft.name, draft.asked.as_data()
    segment.size, segment.counted_at = draft.size, now
    session.flush()
    what, detail = "segment_made" if is_new else "segment_changed", {"name": draft.name}
    note(session, by, what, kind="segment", subject=segment.id, detail=detail, now=now)
    return segment


def count(session: Session, segment: Segment, ground: Ground) -> int:
    """How many are in a segment now. Raises Invalid where its conditions cannot be any more."""
    return counting.size(session, conditions_of(segment, ground), ground)


def keep_size(segment: Segment, conditions: dict[str, Any], size: int, *, now: datetime) -> None:
    """Keep what was counted, unless the segment asks for something else by now."""
    if segment.conditions == conditions:
        segment.size, segment.counted_at = size, now


def drop(session: Session, segment: Segment, *, by: Doer, now: datetime) -> None:
    """Forget a segment; nobody who was in it is touched."""
    detail = {"name": segment.name}
    note(session, by, "segment_dropped", kind="segment", subject=segment.id, detail=detail, now=now)
    session.delete(segment)


def check(session: Session, segment_id: int | None, name: str, asked: Conditions) -> None:
    """Raises Invalid where conditions cannot be saved under this name."""
    if not name:
        raise Invalid({"name": "Give the segment a name, to find it again."})
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid({"name": f"A name has at most {LONGEST_NAME} plain characters."})
    if not asked.rows:
        raise Invalid({"conditions": "Choose at least one condition: without one it is everyone."})
    taken = session.scalar(select(Segment.id).where(Segment.name == name))
    if taken is not None and taken != segment_id:
        raise Invalid({"name": "There is a segment of this name already."})
