"""How the register is named to the people who keep it."""

from nif.register.models import AmountBand, Materiality, Nature, Ours, PartyKind, Visibility
from nif.register.natures import NATURES

KINDS = {
    PartyKind.PERSON: "A person",
    PartyKind.COMPANY: "A company",
    PartyKind.PRODUCT: "A product",
    PartyKind.EVENT: "An event",
    PartyKind.WORK: "A work",
    PartyKind.PUBLIC_BODY: "A public body",
    PartyKind.OTHER: "Something else",
}
KIND_LINKS = {
    PartyKind.PERSON: "People",
    PartyKind.COMPANY: "Companies",
    PartyKind.PRODUCT: "Products",
    PartyKind.EVENT: "Events",
    PartyKind.WORK: "Works",
    PartyKind.PUBLIC_BODY: "Public bodies",
    PartyKind.OTHER: "Others",
}
SIDES = {
    Ours.NIF: "NIF itself",
    Ours.OWNER: "Our parent company",
    Ours.PRODUCT: "A product of our parent company",
    Ours.ACCOUNT: "A person who works here",
}
MATERIALITY = {
    Materiality.ALWAYS: "Always told",
    Materiality.DEFAULT: "Told unless two people waive it",
    Materiality.CONTEXT: "Told where the story touches on it",
}
VISIBILITY = {
    Visibility.PUBLIC: "On the public page too",
    Visibility.MATCH_ONLY: "Only under stories that name the party",
}
AMOUNTS = {
    AmountBand.NONE: "Not given, or not about money",
    AmountBand.UNDER_50: "Less than €50",
    AmountBand.UNDER_250: "€50 to €250",
    AmountBand.UNDER_1000: "€250 to €1,000",
    AmountBand.UNDER_10000: "€1,000 to €10,000",
    AmountBand.MORE: "More than €10,000",
}
LOOKBACKS = {
    "0": "Not told once it is over",
    "12": "A year",
    "24": "Two years",
    "36": "Three years",
    "60": "Five years",
    "unlimited": "Without limit",
}


def natures() -> dict[str, dict[Nature, str]]:
    """The natures by their groups, each in words."""
    groups: dict[str, dict[Nature, str]] = {}
    for nature, terms in NATURES.items():
        groups.setdefault(terms.group, {})[nature] = terms.label
    return groups


def nature(of: Nature) -> str:
    return NATURES[of].label


def details() -> list[tuple[str, str]]:
    """The natures whose sentence needs more, and what."""
    return [(terms.label, terms.detail) for terms in NATURES.values() if terms.detail]
