"""Segments: conditions saved under a name, with the size that was last counted."""

from collections.abc import Sequence
from datetime import datetime

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


def save(  # noqa: PLR0913  (a segment, what it says, and who says it when)
    session: Session,
    segment: Segment | None,
    name: str,
    asked: Conditions,
    ground: Ground,
    *,
    by: Doer,
    now: datetime,
) -> Segment:
    """Keep conditions under a name, and count them. Without a segment a new one is made.

    Raises Invalid for a name that is none or taken, and where there is no condition.
    """
    _check(session, segment, name, asked)
    is_new = segment is None
    if segment is None:
        segment = Segment(made_by=by.name, at=now)
        session.add(segment)
    segment.name, segment.conditions = name, asked.as_data()
    segment.size, segment.counted_at = counting.size(session, asked, ground), now
    session.flush()
    what = "segment_made" if is_new else "segment_changed"
    note(session, by, what, kind="segment", subject=segment.id, detail={"name": name}, now=now)
    return segment


def count_again(session: Session, segment: Segment, ground: Ground, *, now: datetime) -> None:
    """Count a segment as it is now. Raises Invalid where its conditions cannot be any more."""
    asked = conditions_of(segment, ground)
    segment.size, segment.counted_at = counting.size(session, asked, ground), now


def drop(session: Session, segment: Segment, *, by: Doer, now: datetime) -> None:
    """Forget a segment; nobody who was in it is touched."""
    detail = {"name": segment.name}
    note(session, by, "segment_dropped", kind="segment", subject=segment.id, detail=detail, now=now)
    session.delete(segment)


def _check(session: Session, segment: Segment | None, name: str, asked: Conditions) -> None:
    """Raises Invalid."""
    if not name:
        raise Invalid({"name": "Give the segment a name, to find it again."})
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid({"name": f"A name has at most {LONGEST_NAME} plain characters."})
    if not asked.rows:
        raise Invalid({"conditions": "Choose at least one condition: without one it is everyone."})
    with session.no_autoflush:
        taken = session.scalar(select(Segment.id).where(Segment.name == name))
    if taken is not None and (segment is None or taken != segment.id):
        raise Invalid({"name": "There is a segment of this name already."})
