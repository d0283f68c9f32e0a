"""The sentence of a relationship, made from its fields by the template of its nature."""

from dataclasses import dataclass

from nif.register.models import AmountBand, Ours, Party, PartyKind, Relationship
from nif.register.natures import NATURES

WORTH = {
    AmountBand.NONE: "",
    AmountBand.UNDER_50: ", worth less than €50",
    AmountBand.UNDER_250: ", worth between €50 and €250",
    AmountBand.UNDER_1000: ", worth between €250 and €1,000",
    AmountBand.UNDER_10000: ", worth between €1,000 and €10,000",
    AmountBand.MORE: ", worth more than €10,000",
}
PARENT = "our parent company"


@dataclass(frozen=True)
class House:
    """What NIF and its owner are called in sentences."""

    name: str
    owner: str


def write(relationship: Relationship, party: Party, house: House) -> None:
    """Give a relationship both of its sentences, in its own wording where it has one.

    `afterwards` is empty while no end is known.
    """
    terms = NATURES[relationship.nature]
    words = _words(relationship, party, house)
    relationship.sentence = relationship.wording or terms.standing.format_map(words)
    relationship.afterwards = ""
    if relationship.until:
        relationship.afterwards = relationship.wording or terms.ended.format_map(words)


def _words(relationship: Relationship, party: Party, house: House) -> dict[str, str]:
    person = party.name if party.kind is PartyKind.PERSON else f"someone at {party.name}"
    return {
        **_our_side(relationship.ours, relationship.ours_label, house),
        "party": party.name,
        "person": person,
        "nif": house.name,
        "owner": house.owner,
        "detail": relationship.detail,
        "worth": WORTH[relationship.amount_band],
        "year": str(relationship.until.year) if relationship.until else "",
    }


def _our_side(ours: Ours, label: str, house: House) -> dict[str, str]:
    """How we are called: {Who} begins a sentence, {who} does not, {us} and {one} end a clause."""
    if ours is Ours.NIF:
        return _called(house.name, us="us", our="our", one=house.name, formerly=house.name)
    if ours is Ours.OWNER:
        formerly = f"{label or house.owner}, now {PARENT},"
        return _called(PARENT, us=PARENT, our=f"{PARENT}'s", one=PARENT, formerly=formerly)
    if ours is Ours.PRODUCT:
        whole = f"{label}, which {PARENT} owns"
        return _called(f"{whole},", us=whole, our=f"{label}'s", one=whole, formerly=f"{whole},")
    return _called(label, us=label, our=f"{label}'s", one=label, formerly=label)


def _called(who: str, **others: str) -> dict[str, str]:
    return {"who": who, "Who": who[:1].upper() + who[1:], **others}
