"""The form of a segment: rows of selects, and the conditions that they form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from nif.subscribers.segments import (
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
"""The options of a row: "field.operator" and its label."""

CONDITION_VALUE_KINDS = {
    f"{field}.{operator}": definition.value_kind
    for (field, operator), definition in CONDITION_CATALOGUE.items()
}
SUPPRESSION_REASON_LABELS = {
    "any": "(any)",
    "bounced": "the address bounced",
    "complained": "marked as spam",
    "unsubscribed": "unsubscribed through SendGrid",
    "invalid": "the address is invalid",
    "manual": "manual",
}


@dataclass(frozen=True)
class ConditionRow:
    """One row as submitted; `what` is "field.operator", or empty."""

    what: str = ""
    value: str = ""

    @property
    def kind(self) -> ConditionValueKind | None:
        return CONDITION_VALUE_KINDS.get(self.what)


@dataclass(frozen=True)
class SegmentForm:
    """The form as submitted."""

    name: str
    match: str
    rows: tuple[ConditionRow, ...]

    @property
    def may_grow(self) -> bool:
        return len(self.rows) < MAX_CONDITIONS

    def as_data(self) -> dict[str, Any]:
        """The conditions as `parse_conditions` reads them."""
        rows = [(row.what.partition("."), row.value) for row in self.rows]
        conditions = [
            {"field": what[0], "operator": what[2], "value": value} for what, value in rows
        ]
        return {"match": self.match, "conditions": conditions}


def read_segment_form(values: Mapping[str, str]) -> SegmentForm:
    """The form without its empty rows."""
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
    """The form that shows stored conditions."""
    rows = (
        ConditionRow(f"{row['field']}.{row['operator']}", row["value"])
        for row in data["conditions"]
    )
    return SegmentForm(name, data["match"], tuple(rows))


def conditions_as_query(rows: Iterable[SegmentCondition]) -> str:
    """The query of an address that prefills the form with these conditions."""
    pairs = [(f"what-{n}", f"{row.field}.{row.operator}") for n, row in enumerate(rows)]
    pairs += [(f"value-{n}", row.value) for n, row in enumerate(rows)]
    return urlencode(pairs)


def describe_conditions(conditions: SegmentConditions, titles: Mapping[str, str]) -> list[str]:
    """A sentence for each condition, such as "Is confirmed on the list NIF Daily"."""
    sentences = []
    for row in conditions.rows:
        value = row.value
        if row.definition.value_kind is ConditionValueKind.LIST:
            value = titles.get(value, value)
        elif row.definition.value_kind is ConditionValueKind.REASON:
            value = SUPPRESSION_REASON_LABELS.get(value, value)
        sentences.append(f"{row.definition.label} {value}")
    return sentences
