"""The language of segments: all or any of a few conditions, each a field, an operator, a value.

It is data, not a query: what is not in the catalogue is refused, and values are only ever bound.
As JSON: `{"match": "all", "conditions": [{"field": "list", "operator": "confirmed", "value":
"daily"}]}`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from nif.audience.indexing import SHORTEST
from nif.errors import Invalid
from nif.subscriptions.models import SuppressionReason

MOST = 10
LONGEST = 300
ANY_REASON = "any"
REASONS = (ANY_REASON, *(reason.value for reason in SuppressionReason))


class Match(StrEnum):
    ALL = "all"
    ANY = "any"


class Kind(StrEnum):
    """What a value has to be."""

    PART = "part"
    LIST = "list"
    DAY = "day"
    REASON = "reason"
    SOURCE = "source"


@dataclass(frozen=True)
class Operator:
    """What can be said of a field, in words. One that `denies` is the reverse of that operator."""

    words: str
    value: Kind
    denies: str = ""


CATALOGUE: Mapping[tuple[str, str], Operator] = {
    ("address", "contains"): Operator("Address contains", Kind.PART),
    ("list", "confirmed"): Operator("Is confirmed on the list", Kind.LIST),
    ("list", "not_confirmed"): Operator("Is not confirmed on the list", Kind.LIST, "confirmed"),
    ("list", "pending"): Operator("Has not confirmed yet on the list", Kind.LIST),
    ("list", "left"): Operator("Has left the list", Kind.LIST),
    ("joined", "since"): Operator("Came on or after the day", Kind.DAY),
    ("joined", "before"): Operator("Came before the day", Kind.DAY),
    ("source", "is"): Operator("Ever consented by way of", Kind.SOURCE),
    ("source", "is_not"): Operator("Never consented by way of", Kind.SOURCE, "is"),
    ("life", "since"): Operator("Gave a sign of life on or after the day", Kind.DAY),
    ("life", "none_since"): Operator("Gave no sign of life since the day", Kind.DAY, "since"),
    ("suppressed", "because"): Operator("Is suppressed, and the reason is", Kind.REASON),
    ("suppressed", "not_because"): Operator(
        "Is not suppressed for the reason", Kind.REASON, "because"
    ),
}


@dataclass(frozen=True)
class Condition:
    """One row, read: it is in the catalogue, and its value is one that there can be."""

    field: str
    operator: str
    value: str

    @property
    def said(self) -> Operator:
        return CATALOGUE[self.field, self.operator]

    @property
    def is_denial(self) -> bool:
        return bool(self.said.denies)


@dataclass(frozen=True)
class Conditions:
    """What someone asks for. Without a condition it is everyone."""

    match: Match = Match.ALL
    rows: Sequence[Condition] = ()

    def as_data(self) -> dict[str, Any]:
        return {"match": self.match.value, "conditions": [asdict(row) for row in self.rows]}


def parse(data: Any, *, lists: Collection[str]) -> Conditions:
    """Read conditions from data that came from anywhere. `lists` are the slugs that there are.

    Raises Invalid: the problem of row n is named `value-n`, and one with the whole `conditions`.
    """
    if not isinstance(data, dict) or data.keys() != {"match", "conditions"}:
        raise Invalid({"conditions": "A segment is an object with “match” and “conditions”."})
    match, rows = data["match"], data["conditions"]
    if not isinstance(match, str) or match not in set(Match):
        raise Invalid({"conditions": "“match” is either “all” or “any”."})
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Invalid({"conditions": "“conditions” is a list of objects."})
    if len(rows) > MOST:
        raise Invalid({"conditions": f"A segment has at most {MOST} conditions."})
    problems = {}
    read = []
    for n, row in enumerate(rows):
        try:
            read.append(_row(row, lists))
        except ValueError as error:
            problems[f"value-{n}"] = str(error)
    if problems:
        raise Invalid(problems)
    return Conditions(Match(match), tuple(read))


def _row(row: Mapping[str, Any], lists: Collection[str]) -> Condition:
    """Raises ValueError with a sentence."""
    if row.keys() != {"field", "operator", "value"}:
        raise ValueError("A condition has a field, an operator and a value, and nothing else.")
    if not all(isinstance(text, str) for text in row.values()):
        raise ValueError("Field, operator and value are texts.")
    condition = Condition(row["field"], row["operator"], row["value"].strip())
    if (condition.field, condition.operator) not in CATALOGUE:
        raise ValueError("There is no such condition. Choose one of those offered.")
    problem = _problem(condition.said.value, condition.value, lists)
    if problem:
        raise ValueError(problem)
    if condition.said.value is Kind.PART:
        return Condition(condition.field, condition.operator, condition.value.lower())
    return condition


def _problem(kind: Kind, value: str, lists: Collection[str]) -> str | None:
    """What is wrong with a value of this kind, in a sentence."""
    if len(value) > LONGEST or not value.isprintable():
        return f"A value has at most {LONGEST} plain characters."
    match kind:
        case Kind.PART if len(value) < SHORTEST:
            return f"Type at least {SHORTEST} characters of the address."
        case Kind.LIST if value not in lists:
            return "Choose one of the lists."
        case Kind.DAY:
            return None if _is_day(value) else "Give a day, such as 2026-11-22."
        case Kind.REASON if value not in REASONS:
            return f"Choose a reason: {', '.join(REASONS)}."
        case Kind.SOURCE if not value:
            return "Name the source, such as /subscribe."
    return None


def _is_day(value: str) -> bool:
    try:
        return 2000 <= date.fromisoformat(value).year < 9999
    except ValueError:
        return False
