"""Segments: conditions that subscribers match, saved under a name with the size of the last count.

The conditions are all or any of a few, each a field, an operator and a value. They are data, not
queries: anything outside the catalogue is refused, and values are only ever bound as parameters. As
JSON: `{"match": "all", "conditions": [{"field": "list", "operator": "confirmed", "value":
"daily"}]}`. `segment_queries` turns them into SQL.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.accounts.audit_log import Actor, record_audit_entry
from nif.database import Base, BigId, get_row
from nif.errors import Invalid
from nif.subscriptions.models import SuppressionReason

MAX_NAME_LENGTH = 100
MAX_SEGMENTS = 200
MAX_CONDITIONS = 10
MAX_VALUE_LENGTH = 300
MIN_PART_LENGTH = 3
"""Characters of a part of an address: the index is of trigrams."""

ANY_REASON = "any"
REASON_CHOICES = (ANY_REASON, *(reason.value for reason in SuppressionReason))


class Segment(Base):
    """Conditions saved under a name. `size` is the count at `counted_at`, not the current one."""

    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    conditions: Mapped[dict[str, Any]]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    size: Mapped[int | None]
    counted_at: Mapped[datetime | None]


class ConditionMatch(StrEnum):
    ALL = "all"
    ANY = "any"


class ConditionValueKind(StrEnum):
    PART = "part"
    LIST = "list"
    DAY = "day"
    REASON = "reason"
    SOURCE = "source"


@dataclass(frozen=True)
class ConditionOperator:
    """One entry of the catalogue. `negates` names the operator that this one is the negation of."""

    label: str
    value_kind: ConditionValueKind
    negates: str = ""


CONDITION_CATALOGUE: Mapping[tuple[str, str], ConditionOperator] = {
    (field, operator): ConditionOperator(label, ConditionValueKind(kind), negates)
    for field, operator, label, kind, negates in (
        ("address", "contains", "Address contains", "part", ""),
        ("list", "confirmed", "Is confirmed on the list", "list", ""),
        ("list", "not_confirmed", "Is not confirmed on the list", "list", "confirmed"),
        ("list", "pending", "Is pending on the list", "list", ""),
        ("list", "unsubscribed", "Unsubscribed from the list", "list", ""),
        ("joined", "since", "Added on or after the day", "day", ""),
        ("joined", "before", "Added before the day", "day", ""),
        ("source", "is", "Has a consent from the source", "source", ""),
        ("source", "is_not", "Has no consent from the source", "source", "is"),
        ("activity", "since", "Was active on or after the day", "day", ""),
        ("activity", "none_since", "Was not active since the day", "day", "since"),
        ("suppressed", "because", "Is suppressed for the reason", "reason", ""),
        ("suppressed", "not_because", "Is not suppressed for the reason", "reason", "because"),
    )
}


@dataclass(frozen=True)
class SegmentCondition:
    """One parsed condition: it is in the catalogue and its value is valid."""

    field: str
    operator: str
    value: str

    @property
    def definition(self) -> ConditionOperator:
        return CONDITION_CATALOGUE[self.field, self.operator]

    @property
    def is_negation(self) -> bool:
        return bool(self.definition.negates)

    @property
    def positive_operator(self) -> str:
        return self.definition.negates or self.operator


@dataclass(frozen=True)
class SegmentConditions:
    """The conditions of a search or segment. Without any, every subscriber matches."""

    match: ConditionMatch = ConditionMatch.ALL
    rows: Sequence[SegmentCondition] = ()

    def as_data(self) -> dict[str, Any]:
        return {"match": self.match.value, "conditions": [asdict(row) for row in self.rows]}


def parse_conditions(data: Any, *, lists: Collection[str]) -> SegmentConditions:
    """Parse conditions from untrusted data. `lists` holds the slugs of the existing lists.

    Raises Invalid: a problem with row n is keyed `value-n`, one with the whole `conditions`.
    """
    if not isinstance(data, dict) or data.keys() != {"match", "conditions"}:
        raise Invalid({"conditions": "A segment is an object with “match” and “conditions”."})
    match, rows = data["match"], data["conditions"]
    if not isinstance(match, str) or match not in set(ConditionMatch):
        raise Invalid({"conditions": "“match” is either “all” or “any”."})
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Invalid({"conditions": "“conditions” is a list of objects."})
    if len(rows) > MAX_CONDITIONS:
        raise Invalid({"conditions": f"A segment has at most {MAX_CONDITIONS} conditions."})
    problems = {}
    conditions = []
    for n, row in enumerate(rows):
        try:
            conditions.append(_parse_condition(row, lists))
        except ValueError as error:
            problems[f"value-{n}"] = str(error)
    if problems:
        raise Invalid(problems)
    return SegmentConditions(ConditionMatch(match), tuple(conditions))


def _parse_condition(row: Mapping[str, Any], lists: Collection[str]) -> SegmentCondition:
    """Raises ValueError with a sentence for a person."""
    if row.keys() != {"field", "operator", "value"}:
        raise ValueError("A condition has a field, an operator and a value, and nothing else.")
    if not all(isinstance(text, str) for text in row.values()):
        raise ValueError("Field, operator and value are texts.")
    condition = SegmentCondition(row["field"], row["operator"], row["value"].strip())
    if (condition.field, condition.operator) not in CONDITION_CATALOGUE:
        raise ValueError("There is no such condition. Choose one of those offered.")
    problem = _problem_with_value(condition.definition.value_kind, condition.value, lists)
    if problem:
        raise ValueError(problem)
    if condition.definition.value_kind is ConditionValueKind.PART:
        return SegmentCondition(condition.field, condition.operator, condition.value.lower())
    return condition


def _problem_with_value(kind: ConditionValueKind, value: str, lists: Collection[str]) -> str | None:
    """A sentence about what is wrong with the value; None if it is valid."""
    if len(value) > MAX_VALUE_LENGTH or not value.isprintable():
        return f"A value has at most {MAX_VALUE_LENGTH} plain characters."
    match kind:
        case ConditionValueKind.PART if len(value) < MIN_PART_LENGTH:
            return f"Type at least {MIN_PART_LENGTH} characters of the address."
        case ConditionValueKind.LIST if value not in lists:
            return "Choose one of the lists."
        case ConditionValueKind.DAY:
            return None if _is_day(value) else "Enter a day, such as 2026-11-22."
        case ConditionValueKind.REASON if value not in REASON_CHOICES:
            return f"Choose a reason: {', '.join(REASON_CHOICES)}."
        case ConditionValueKind.SOURCE if not value:
            return "Enter the source, such as /subscribe."
    return None


def _is_day(value: str) -> bool:
    try:
        return 2000 <= date.fromisoformat(value).year < 9999
    except ValueError:
        return False


def list_segments(session: Session) -> Sequence[Segment]:
    """The saved segments by name, at most MAX_SEGMENTS."""
    return session.scalars(select(Segment).order_by(Segment.name).limit(MAX_SEGMENTS)).all()


def get_segment(session: Session, segment_id: int) -> Segment:
    """Raises NotFound."""
    return get_row(session, Segment, segment_id, "There is no such segment.")


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
    detail = {"name": segment.name}
    record_audit_entry(session, by, action, "segment", segment.id, detail=detail, now=now)
    return segment


def store_segment_size(
    segment: Segment, conditions: dict[str, Any], size: int, *, now: datetime
) -> None:
    """Store a count of `conditions`, unless the segment's conditions have changed meanwhile."""
    if segment.conditions == conditions:
        segment.size, segment.counted_at = size, now


def delete_segment(session: Session, segment: Segment, *, by: Actor, now: datetime) -> None:
    """Delete a segment. Its subscribers stay as they are."""
    detail = {"name": segment.name}
    record_audit_entry(
        session, by, "segment_deleted", "segment", segment.id, detail=detail, now=now
    )
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
