"""The types of relationships: what follows from each, and the sentence that readers see.

Sentences are made from the fields by the type's template; only `OTHER` has none.
"""

from dataclasses import dataclass
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

    `current_sentence` is used while the relationship lasts, `past_sentence` afterwards, for
    `lookback_months`: 0 is not at all, None is without limit. `detail` asks for what the sentence
    needs besides. `is_single_day`: it happens on one day. `is_always_past`: it is over by
    definition, so its end must be given.
    """

    group: str
    label: str
    current_sentence: str
    past_sentence: str
    materiality: Materiality = Materiality.ALWAYS
    lookback_months: int | None = 0
    sides: frozenset[OurSide] = ALL_SIDES
    direction: RelationshipDirection = RelationshipDirection.MUTUAL
    visibility: RelationshipVisibility = RelationshipVisibility.PUBLIC
    detail: str = ""
    is_single_day: bool = False
    is_always_past: bool = False


def _benefit_type(label: str, sentence: str, detail: str) -> RelationshipTypeRules:
    usual: dict[str, Any] = {
        "lookback_months": 12,
        "direction": RelationshipDirection.FROM_THEM,
        "is_single_day": True,
    }
    return RelationshipTypeRules("Benefit", label, sentence, sentence, detail=detail, **usual)


def _commercial_type(label: str, current: str, past: str, **given: Any) -> RelationshipTypeRules:
    usual = {
        "lookback_months": 12,
        "sides": COMPANY_SIDES,
        "direction": RelationshipDirection.FROM_THEM,
    }
    return RelationshipTypeRules("Commercial", label, current, past, **{**usual, **given})


def _employment_type(label: str, doing: str, done: str) -> RelationshipTypeRules:
    return RelationshipTypeRules(
        "Work",
        label,
        f"{{Who}} also {doing} {{party}}.",
        f"{{Who}} {done} {{party}} until {{year}}.",
        lookback_months=36,
        sides=STAFF_ONLY,
        direction=RelationshipDirection.TO_THEM,
    )


RELATIONSHIP_TYPES: dict[RelationshipType, RelationshipTypeRules] = {
    RelationshipType.SAME_GROUP: RelationshipTypeRules(
        "Ownership",
        "Is part of the same group",
        "{party} is part of {owner}, which also owns {nif}.",
        "Until {year}, {party} was part of {owner}, which also owns {nif}.",
        sides=frozenset({OurSide.OWNER}),
    ),
    RelationshipType.OWNER: RelationshipTypeRules(
        "Ownership",
        "Owns, or owned, one of us",
        "{party} owns {one}.",
        "{party} owned {formerly} until {year}.",
        lookback_months=60,
        sides=COMPANY_SIDES,
        direction=RelationshipDirection.FROM_THEM,
    ),
    RelationshipType.INVESTOR: RelationshipTypeRules(
        "Ownership",
        "Has invested in one of us",
        "{party} has invested in {one}.",
        "{party} was an investor in {formerly} until {year}.",
        lookback_months=60,
        sides=COMPANY_SIDES,
        direction=RelationshipDirection.FROM_THEM,
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
        "{party} pays for {one}.",
        "Until {year}, {party} paid for {one}.",
        materiality=Materiality.DEFAULT,
        sides=frozenset({OurSide.NIF, OurSide.PRODUCT}),
        visibility=RelationshipVisibility.MATCH_ONLY,
    ),
    RelationshipType.ADVERTISER: _commercial_type(
        "Advertises with us",
        "{party} advertises with {us}.",
        "Until {year}, {party} advertised with {us}.",
    ),
    RelationshipType.SPONSOR: _commercial_type(
        "Sponsors us", "{party} sponsors {us}.", "Until {year}, {party} sponsored {us}."
    ),
    RelationshipType.AFFILIATE: _commercial_type(
        "Pays a commission on what readers buy",
        "We earn a commission if you buy from {party} through our links.",
        "Until {year}, we earned a commission on what readers bought from {party}.",
        sides=NIF_ONLY,
        lookback_months=0,
    ),
    RelationshipType.VENDOR: _commercial_type(
        "Supplies something to us",
        "{party} supplies {detail} to {us}.",
        "Until {year}, {party} supplied {detail} to {us}.",
        materiality=Materiality.DEFAULT,
        direction=RelationshipDirection.TO_THEM,
        detail="What it supplies: office software",
    ),
    RelationshipType.EVENT_PARTNER: _commercial_type(
        "Runs events with us",
        "{party} runs events together with {us}.",
        "Until {year}, {party} ran events together with {us}.",
        materiality=Materiality.DEFAULT,
        direction=RelationshipDirection.MUTUAL,
    ),
    RelationshipType.DATA_PARTNER: _commercial_type(
        "Shares data with us",
        "{party} supplies data to {us}.",
        "Until {year}, {party} supplied data to {us}.",
        materiality=Materiality.DEFAULT,
        direction=RelationshipDirection.MUTUAL,
    ),
    RelationshipType.CONTENT_LICENCE: _commercial_type(
        "Has licensed our content",
        "{party} has licensed {nif}'s content.",
        "Until {year}, {party} had a licence for {nif}'s content.",
        sides=NIF_ONLY,
        lookback_months=0,
    ),
    RelationshipType.AI_LICENCE: _commercial_type(
        "Has licensed our content to train AI",
        "{party} has licensed {nif}'s content to train AI.",
        "Until {year}, {party} had a licence to train AI on {nif}'s content.",
        sides=NIF_ONLY,
        lookback_months=0,
    ),
    RelationshipType.COMPETITOR: _commercial_type(
        "Competes with one of us",
        "{party} competes with {one}.",
        "Until {year}, {party} competed with {one}.",
        materiality=Materiality.DEFAULT,
        lookback_months=0,
        direction=RelationshipDirection.MUTUAL,
    ),
    RelationshipType.LITIGATION: _commercial_type(
        "Is in a legal dispute with one of us",
        "{Who} and {party} are in a legal dispute.",
        "{Who} and {party} were in a legal dispute until {year}.",
        lookback_months=0,
        sides=ALL_SIDES,
        direction=RelationshipDirection.MUTUAL,
    ),
    RelationshipType.EMPLOYER: _employment_type("Employs one of us", "works for", "worked for"),
    RelationshipType.BOARD: _employment_type(
        "Has one of us on its board", "sits on the board of", "was on the board of"
    ),
    RelationshipType.ADVISER: _employment_type("Is advised by one of us", "advises", "advised"),
    RelationshipType.CLIENT: _employment_type(
        "Is a client of one of us", "does paid work for", "did paid work for"
    ),
    RelationshipType.FORMER_EMPLOYER: RelationshipTypeRules(
        "Work",
        "Employed one of us before",
        "{Who} worked at {party} until {year}.",
        "{Who} worked at {party} until {year}.",
        materiality=Materiality.DEFAULT,
        lookback_months=36,
        sides=STAFF_ONLY,
        direction=RelationshipDirection.TO_THEM,
        is_always_past=True,
    ),
    RelationshipType.FAMILY: RelationshipTypeRules(
        "Personal",
        "Is family",
        "{Who} is related to {person}.",
        "Until {year}, {who} was related to {person}.",
        sides=STAFF_ONLY,
    ),
    RelationshipType.FRIEND: RelationshipTypeRules(
        "Personal",
        "Is a friend",
        "{Who} is a friend of {person}.",
        "Until {year}, {who} was a friend of {person}.",
        sides=STAFF_ONLY,
    ),
    RelationshipType.FORMER_COLLEAGUE: RelationshipTypeRules(
        "Personal",
        "Is a former colleague",
        "{Who} used to work with {person}.",
        "{Who} used to work with {person}.",
        materiality=Materiality.CONTEXT,
        lookback_months=24,
        sides=STAFF_ONLY,
        is_always_past=True,
    ),
    RelationshipType.GIFT: _benefit_type(
        "Gave us something", "{party} gave {us} {detail}{worth}.", "What it gave: a turntable"
    ),
    RelationshipType.TICKET: _benefit_type(
        "Gave us a ticket", "{party} gave {us} {detail}{worth}.", "What for: a ticket to its show"
    ),
    RelationshipType.TRAVEL: _benefit_type(
        "Paid for our travel", "{party} paid for {our} travel to {detail}{worth}.", "Where to: Oslo"
    ),
    RelationshipType.HOSPITALITY: _benefit_type(
        "Hosted us", "{party} hosted {us} at {detail}{worth}.", "Where: a hotel in Oslo"
    ),
    RelationshipType.LOAN: _benefit_type(
        "Lent us something", "{party} lent {us} {detail}{worth}.", "What it lent: a turntable"
    ),
    RelationshipType.FEE: _benefit_type(
        "Paid us a fee", "{party} paid {us} for {detail}{worth}.", "What for: a talk"
    ),
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
    rules = RELATIONSHIP_TYPES[relationship.type]
    values = _sentence_values(relationship, party, publisher)
    custom = relationship.custom_sentence
    relationship.current_sentence = custom or rules.current_sentence.format_map(values)
    relationship.past_sentence = ""
    if relationship.until:
        relationship.past_sentence = custom or rules.past_sentence.format_map(values)


def _sentence_values(
    relationship: Relationship, party: Party, publisher: PublisherNames
) -> dict[str, str]:
    person = party.name if party.kind is PartyKind.PERSON else f"someone at {party.name}"
    return {
        **_our_side_phrases(relationship.our_side, relationship.our_side_name, publisher),
        "party": party.name,
        "person": person,
        "nif": publisher.name,
        "owner": publisher.owner,
        "detail": relationship.detail,
        "worth": AMOUNT_PHRASES[relationship.amount_band],
        "year": str(relationship.until.year) if relationship.until else "",
    }


def _our_side_phrases(our_side: OurSide, label: str, publisher: PublisherNames) -> dict[str, str]:
    """How sentences name our side: {Who} begins one, {who} does not, {us} and {one} end a
    clause.
    """
    if our_side is OurSide.NIF:
        return _side_phrases(
            publisher.name, us="us", our="our", one=publisher.name, formerly=publisher.name
        )
    if our_side is OurSide.OWNER:
        formerly = f"{label or publisher.owner}, now {PARENT_COMPANY},"
        return _side_phrases(
            PARENT_COMPANY,
            us=PARENT_COMPANY,
            our=f"{PARENT_COMPANY}'s",
            one=PARENT_COMPANY,
            formerly=formerly,
        )
    if our_side is OurSide.PRODUCT:
        whole = f"{label}, which {PARENT_COMPANY} owns"
        return _side_phrases(
            f"{whole},", us=whole, our=f"{label}'s", one=whole, formerly=f"{whole},"
        )
    return _side_phrases(label, us=label, our=f"{label}'s", one=label, formerly=label)


def _side_phrases(who: str, **others: str) -> dict[str, str]:
    return {"who": who, "Who": who[:1].upper() + who[1:], **others}
