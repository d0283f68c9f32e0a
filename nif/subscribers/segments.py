"""Segments: conditions saved under a name, with the size that was last counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import Actor, record_audit_entry
from nif.errors import Invalid, NotFound
from nif.subscribers import segment_conditions, segment_queries
from nif.subscribers.models import Segment
from nif.subscribers.segment_conditions import SegmentConditions
from nif.subscribers.segment_queries import SegmentContext

MAX_NAME_LENGTH = 100
MAX_SEGMENTS = 200


def list_segments(session: Session) -> Sequence[Segment]:
    """The saved segments, by name."""
    return session.scalars(select(Segment).order_by(Segment.name).limit(MAX_SEGMENTS)).all()


def get_segment(session: Session, segment_id: int) -> Segment:
    """Raises NotFound."""
    found = session.get(Segment, segment_id)
    if found is None:
        raise NotFound("There is no such segment.")
    return found


def conditions_of_segment(segment: Segment, ground: SegmentContext) -> SegmentConditions:
    """What a segment asks for. Raises Invalid where that cannot be any more."""
    return segment_conditions.parse_conditions(segment.conditions, lists=ground.lists.keys())


@dataclass(frozen=True)
class SegmentDraft:
    """What a segment is to be, with the size that was just counted."""

    name: str
    asked: SegmentConditions
    size: int


def save_segment(
    session: Session, segment: Segment | None, draft: SegmentDraft, *, by: Actor, now: datetime
) -> Segment:
    """Keep conditions under a name, with their size. Without a segment a new one is made.

    Raises Invalid for a name that is none or taken, and where there is no condition.
    """
    check_segment(session, segment.id if segment else None, draft.name, draft.asked)
    is_new = segment is None
    if segment is None:
        segment = Segment(created_by=by.name, created_at=now)
        session.add(segment)
    segment.name, segment.conditions = draft.name, draft.asked.as_data()
    segment.size, segment.counted_at = draft.size, now
    session.flush()
    what, detail = "segment_made" if is_new else "segment_changed", {"name": draft.name}
    record_audit_entry(
        session, by, what, kind="segment", subject=segment.id, detail=detail, now=now
    )
    return segment


def count_segment(session: Session, segment: Segment, ground: SegmentContext) -> int:
    """How many are in a segment now. Raises Invalid where its conditions cannot be any more."""
    return segment_queries.count_matching(session, conditions_of_segment(segment, ground), ground)


def store_segment_size(
    segment: Segment, conditions: dict[str, Any], size: int, *, now: datetime
) -> None:
    """Keep what was counted, unless the segment asks for something else by now."""
    if segment.conditions == conditions:
        segment.size, segment.counted_at = size, now


def delete_segment(session: Session, segment: Segment, *, by: Actor, now: datetime) -> None:
    """Forget a segment; nobody who was in it is touched."""
    detail = {"name": segment.name}
    record_audit_entry(
        session, by, "segment_dropped", kind="segment", subject=segment.id, detail=detail, now=now
    )
    session.delete(segment)


def check_segment(
    session: Session, segment_id: int | None, name: str, asked: SegmentConditions
) -> None:
    """Raises Invalid where conditions cannot be saved under this name."""
    if not name:
        raise Invalid({"name": "Give the segment a name, to find it again."})
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise Invalid({"name": f"A name has at most {MAX_NAME_LENGTH} plain characters."})
    if not asked.rows:
        raise Invalid({"conditions": "Choose at least one condition: without one it is everyone."})
    taken = session.scalar(select(Segment.id).where(Segment.name == name))
    if taken is not None and taken != segment_id:
        raise Invalid({"name": "There is a segment of this name already."})
