"""The form of conditions: rows of selects as typed, and the conditions that they make."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from nif.subscribers.segment_conditions import (
    CONDITION_CATALOGUE,
    MAX_CONDITIONS,
    ConditionMatch,
    ConditionValueKind,
    SegmentCondition,
    SegmentConditions,
)

ADD_CONDITION = "add"
CONDITION_LABELS = {
    f"{field}.{operator}": definition.label
    for (field, operator), definition in CONDITION_CATALOGUE.items()
}
"""What can be chosen, in the words of the form."""

CONDITION_VALUE_KINDS = {
    f"{field}.{operator}": definition.value_kind
    for (field, operator), definition in CONDITION_CATALOGUE.items()
}
SUPPRESSION_REASON_LABELS = {
    "any": "any reason",
    "bounced": "the address bounced",
    "complained": "they called it spam",
    "unsubscribed": "they unsubscribed by way of SendGrid",
    "invalid": "the address is none",
    "manual": "by hand",
}


@dataclass(frozen=True)
class ConditionRow:
    """One row as typed; `what` is a field and an operator, with a dot between them."""

    what: str = ""
    value: str = ""

    @property
    def kind(self) -> ConditionValueKind | None:
        return CONDITION_VALUE_KINDS.get(self.what)


@dataclass(frozen=True)
class SegmentForm:
    """As typed."""

    name: str
    match: str
    rows: tuple[ConditionRow, ...]

    @property
    def may_grow(self) -> bool:
        return len(self.rows) < MAX_CONDITIONS

    def as_data(self) -> dict[str, Any]:
        """What the language is to read; rows in which nothing was chosen are none."""
        rows = [(row.what.partition("."), row.value) for row in self.rows]
        conditions = [
            {"field": what[0], "operator": what[2], "value": value} for what, value in rows
        ]
        return {"match": self.match, "conditions": conditions}


def read_segment_form(values: Mapping[str, str]) -> SegmentForm:
    """A form as it was sent, without the rows that were left empty."""
    rows = (
        ConditionRow(values.get(f"what-{n}", ""), values.get(f"value-{n}", ""))
        for n in range(MAX_CONDITIONS)
    )
    return SegmentForm(
        name=" ".join(values.get("name", "").split()),
        match=values.get("match", ConditionMatch.ALL.value),
        rows=tuple(row for row in rows if row.what),
    )


def segment_form_of(name: str, data: Mapping[str, Any]) -> SegmentForm:
    """The form of conditions that are kept."""
    rows = (
        ConditionRow(f"{row['field']}.{row['operator']}", row["value"])
        for row in data["conditions"]
    )
    return SegmentForm(name, data["match"], tuple(rows))


def conditions_as_query(rows: Iterable[SegmentCondition]) -> str:
    """Conditions as the part of an address that fills the form."""
    pairs = [(f"what-{n}", f"{row.field}.{row.operator}") for n, row in enumerate(rows)]
    pairs += [(f"value-{n}", row.value) for n, row in enumerate(rows)]
    return urlencode(pairs)


def describe_conditions(conditions: SegmentConditions, titles: Mapping[str, str]) -> list[str]:
    """Each condition in words: "Is confirmed on the list NIF Daily"."""
    said = []
    for row in conditions.rows:
        value = row.value
        if row.definition.value_kind is ConditionValueKind.LIST:
            value = titles.get(value, value)
        elif row.definition.value_kind is ConditionValueKind.REASON:
            value = SUPPRESSION_REASON_LABELS.get(value, value)
        said.append(f"{row.definition.label} {value}")
    return said
