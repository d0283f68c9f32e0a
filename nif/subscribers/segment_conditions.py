"""The language of segments: all or any of a few conditions, each a field, an operator and a value.

Conditions are data, not queries: anything outside the catalogue is refused, and values are only
ever bound as parameters. As JSON: `{"match": "all", "conditions": [{"field": "list", "operator":
"confirmed", "value": "daily"}]}`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from nif.errors import Invalid
from nif.subscribers.address_index import MIN_PART_LENGTH
from nif.subscriptions.models import SuppressionReason

MAX_CONDITIONS = 10
MAX_VALUE_LENGTH = 300
ANY_REASON = "any"
REASON_CHOICES = (ANY_REASON, *(reason.value for reason in SuppressionReason))


class ConditionMatch(StrEnum):
    ALL = "all"
    ANY = "any"


class ConditionValueKind(StrEnum):
    """The type of a condition's value."""

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
    ("address", "contains"): ConditionOperator("Address contains", ConditionValueKind.PART),
    ("list", "confirmed"): ConditionOperator("Is confirmed on the list", ConditionValueKind.LIST),
    ("list", "not_confirmed"): ConditionOperator(
        "Is not confirmed on the list", ConditionValueKind.LIST, "confirmed"
    ),
    ("list", "pending"): ConditionOperator("Is pending on the list", ConditionValueKind.LIST),
    ("list", "unsubscribed"): ConditionOperator(
        "Unsubscribed from the list", ConditionValueKind.LIST
    ),
    ("joined", "since"): ConditionOperator("Added on or after the day", ConditionValueKind.DAY),
    ("joined", "before"): ConditionOperator("Added before the day", ConditionValueKind.DAY),
    ("source", "is"): ConditionOperator("Has a consent from the source", ConditionValueKind.SOURCE),
    ("source", "is_not"): ConditionOperator(
        "Has no consent from the source", ConditionValueKind.SOURCE, "is"
    ),
    ("activity", "since"): ConditionOperator(
        "Was active on or after the day", ConditionValueKind.DAY
    ),
    ("activity", "none_since"): ConditionOperator(
        "Was not active since the day", ConditionValueKind.DAY, "since"
    ),
    ("suppressed", "because"): ConditionOperator(
        "Is suppressed for the reason", ConditionValueKind.REASON
    ),
    ("suppressed", "not_because"): ConditionOperator(
        "Is not suppressed for the reason", ConditionValueKind.REASON, "because"
    ),
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
