"""The forms of the register: what was typed, kept as it was until it can be saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from nif.errors import Invalid
from nif.register.keeping import PartyCopy
from nif.register.models import (
    AmountBand,
    Materiality,
    Nature,
    Ours,
    Party,
    PartyKind,
    Relationship,
    Visibility,
)
from nif.register.natures import NATURES
from nif.register.relating import BY_NATURE, RelationshipCopy
from nif.web.typed import number

Choice = TypeVar("Choice", bound=StrEnum)
UNLIMITED = "unlimited"


@dataclass(frozen=True)
class PartyForm:
    """A party as typed: one alias, domain and address on each line, `parent` by its name."""

    name: str = ""
    kind: str = PartyKind.COMPANY.value
    aliases: str = ""
    domains: str = ""
    same_as: str = ""
    parent: str = ""
    version: str = "0"


@dataclass(frozen=True)
class RelationshipForm:
    """A relationship as typed; what is empty is as usual for its nature."""

    nature: str = ""
    ours: str = Ours.NIF.value
    ours_label: str = ""
    account_id: str = ""
    detail: str = ""
    since: str = ""
    until: str = ""
    lookback_months: str = ""
    materiality: str = ""
    amount_band: str = AmountBand.NONE.value
    visibility: str = ""
    wording: str = ""
    evidence_url: str = ""
    version: str = "0"


def cleaned(text: str) -> str:
    """One line of text, without what no database keeps."""
    return " ".join("".join(ch for ch in text if ch.isprintable() or ch.isspace()).split())


def read_party(values: Mapping[str, str]) -> PartyForm:
    lines = {
        name: "\n".join(map(cleaned, values.get(name, "").splitlines()))
        for name in ("aliases", "domains", "same_as")
    }
    words = {name: cleaned(values.get(name, "")) for name in ("name", "kind", "parent", "version")}
    return PartyForm(**lines, **words)


def party_filled(party: Party, parent: str) -> PartyForm:
    return PartyForm(
        name=party.name,
        kind=party.kind.value,
        aliases="\n".join(alias.name for alias in party.aliases),
        domains="\n".join(party.domains),
        same_as="\n".join(party.same_as),
        parent=parent,
        version=str(party.version),
    )


def party_copy(form: PartyForm, parent_id: int | None) -> PartyCopy:
    """Raises Invalid."""
    if form.parent and parent_id is None:
        raise Invalid({"parent": "There is no party of this name in the register. Add it first."})
    return PartyCopy(
        name=form.name,
        kind=_chosen(PartyKind, form.kind, "kind"),
        aliases=_lines(form.aliases),
        domains=_lines(form.domains),
        same_as=_lines(form.same_as),
        parent_id=parent_id,
    )


def read_relationship(values: Mapping[str, str]) -> RelationshipForm:
    names = vars(RelationshipForm())
    return RelationshipForm(**{name: cleaned(values.get(name, "")) for name in names})


def relationship_filled(relationship: Relationship) -> RelationshipForm:
    """The form of what was saved; what is as usual for its nature stays so if that changes."""
    terms = NATURES[relationship.nature]
    months, until = relationship.lookback_months, relationship.until
    if terms.once and until == relationship.since:
        until = None
    as_usual = {
        "lookback_months": months == terms.lookback_months,
        "materiality": relationship.materiality is terms.materiality,
        "visibility": relationship.visibility is terms.visibility,
    }
    told = {
        "lookback_months": UNLIMITED if months is None else str(months),
        "materiality": relationship.materiality.value,
        "visibility": relationship.visibility.value,
    }
    return RelationshipForm(
        nature=relationship.nature.value,
        ours=relationship.ours.value,
        ours_label=relationship.ours_label,
        account_id=str(relationship.account_id or ""),
        detail=relationship.detail,
        since=relationship.since.isoformat() if relationship.since else "",
        until=until.isoformat() if until else "",
        amount_band=relationship.amount_band.value,
        wording=relationship.wording,
        evidence_url=relationship.evidence_url,
        version=str(relationship.version),
        **{name: "" if as_usual[name] else value for name, value in told.items()},
    )


def relationship_copy(form: RelationshipForm) -> RelationshipCopy:
    """Raises Invalid, for the first field that cannot be read."""
    return RelationshipCopy(
        nature=_chosen(Nature, form.nature, "nature"),
        ours=_chosen(Ours, form.ours, "ours"),
        ours_label=form.ours_label,
        account_id=number(form.account_id) or None,
        detail=form.detail,
        since=_day(form.since, "since"),
        until=_day(form.until, "until"),
        lookback_months=_months(form.lookback_months),
        materiality=_usual(Materiality, form.materiality, "materiality"),
        amount_band=_chosen(AmountBand, form.amount_band, "amount_band"),
        visibility=_usual(Visibility, form.visibility, "visibility"),
        wording=form.wording,
        evidence_url=form.evidence_url,
    )


def read_day(text: str, field: str) -> date:
    """Raises Invalid."""
    day = _day(text, field)
    if day is None:
        raise Invalid({field: "Give a day."})
    return day


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def _chosen(kind: type[Choice], value: str, field: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        raise Invalid({field: "Choose one of these."}) from None


def _usual(kind: type[Choice], value: str, field: str) -> Choice | None:
    return _chosen(kind, value, field) if value else None


def _months(text: str) -> int | None:
    if not text:
        return BY_NATURE
    if text == UNLIMITED:
        return None
    if not text.isdecimal():
        raise Invalid({"lookback_months": "Choose one of these."})
    return number(text)


def _day(text: str, field: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid({field: "Give a day such as 2026-11-22."}) from None
