"""The register's forms as typed, and their conversion to inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from nif.errors import Invalid
from nif.register.models import (
    AmountBand,
    Materiality,
    OurSide,
    Party,
    PartyKind,
    Relationship,
    RelationshipType,
    RelationshipVisibility,
)
from nif.register.parties import PartyInput
from nif.register.relationship_types import RELATIONSHIP_TYPES
from nif.register.relationships import DEFAULT_LOOKBACK, RelationshipInput
from nif.web.forms import clean_line, parse_number

Choice = TypeVar("Choice", bound=StrEnum)
UNLIMITED = "unlimited"


@dataclass(frozen=True)
class PartyForm:
    """A party as typed: one alias, domain or address per line, the parent by its name."""

    name: str = ""
    kind: str = PartyKind.COMPANY.value
    aliases: str = ""
    domains: str = ""
    same_as: str = ""
    parent: str = ""
    version: str = "0"


@dataclass(frozen=True)
class RelationshipForm:
    """A relationship as typed. Empty terms follow the defaults of the relationship type."""

    type: str = ""
    our_side: str = OurSide.NIF.value
    our_side_name: str = ""
    account_id: str = ""
    detail: str = ""
    since: str = ""
    until: str = ""
    lookback_months: str = ""
    materiality: str = ""
    amount_band: str = AmountBand.NONE.value
    visibility: str = ""
    custom_sentence: str = ""
    evidence_url: str = ""
    version: str = "0"


def read_party_form(values: Mapping[str, str]) -> PartyForm:
    lines = {
        name: "\n".join(map(clean_line, values.get(name, "").splitlines()))
        for name in ("aliases", "domains", "same_as")
    }
    texts = {
        name: clean_line(values.get(name, "")) for name in ("name", "kind", "parent", "version")
    }
    return PartyForm(**lines, **texts)


def party_form_of(party: Party, parent: str) -> PartyForm:
    return PartyForm(
        name=party.name,
        kind=party.kind.value,
        aliases="\n".join(alias.name for alias in party.aliases),
        domains="\n".join(party.domains),
        same_as="\n".join(party.same_as),
        parent=parent,
        version=str(party.version),
    )


def party_input_of(form: PartyForm, parent_id: int | None) -> PartyInput:
    """Raises Invalid."""
    if form.parent and parent_id is None:
        raise Invalid({"parent": "There is no party with this name in the register. Add it first."})
    return PartyInput(
        name=form.name,
        kind=_read_choice(PartyKind, form.kind, "kind"),
        aliases=_split_lines(form.aliases),
        domains=_split_lines(form.domains),
        same_as=_split_lines(form.same_as),
        parent_id=parent_id,
    )


def read_relationship_form(values: Mapping[str, str]) -> RelationshipForm:
    names = vars(RelationshipForm())
    return RelationshipForm(**{name: clean_line(values.get(name, "")) for name in names})


def relationship_form_of(relationship: Relationship) -> RelationshipForm:
    """The form of a saved relationship.

    Terms that equal the type's defaults stay empty, so that they follow when the type changes.
    """
    rules = RELATIONSHIP_TYPES[relationship.type]
    months, until = relationship.lookback_months, relationship.until
    if rules.is_single_day and until == relationship.since:
        until = None
    is_default = {
        "lookback_months": months == rules.lookback_months,
        "materiality": relationship.materiality is rules.materiality,
        "visibility": relationship.visibility is rules.visibility,
    }
    values = {
        "lookback_months": UNLIMITED if months is None else str(months),
        "materiality": relationship.materiality.value,
        "visibility": relationship.visibility.value,
    }
    return RelationshipForm(
        type=relationship.type.value,
        our_side=relationship.our_side.value,
        our_side_name=relationship.our_side_name,
        account_id=str(relationship.account_id or ""),
        detail=relationship.detail,
        since=relationship.since.isoformat() if relationship.since else "",
        until=until.isoformat() if until else "",
        amount_band=relationship.amount_band.value,
        custom_sentence=relationship.custom_sentence,
        evidence_url=relationship.evidence_url,
        version=str(relationship.version),
        **{name: "" if is_default[name] else value for name, value in values.items()},
    )


def relationship_input_of(form: RelationshipForm) -> RelationshipInput:
    """Raises Invalid, for the first field that cannot be read."""
    return RelationshipInput(
        type=_read_choice(RelationshipType, form.type, "type"),
        our_side=_read_choice(OurSide, form.our_side, "our_side"),
        our_side_name=form.our_side_name,
        account_id=parse_number(form.account_id) or None,
        detail=form.detail,
        since=_parse_date(form.since, "since"),
        until=_parse_date(form.until, "until"),
        lookback_months=_read_months(form.lookback_months),
        materiality=_read_optional_choice(Materiality, form.materiality, "materiality"),
        amount_band=_read_choice(AmountBand, form.amount_band, "amount_band"),
        visibility=_read_optional_choice(RelationshipVisibility, form.visibility, "visibility"),
        custom_sentence=form.custom_sentence,
        evidence_url=form.evidence_url,
    )


def parse_required_date(text: str, field: str) -> date:
    """Raises Invalid."""
    day = _parse_date(text, field)
    if day is None:
        raise Invalid({field: "Give a date."})
    return day


def _split_lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def _read_choice(kind: type[Choice], value: str, field: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        raise Invalid({field: "Choose one of these."}) from None


def _read_optional_choice(kind: type[Choice], value: str, field: str) -> Choice | None:
    return _read_choice(kind, value, field) if value else None


def _read_months(text: str) -> int | None:
    if not text:
        return DEFAULT_LOOKBACK
    if text == UNLIMITED:
        return None
    if not text.isdecimal():
        raise Invalid({"lookback_months": "Choose one of these."})
    return parse_number(text)


def _parse_date(text: str, field: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid({field: "Give a date such as 2026-11-22."}) from None
