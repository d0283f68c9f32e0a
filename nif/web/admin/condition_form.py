"""The form of conditions: rows of selects as typed, and the conditions that they make."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from nif.audience.asking import CATALOGUE, MOST, Condition, Conditions, Kind, Match

ADD = "add"
WORDS = {f"{field}.{operator}": said.words for (field, operator), said in CATALOGUE.items()}
"""What can be chosen, in the words of the form."""

KINDS = {f"{field}.{operator}": said.value for (field, operator), said in CATALOGUE.items()}
REASONS = {
    "any": "any reason",
    "bounced": "the address bounced",
    "complained": "they called it spam",
    "unsubscribed": "they unsubscribed by way of SendGrid",
    "invalid": "the address is none",
    "manual": "by hand",
}


@dataclass(frozen=True)
class Row:
    """One row as typed; `what` is a field and an operator, with a dot between them."""

    what: str = ""
    value: str = ""

    @property
    def kind(self) -> Kind | None:
        return KINDS.get(self.what)


@dataclass(frozen=True)
class ConditionForm:
    """As typed."""

    name: str
    match: str
    rows: tuple[Row, ...]

    @property
    def may_grow(self) -> bool:
        return len(self.rows) < MOST

    def as_data(self) -> dict[str, Any]:
        """What the language is to read; rows in which nothing was chosen are none."""
        rows = [(row.what.partition("."), row.value) for row in self.rows]
        conditions = [
            {"field": what[0], "operator": what[2], "value": value} for what, value in rows
        ]
        return {"match": self.match, "conditions": conditions}


def read(values: Mapping[str, str]) -> ConditionForm:
    """A form as it was sent, without the rows that were left empty."""
    rows = (Row(values.get(f"what-{n}", ""), values.get(f"value-{n}", "")) for n in range(MOST))
    return ConditionForm(
        name=" ".join(values.get("name", "").split()),
        match=values.get("match", Match.ALL.value),
        rows=tuple(row for row in rows if row.what),
    )


def filled(name: str, data: Mapping[str, Any]) -> ConditionForm:
    """The form of conditions that are kept."""
    rows = (Row(f"{row['field']}.{row['operator']}", row["value"]) for row in data["conditions"])
    return ConditionForm(name, data["match"], tuple(rows))


def in_address(rows: Iterable[Condition]) -> str:
    """Conditions as the part of an address that fills the form."""
    pairs = [(f"what-{n}", f"{row.field}.{row.operator}") for n, row in enumerate(rows)]
    pairs += [(f"value-{n}", row.value) for n, row in enumerate(rows)]
    return urlencode(pairs)


def in_words(asked: Conditions, titles: Mapping[str, str]) -> list[str]:
    """Each condition in words: "Is confirmed on the list NIF Daily"."""
    said = []
    for row in asked.rows:
        value = row.value
        if row.said.value is Kind.LIST:
            value = titles.get(value, value)
        elif row.said.value is Kind.REASON:
            value = REASONS.get(value, value)
        said.append(f"{row.said.words} {value}")
    return said
