"""The types of relationships: what follows from each, and the sentence that readers see.

Sentences are made from the fields by the type's template; only `OTHER` has none.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from nif.register.models import (
    AmountBand,
    Materiality,
    OurSide,
    Party,
    PartyKind,
    Relationship,
    RelationshipDirection,
    RelationshipType,
    RelationshipVisibility,
)

ALL_SIDES = frozenset(OurSide)
NIF_ONLY = frozenset({OurSide.NIF})
COMPANY_SIDES = frozenset({OurSide.NIF, OurSide.OWNER, OurSide.PRODUCT})
STAFF_ONLY = frozenset({OurSide.ACCOUNT})


@dataclass(frozen=True)
class RelationshipTypeRules:
    """What follows from a type.

    `current_sentence` is used while the relationship lasts, `past_sentence` afterwards (the current
    one where it is empty), for `lookback_months`: 0 is not at all, None is without limit. `detail`
    asks for what the sentence needs besides. `is_single_day`: it happens on one day.
    `is_always_past`: it is over by definition, so its end must be given.
    """

    group: str
    label: str
    current_sentence: str
    past_sentence: str = ""
    materiality: Materiality = Materiality.ALWAYS
    lookback_months: int | None = 0
    sides: frozenset[OurSide] = ALL_SIDES
    direction: RelationshipDirection = RelationshipDirection.MUTUAL
    visibility: RelationshipVisibility = RelationshipVisibility.PUBLIC
    detail: str = ""
    is_single_day: bool = False
    is_always_past: bool = False


_FROM_THEM: Any = {"direction": RelationshipDirection.FROM_THEM}
_COMMERCIAL: Any = {"lookback_months": 12, "sides": COMPANY_SIDES, **_FROM_THEM}
_STAFF_WORK: Any = {
    "lookback_months": 36,
    "sides": STAFF_ONLY,
    "direction": RelationshipDirection.TO_THEM,
}


def _commercial_type(label: str, does: str, did: str, **given: Any) -> RelationshipTypeRules:
    sentences = f"{{party}} {does}.", f"Until {{year}}, {{party}} {did}."
    return RelationshipTypeRules("Commercial", label, *sentences, **{**_COMMERCIAL, **given})


def _work_type(label: str, does: str, did: str) -> RelationshipTypeRules:
    sentences = f"{{Who}} also {does} {{party}}.", f"{{Who}} {did} {{party}} until {{year}}."
    return RelationshipTypeRules("Work", label, *sentences, **_STAFF_WORK)


def _benefit_type(label: str, gave: str, detail: str) -> RelationshipTypeRules:
    usual: Any = {"lookback_months": 12, "is_single_day": True, **_FROM_THEM}
    sentence = f"{{party}} {gave} {{detail}}{{worth}}."
    return RelationshipTypeRules("Benefit", label, sentence, detail=detail, **usual)


_investment_type = partial(
    RelationshipTypeRules,
    "Ownership",
    lookback_months=60,
    sides=COMPANY_SIDES,
    direction=RelationshipDirection.FROM_THEM,
)
_licence_type = partial(_commercial_type, lookback_months=0, sides=NIF_ONLY)
_mutual_type = partial(
    _commercial_type, materiality=Materiality.DEFAULT, direction=RelationshipDirection.MUTUAL
)
_personal_type = partial(RelationshipTypeRules, "Personal", sides=STAFF_ONLY)

RELATIONSHIP_TYPES: dict[RelationshipType, RelationshipTypeRules] = {
    RelationshipType.SAME_GROUP: RelationshipTypeRules(
        "Ownership",
        "Is part of the same group",
        "{party} is part of {owner}, which also owns {nif}.",
        "Until {year}, {party} was part of {owner}, which also owns {nif}.",
        sides=frozenset({OurSide.OWNER}),
    ),
    RelationshipType.OWNER: _investment_type(
        "Owns, or owned, one of us", "{party} owns {one}.", "{party} owned {formerly} until {year}."
    ),
    RelationshipType.INVESTOR: _investment_type(
        "Has invested in one of us",
        "{party} has invested in {one}.",
        "{party} was an investor in {formerly} until {year}.",
    ),
    RelationshipType.SHAREHOLDING: RelationshipTypeRules(
        "Ownership",
        "One of us owns shares in it",
        "{Who} owns shares in {party}.",
        "{Who} owned shares in {party} until {year}.",
        lookback_months=60,
        direction=RelationshipDirection.TO_THEM,
    ),
    RelationshipType.CUSTOMER: _commercial_type(
        "Is a customer",
        "pays for {one}",
        "paid for {one}",
        materiality=Materiality.DEFAULT,
        sides=frozenset({OurSide.NIF, OurSide.PRODUCT}),
        visibility=RelationshipVisibility.MATCH_ONLY,
    ),
    RelationshipType.ADVERTISER: _commercial_type(
        "Advertises with us", "advertises with {us}", "advertised with {us}"
    ),
    RelationshipType.SPONSOR: _commercial_type("Sponsors us", "sponsors {us}", "sponsored {us}"),
    RelationshipType.AFFILIATE: RelationshipTypeRules(
        "Commercial",
        "Pays a commission on what readers buy",
        "We earn a commission if you buy from {party} through our links.",
        "Until {year}, we earned a commission on what readers bought from {party}.",
        sides=NIF_ONLY,
        **_FROM_THEM,
    ),
    RelationshipType.VENDOR: _commercial_type(
        "Supplies something to us",
        "supplies {detail} to {us}",
        "supplied {detail} to {us}",
        materiality=Materiality.DEFAULT,
        direction=RelationshipDirection.TO_THEM,
        detail="What it supplies: office software",
    ),
    RelationshipType.EVENT_PARTNER: _mutual_type(
        "Runs events with us", "runs events together with {us}", "ran events together with {us}"
    ),
    RelationshipType.DATA_PARTNER: _mutual_type(
        "Shares data with us", "supplies data to {us}", "supplied data to {us}"
    ),
    RelationshipType.CONTENT_LICENCE: _licence_type(
        "Has licensed our content",
        "has licensed {nif}'s content",
        "had a licence for {nif}'s content",
    ),
    RelationshipType.AI_LICENCE: _licence_type(
        "Has licensed our content to train AI",
        "has licensed {nif}'s content to train AI",
        "had a licence to train AI on {nif}'s content",
    ),
    RelationshipType.COMPETITOR: _mutual_type(
        "Competes with one of us", "competes with {one}", "competed with {one}", lookback_months=0
    ),
    RelationshipType.LITIGATION: RelationshipTypeRules(
        "Commercial",
        "Is in a legal dispute with one of us",
        "{Who} and {party} are in a legal dispute.",
        "{Who} and {party} were in a legal dispute until {year}.",
    ),
    RelationshipType.EMPLOYER: _work_type("Employs one of us", "works for", "worked for"),
    RelationshipType.BOARD: _work_type(
        "Has one of us on its board", "sits on the board of", "was on the board of"
    ),
    RelationshipType.ADVISER: _work_type("Is advised by one of us", "advises", "advised"),
    RelationshipType.CLIENT: _work_type(
        "Is a client of one of us", "does paid work for", "did paid work for"
    ),
    RelationshipType.FORMER_EMPLOYER: RelationshipTypeRules(
        "Work",
        "Employed one of us before",
        "{Who} worked at {party} until {year}.",
        materiality=Materiality.DEFAULT,
        is_always_past=True,
        **_STAFF_WORK,
    ),
    RelationshipType.FAMILY: _personal_type(
        "Is family", "{Who} is related to {person}.", "Until {year}, {who} was related to {person}."
    ),
    RelationshipType.FRIEND: _personal_type(
        "Is a friend",
        "{Who} is a friend of {person}.",
        "Until {year}, {who} was a friend of {person}.",
    ),
    RelationshipType.FORMER_COLLEAGUE: _personal_type(
        "Is a former colleague",
        "{Who} used to work with {person}.",
        materiality=Materiality.CONTEXT,
        lookback_months=24,
        is_always_past=True,
    ),
    RelationshipType.GIFT: _benefit_type(
        "Gave us something", "gave {us}", "What it gave: a turntable"
    ),
    RelationshipType.TICKET: _benefit_type(
        "Gave us a ticket", "gave {us}", "What for: a ticket to its show"
    ),
    RelationshipType.TRAVEL: _benefit_type(
        "Paid for our travel", "paid for {our} travel to", "Where to: Oslo"
    ),
    RelationshipType.HOSPITALITY: _benefit_type(
        "Hosted us", "hosted {us} at", "Where: a hotel in Oslo"
    ),
    RelationshipType.LOAN: _benefit_type(
        "Lent us something", "lent {us}", "What it lent: a turntable"
    ),
    RelationshipType.FEE: _benefit_type("Paid us a fee", "paid {us} for", "What for: a talk"),
    RelationshipType.SOURCE_IS_CONTRIBUTOR: RelationshipTypeRules(
        "Editorial",
        "Writes for us too",
        "{party}, quoted here, also writes for {nif}.",
        "{party}, quoted here, wrote for {nif} until {year}.",
        sides=NIF_ONLY,
    ),
    RelationshipType.OTHER: RelationshipTypeRules(
        "Editorial",
        "Something else, in your own words",
        "",
        materiality=Materiality.CONTEXT,
        lookback_months=12,
    ),
}


AMOUNT_PHRASES = {
    AmountBand.NONE: "",
    AmountBand.UNDER_50: ", worth less than €50",
    AmountBand.UNDER_250: ", worth between €50 and €250",
    AmountBand.UNDER_1000: ", worth between €250 and €1,000",
    AmountBand.UNDER_10000: ", worth between €1,000 and €10,000",
    AmountBand.OVER_10000: ", worth more than €10,000",
}
PARENT_COMPANY = "our parent company"


@dataclass(frozen=True)
class PublisherNames:
    """What NIF and its owner are called in sentences."""

    name: str
    owner: str


def write_relationship_sentences(
    relationship: Relationship, party: Party, publisher: PublisherNames
) -> None:
    """Set both sentences of a relationship; a custom sentence replaces those of the type.

    `past_sentence` is empty while the relationship has no end.
    """
    rules, until = RELATIONSHIP_TYPES[relationship.type], relationship.until
    values = {
        **_our_side_phrases(relationship.our_side, relationship.our_side_name, publisher),
        "party": party.name,
        "person": party.name if party.kind is PartyKind.PERSON else f"someone at {party.name}",
        "nif": publisher.name,
        "owner": publisher.owner,
        "detail": relationship.detail,
        "worth": AMOUNT_PHRASES[relationship.amount_band],
        "year": str(until.year) if until else "",
    }
    current, past = rules.current_sentence, rules.past_sentence or rules.current_sentence
    custom = relationship.custom_sentence
    relationship.current_sentence = custom or current.format_map(values)
    relationship.past_sentence = (custom or past.format_map(values)) if until else ""


def _our_side_phrases(our_side: OurSide, label: str, publisher: PublisherNames) -> dict[str, str]:
    """How sentences name our side: {Who} begins one, {who} does not, {us} and {one} end a clause.

    `formerly` names it as the object of what is over.
    """
    whole = f"{label}, which {PARENT_COMPANY} owns"
    bought = f"{label or publisher.owner}, now {PARENT_COMPANY},"
    who, us, our, one, formerly = {
        OurSide.NIF: (publisher.name, "us", "our", publisher.name, publisher.name),
        OurSide.OWNER: (
            PARENT_COMPANY,
            PARENT_COMPANY,
            f"{PARENT_COMPANY}'s",
            PARENT_COMPANY,
            bought,
        ),
        OurSide.PRODUCT: (f"{whole},", whole, f"{label}'s", whole, f"{whole},"),
        OurSide.ACCOUNT: (label, label, f"{label}'s", label, label),
    }[our_side]
    phrases = {"who": who, "us": us, "our": our, "one": one, "formerly": formerly}
    return {**phrases, "Who": who[:1].upper() + who[1:]}
