"""Segments: conditions saved under a name, with the size of the last count."""

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
    """The saved segments by name, at most MAX_SEGMENTS."""
    return session.scalars(select(Segment).order_by(Segment.name).limit(MAX_SEGMENTS)).all()


def get_segment(session: Session, segment_id: int) -> Segment:
    """Raises NotFound."""
    segment = session.get(Segment, segment_id)
    if segment is None:
        raise NotFound("There is no such segment.")
    return segment


def conditions_of_segment(segment: Segment, context: SegmentContext) -> SegmentConditions:
    """Parse a segment's stored conditions.

    Raises Invalid if they are no longer valid, for example because a list was deleted.
    """
    return segment_conditions.parse_conditions(segment.conditions, lists=context.list_ids.keys())


@dataclass(frozen=True)
class SegmentDraft:
    """A segment to be saved, with the size that was just counted."""

    name: str
    conditions: SegmentConditions
    size: int


def save_segment(
    session: Session, segment: Segment | None, draft: SegmentDraft, *, by: Actor, now: datetime
) -> Segment:
    """Save a draft into a segment, or into a new one if `segment` is None.

    Raises Invalid for a missing, invalid or taken name, and for a draft without conditions.
    """
    check_segment(session, segment.id if segment else None, draft.name, draft.conditions)
    action = "segment_created" if segment is None else "segment_updated"
    if segment is None:
        segment = Segment(created_by=by.name, created_at=now)
        session.add(segment)
    segment.name, segment.conditions = draft.name, draft.conditions.as_data()
    segment.size, segment.counted_at = draft.size, now
    session.flush()
    _record_segment_audit(session, by, action, segment, now)
    return segment


def count_segment(session: Session, segment: Segment, context: SegmentContext) -> int:
    """Count a segment's subscribers now. Raises Invalid if its conditions are no longer valid."""
    return segment_queries.count_matching(session, conditions_of_segment(segment, context), context)


def store_segment_size(
    segment: Segment, conditions: dict[str, Any], size: int, *, now: datetime
) -> None:
    """Store a count of `conditions`, unless the segment's conditions have changed meanwhile."""
    if segment.conditions == conditions:
        segment.size, segment.counted_at = size, now


def delete_segment(session: Session, segment: Segment, *, by: Actor, now: datetime) -> None:
    """Delete a segment. Its subscribers stay as they are."""
    _record_segment_audit(session, by, "segment_deleted", segment, now)
    session.delete(segment)


def check_segment(
    session: Session, segment_id: int | None, name: str, conditions: SegmentConditions
) -> None:
    """Raises Invalid if these conditions cannot be saved under this name."""
    if not name:
        raise Invalid({"name": "Enter a name for the segment."})
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise Invalid({"name": f"A name has at most {MAX_NAME_LENGTH} plain characters."})
    if not conditions.rows:
        raise Invalid(
            {"conditions": "Choose at least one condition: without one, every subscriber matches."}
        )
    same_name = session.scalar(select(Segment.id).where(Segment.name == name))
    if same_name is not None and same_name != segment_id:
        raise Invalid({"name": "There is already a segment with this name."})


def _record_segment_audit(
    session: Session, by: Actor, action: str, segment: Segment, now: datetime
) -> None:
    detail = {"name": segment.name}
    record_audit_entry(session, by, action, "segment", segment.id, detail=detail, now=now)
